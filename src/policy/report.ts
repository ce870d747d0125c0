import type { Finding } from '../model/result.ts'
import type { RouteKey } from '../model/route.ts'
import type { Manifest } from './manifest.ts'

/** What became of one AuthPolicy: for statuses, events and the doctor. */
export interface PolicyReport {
  readonly manifest: Manifest
  /** `invalid`: the object itself cannot be used; `unresolved`: something that it refers to cannot. Either way its rules deny. */
  readonly verdict: 'usable' | 'invalid' | 'unresolved'
  /** Everything that keeps it from working as written. */
  readonly findings: readonly Finding[]
  /** Its targets, by their position. */
  readonly targets: readonly { readonly index: number; readonly found: boolean }[]
  /** Every rule that it claims. */
  readonly rules: readonly Claimed[]
}

/** How a policy stands at a rule: in force, set aside by a more specific or overriding one, or beaten by an equal. */
export interface Claimed {
  readonly key: RouteKey
  readonly standing: 'in-force' | 'overridden' | 'conflicted'
  /** `namespace/name` of the policy that is in force instead. */
  readonly by: string | undefined
}
