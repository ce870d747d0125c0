import { showRoute } from '../model/route.ts'
import type { RouteKey } from '../model/route.ts'
import type { PolicyReport } from '../policy/report.ts'
import type { Policy, Rule } from '../policy/snapshot.ts'

/** What the policy in force for a rule needs of the gateway. */
export interface RuleNeeds {
  readonly key: RouteKey
  /** `namespace/name` of the policy. */
  readonly policy: string
  /** Lower-case request headers that decide: those of its methods, and of preflights where it lets them pass. */
  readonly reads: readonly string[]
  /** Lower-case request headers that its conditions and header values look at. */
  readonly looksAt: readonly string[]
  /** True where these compute a name, or look through all headers. */
  readonly looksAtOthers: boolean
  /** True where it asks for the client's scheme. */
  readonly scheme: boolean
  /** Lower-case headers that it sets on allow. */
  readonly injects: readonly string[]
  /** Lower-case headers that it takes off the client's request. */
  readonly removes: readonly string[]
  /** Requests without any credential are let in as a guest. */
  readonly guest: boolean
  /** It authenticates by the client's TLS certificate. */
  readonly clientCertificate: boolean
  /** It sends clients without a credential elsewhere. */
  readonly redirects: boolean
}

/** A preflight is recognised by these (Fetch standard, CORS-preflight request). */
const preflightHeaders = ['origin', 'access-control-request-method']

/** The needs of all rules that have a policy, read off the snapshot in force; the reports name those that cannot be used. */
export function ruleNeeds(rules: readonly Rule[], reports: readonly PolicyReport[]): readonly RuleNeeds[] {
  const named = new Map(
    reports.flatMap(({ manifest, rules: claimed }) =>
      claimed
        .filter(({ standing }) => standing === 'in-force')
        .map(({ key }) => [showRoute(key), `${manifest.namespace}/${manifest.name}`] as const),
    ),
  )
  return rules
    .filter(({ refusal }) => refusal !== 'no-policy')
    .map(({ key, policy }) => {
      const name = policy?.name ?? named.get(showRoute(key)) ?? `of ${showRoute(key)}`
      return policy === undefined ? { ...nothing, key, policy: name } : { ...needed(policy), key, policy: name }
    })
}

/** Every header that it wants of a gateway. Over gRPC the scheme is told apart; over HTTP only this header tells it. */
export const wantedHeaders = (needs: RuleNeeds | undefined, protocol: string): readonly string[] =>
  needs === undefined ? [] : [...new Set([...needs.reads, ...lookedAt(needs, protocol)])]

/** Those without which it still authenticates. */
export const lookedAt = ({ looksAt, scheme }: RuleNeeds, protocol: string): readonly string[] =>
  scheme && protocol === 'HTTP' ? [...looksAt, 'x-forwarded-proto'] : looksAt

type Needed = Omit<RuleNeeds, 'key' | 'policy'>

/** A policy that cannot be used needs nothing: it refuses everything. */
const nothing: Needed = {
  reads: [],
  looksAt: [],
  looksAtOthers: false,
  scheme: false,
  injects: [],
  removes: [],
  guest: false,
  clientCertificate: false,
  redirects: false,
}

const needed = ({ authenticators, preflight, reads, managed, remove, guest, unauthenticated }: Policy): Needed => ({
  reads: [
    ...new Set([...authenticators.flatMap(({ reads }) => reads), ...(preflight === 'Allow' ? preflightHeaders : [])]),
  ],
  looksAt: reads.names,
  looksAtOthers: reads.others,
  scheme: reads.scheme || authenticators.some(({ readsScheme }) => readsScheme === true),
  injects: managed,
  removes: remove,
  guest: guest !== undefined,
  clientCertificate: authenticators.some(({ kind }) => kind === 'clientCertificate'),
  redirects: unauthenticated.respond === 'Redirect',
})
