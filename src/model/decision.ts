import type { Identity } from './identity.ts'

/**
 * What kind of refusal a reason is. It decides the status: `malformed` 400, `unauthenticated` 401 or a redirect where the
 * policy asks for challenges; 403 in every other case.
 */
export type DenyClass = 'malformed' | 'unroutable' | 'unauthenticated' | 'unavailable' | 'denied'

/** Every reason to refuse: code for logs and metrics, never shown to the client. */
export const denyReasons = {
  'malformed-request': ['malformed', 'the check or the request line cannot be read'],
  'bad-method': ['malformed', 'CONNECT, or not a method'],
  'bad-host': ['malformed', 'no host, several hosts or not a host'],
  'bad-target': ['malformed', 'the target is not an origin-form path, or holds what no client may send'],
  'ambiguous-target': ['malformed', 'gateway and backend could read the path differently'],
  'bad-header': ['malformed', 'a header value holds control characters'],
  'contradictory-headers': ['malformed', 'two sources of one fact differ'],
  'too-large': ['malformed', 'more headers or bytes than Gatehouse takes'],
  'repeated-credential': ['malformed', 'Authorization or a credential came more than once, or in two places'],
  'partial-body': ['malformed', 'the gateway sent a part of the body only'],
  'not-ready': ['unroutable', 'no policies are loaded yet'],
  'bad-key': ['unroutable', 'the rule key in the check is not of its form'],
  'unknown-rule': ['unroutable', 'the key names no known rule'],
  'no-policy': ['unroutable', 'the rule has no policy'],
  'broken-policy': ['unroutable', "the rule's policy cannot be used"],
  'duplicate-rule': ['unroutable', 'the name belongs to several rules of the route'],
  'identity-mismatch': ['unroutable', 'the claimed rule does not fit its HTTPRoute'],
  'no-match': ['unroutable', 'no rule with our filter matches'],
  'ambiguous-match': ['unroutable', 'gateways could choose different rules'],
  'untrusted-source': ['unroutable', 'forwarded headers from an address that is not trusted'],
  'no-credential': ['unauthenticated', 'no credential was presented'],
  'bad-credential': ['unauthenticated', 'the credential is wrong'],
  'malformed-credential': ['unauthenticated', 'the credential is not of its form'],
  'expired-credential': ['unauthenticated', 'the credential is past its time, or not yet valid'],
  'unknown-key': ['unauthenticated', "the token's signing key is not known"],
  'unsupported-credential': ['unauthenticated', 'a credential that no method of the policy takes'],
  'insecure-scheme': ['unauthenticated', 'a password over plain http where the policy requires TLS'],
  'locked-out': ['unauthenticated', 'too many failed attempts'],
  'issuer-unavailable': ['unavailable', 'the keys of the issuer cannot be had'],
  'introspection-unavailable': ['unavailable', 'the introspection endpoint cannot be asked'],
  'kubernetes-unavailable': ['unavailable', 'the Kubernetes API server cannot be asked about a token or a permission'],
  overloaded: ['unavailable', 'a queue or table is full, or the event loop was behind'],
  timeout: ['unavailable', 'the time for the answer ran out'],
  cancelled: ['unavailable', 'the caller went away'],
  internal: ['unavailable', 'something inside failed'],
  'insufficient-scope': ['denied', 'the credential lacks a scope'],
  'condition-false': ['denied', 'a condition does not hold'],
  'condition-error': ['denied', 'a condition could not be evaluated'],
  'unremovable-query': ['denied', 'a query parameter is to go that cannot be taken off'],
  'header-error': ['denied', 'a response header could not be made'],
} as const satisfies Record<string, readonly [DenyClass, string]>

export type DenyReason = keyof typeof denyReasons

/** The class of a reason. */
export const classOf = (reason: DenyReason): DenyClass => denyReasons[reason][0]

export type HeaderList = readonly (readonly [name: string, value: string])[]

const granted = Symbol('granted') // not exported: nobody outside this file can write an Allow

/** The request may go on: these headers are set on it, and those are taken off it. */
export interface Allow {
  readonly kind: 'allow'
  readonly identity: Identity
  /** Lower-case names, each once; values fit for a header. */
  readonly set: HeaderList
  /** Lower-case names to take off the client's request; never one that is also set. */
  readonly remove: readonly string[]
  /** Query parameters to take off the client's target, each as this very target spells it; of gRPC calls only. */
  readonly removeQuery: readonly string[]
  /** True where the gateway would put the `content-length` of an answer over HTTP on the client's request. */
  readonly copiesLength: boolean
  /** Where the policy is a Shadow: the reason it would have refused for. */
  readonly shadowed: DenyReason | undefined
  readonly [granted]: true
}

/** The request ends here, with this answer to the client. */
export interface Deny {
  readonly kind: 'deny'
  readonly reason: DenyReason
  /** 400, 401, 403, or what the policy asked for. Never 2xx, never 5xx. */
  readonly status: number
  /** Headers of the answer; `www-authenticate` may come several times. */
  readonly headers: HeaderList
  readonly body: string
  /** For the log only. */
  readonly cause?: unknown
}

export type Decision = Allow | Deny

/** Called in one place only: the end of `engine/decide.ts` (a test counts). */
export const allow = (grant: Omit<Allow, 'kind' | typeof granted>): Allow => ({
  kind: 'allow',
  ...grant,
  [granted]: true,
})

/** A refusal; 403 with an empty body unless the policy wants more. */
export const deny = (reason: DenyReason, answer: Partial<Omit<Deny, 'kind' | 'reason'>> = {}): Deny => ({
  kind: 'deny',
  reason,
  status: 403,
  headers: [],
  body: '',
  ...answer,
})
