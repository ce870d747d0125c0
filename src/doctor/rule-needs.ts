import { memo } from '../model/memo.ts'
import { showRoute } from '../model/route.ts'
import type { RouteKey } from '../model/route.ts'
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
  /** Query parameters that it takes off the client's request. */
  readonly removesQuery: readonly string[]
  /** Requests without any credential are let in as a guest. */
  readonly guest: boolean
  /** It authenticates by the client's TLS certificate. */
  readonly clientCertificate: boolean
  /** It sends clients without a credential elsewhere. */
  readonly redirects: boolean
}

/** A preflight is recognised by these (Fetch standard, CORS-preflight request). */
const preflightHeaders = ['origin', 'access-control-request-method']

/** A rule in force, and the policy (`namespace/name`) that rules it, even where that cannot be used. */
interface Ruled {
  readonly rule: Rule
  readonly winner: { readonly id: string } | undefined
}

/** The rules of one namespace. */
interface RuledNamespace {
  readonly namespace: { readonly name: string }
  readonly sites: readonly Ruled[]
}

/** What the rules of a namespace need that have a policy, by the names of their routes: one and the same map as long as that is the same. */
export type NeedsIn = (namespace: string) => ReadonlyMap<string, readonly RuleNeeds[]>

/** The needs of all rules that have a policy. */
export const ruleNeeds = (namespaces: readonly RuledNamespace[]): readonly RuleNeeds[] =>
  namespaces.flatMap(({ sites }) => sites.flatMap(needsOfRule))

/** The same by namespace and route. */
export function needsByRoute(namespaces: readonly RuledNamespace[]): NeedsIn {
  const all = new Map(namespaces.map(({ namespace, sites }) => [namespace.name, needsIn(sites)]))
  return (namespace) => all.get(namespace) ?? nobody
}

/** The same of needs that were listed. */
export function needsAmong(needs: readonly RuleNeeds[]): NeedsIn {
  const all = Map.groupBy(needs, ({ key }) => key.namespace)
  return (namespace) => Map.groupBy(all.get(namespace) ?? [], ({ key }) => key.route)
}

const none: readonly RuleNeeds[] = []
const nobody: ReadonlyMap<string, readonly RuleNeeds[]> = new Map()

const needsOfRule = memo(({ rule: { key, policy, refusal }, winner }: Ruled): readonly RuleNeeds[] => {
  if (refusal === 'no-policy') return none
  const name = policy?.name ?? winner?.id ?? `of ${showRoute(key)}`
  return [{ ...(policy === undefined ? nothing : needed(policy)), key, policy: name }]
})

const needsIn = memo((sites: readonly Ruled[]) => Map.groupBy(sites.flatMap(needsOfRule), ({ key }) => key.route))

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
  removesQuery: [],
  guest: false,
  clientCertificate: false,
  redirects: false,
}

const needed = memo(
  ({ authenticators, preflight, reads, managed, remove, removeQuery, guest, unauthenticated }: Policy): Needed => ({
    reads: [
      ...new Set([...authenticators.flatMap(({ reads }) => reads), ...(preflight === 'Allow' ? preflightHeaders : [])]),
    ],
    looksAt: reads.names,
    looksAtOthers: reads.others,
    scheme: reads.scheme || authenticators.some(({ readsScheme }) => readsScheme === true),
    injects: managed,
    removes: remove,
    removesQuery: [...removeQuery],
    guest: guest !== undefined,
    clientCertificate: authenticators.some(({ kind }) => kind === 'clientCertificate'),
    redirects: unauthenticated.respond === 'Redirect',
  }),
)
