import { memo } from '../model/memo.ts'
import type { Finding, ProblemCode } from '../model/result.ts'
import { showRoute } from '../model/route.ts'
import type { RouteKey } from '../model/route.ts'
import type { Manifest } from '../policy/manifest.ts'

/** A doctor's finding, about a rule where it has a key, and about some of its gateways (`namespace/name`) where it names them. */
export interface RuleFinding extends Finding {
  /** The object that has to be changed. */
  readonly object?: Manifest
  readonly key?: RouteKey
  readonly gateways?: readonly string[]
}

/**
 * What an error means for the question whether requests are checked. `checked`: each still is, or is refused, so evidence decides.
 * `doubtful`: the gateway may leave the check out, and one that was seen may be older than the fault; a refused probe is not.
 * `open`: some requests are served unchecked, whatever a check or a probe of others met.
 */
export type Bearing = 'checked' | 'doubtful' | 'open'

/** Every error that the doctor can hold against a rule, with the reason for what it means; any other one is `open`. */
export const bearings: ReadonlyMap<ProblemCode, readonly [Bearing, why: string]> = new Map([
  ['shadowed-rule', ['open', 'the gateway gives the requests to an open rule']],
  ['missing-grant', ['doubtful', 'gateways may leave out a filter that they may not use (GATEWAYS.md §B.1)']],
  ['controller-ignores-filter', ['doubtful', 'the gateway may serve the rule as if there were no filter']],
  ['misplaced-filter', ['checked', 'the filter does nothing; a check that was seen was asked for in another way']],
  ['policy-without-filter', ['checked', 'a check that was seen was asked for in another way, and is asked for again']],
  ['filter-without-policy', ['checked', 'every request is refused']],
  ['duplicate-rule', ['checked', 'every request is refused']],
  ['untrusted-gateway', ['checked', 'every request is refused']],
  ['wrong-port', ['checked', 'nothing answers there, or refuses: the gateway must fail closed (GEP-1494)']],
  ['wrong-protocol', ['checked', 'nothing answers there, or refuses: the gateway must fail closed (GEP-1494)']],
  ['missing-path', ['checked', 'a check that names no rule is refused']],
  ['foreign-path', ['checked', 'a check that names another rule is no evidence of this one']],
  [
    'missing-request-header',
    ['checked', 'who cannot show a credential is refused, or a guest where the policy has one'],
  ],
  ['missing-response-header', ['checked', 'the backend may see a header of the client; the request was checked']],
  [
    'empty-response-headers',
    [
      'checked',
      'gateways that copy content-length are Envoys, and take it off again when the answer says so (GATEWAYS.md §G.1)',
    ],
  ],
  ['unsafe-response-header', ['checked', 'as for the empty list; of other such headers an answer has none']],
])

/** What an error means; of one that nobody sorted, the worst. */
export const bearingOf = ({ code }: Pick<Finding, 'code'>): Bearing => bearings.get(code)?.[0] ?? 'open'

const rank = { open: 0, doubtful: 1, checked: 2 } as const

/** The errors of each rule (`namespace/route/rule`) at one ancestor (`Gateway namespace/name`), those that matter most first. */
export type Objections = (rule: string, at: string) => readonly RuleFinding[]

/** What the doctor found of each HTTPRoute, by namespace and name. */
export type FindingsByRoute = ReadonlyMap<string, ReadonlyMap<string, readonly RuleFinding[]>>

/** What the doctor holds against each rule. That a grant is missing tells nothing where grants could not be listed. */
export function objectionsOf(findings: FindingsByRoute, unlisted: ReadonlySet<string> = new Set()): Objections {
  const blind = unlisted.has('ReferenceGrant')
  return (rule, at) => {
    const [namespace = '', route = ''] = rule.split('/')
    return errorsIn(findings.get(namespace)?.get(route) ?? none).filter(
      ({ key, gateways, code }) =>
        key !== undefined &&
        showRoute(key) === rule &&
        !(blind && code === 'missing-grant') &&
        (gateways === undefined || gateways.some((gateway) => at === `Gateway ${gateway}`)),
    )
  }
}

const none: readonly RuleFinding[] = []

const errorsIn = memo((findings: readonly RuleFinding[]) =>
  findings
    .filter(({ severity }) => severity === 'error')
    .toSorted((one, other) => rank[bearingOf(one)] - rank[bearingOf(other)]),
)
