import type { Authenticator } from '../authn/method.ts'
import type { HeaderReads } from '../authz/cel-reads.ts'
import type { Condition, Subject } from '../authz/condition.ts'
import type { DenyReason } from '../model/decision.ts'
import type { HeaderList } from '../model/decision.ts'
import type { Identity } from '../model/identity.ts'
import type { AuthRequest } from '../model/request.ts'
import type { RouteKey } from '../model/route.ts'

/** A compiled AuthPolicy: closures that cannot be misconfigured. */
export interface Policy {
  /** `namespace/name` */
  readonly name: string
  readonly mode: 'Enforce' | 'Shadow'
  readonly authenticators: readonly Authenticator[]
  /** Used only where no credential of any kind was presented. */
  readonly guest: Identity | undefined
  readonly conditions: readonly Condition[]
  /** What conditions and header values look at of the request; what methods read is theirs. */
  readonly reads: HeaderReads
  /** Values of the response headers for one subject; undefined where a header cannot be made (deny). */
  readonly headers: (subject: Subject) => HeaderList | undefined
  /** True where those values depend on the identity and the rule alone. */
  readonly lastingHeaders: boolean
  /** Lower-case names that the policy may set. */
  readonly managed: readonly string[]
  /** Lower-case names to take off the client's request on allow. */
  readonly remove: readonly string[]
  /** Names, decoded, of query parameters to take off the client's request on allow. */
  readonly removeQuery: ReadonlySet<string>
  readonly unauthenticated: Unauthenticated
  readonly denied: { readonly body: string; readonly contentType: string } | undefined
  readonly preflight: 'Authenticate' | 'Allow'
  /** `AsSent`: the rule is known by its key and its backend reads paths as the gateway does. */
  readonly ambiguousPath: 'Deny' | 'AsSent'
}

/** What a client without a valid credential is told. */
export type Unauthenticated =
  | { readonly respond: 'Forbidden' }
  | { readonly respond: 'Challenge' }
  | { readonly respond: 'Redirect'; readonly location: string }

/** One rule of a route with the one policy in force for it, or the reason why every request for it is refused. */
export interface Rule {
  readonly key: RouteKey
  /** `namespace/route/rule` */
  readonly id: string
  readonly policy: Policy | undefined
  /** Why there is no usable policy. */
  readonly refusal: DenyReason | undefined
  /** Every header that any policy attached to the rule may set, in every spelling. */
  readonly owned: ReadonlySet<string>
  /** Hosts that the rule serves: `*.example.com`, `example.com`, or `''` for any. An empty list serves none. */
  readonly hostnames: readonly string[]
  /** `http.path` of the rule's HTTP ExternalAuth filter (empty where the filter has none); undefined without such a filter. */
  readonly checkPath: string | undefined
  /** True where the filter copies the `content-length` of our answer over HTTP to the client's request (GATEWAYS.md §G.1). */
  readonly copiesLength: boolean
  /** True of a request that a filter of another rule may have asked for; undefined where no other filter carries this rule's key. */
  readonly contested: ((request: AuthRequest) => boolean) | undefined
  /** Controllers that accepted the route, where its status is known (in a cluster). */
  readonly acceptedBy: ReadonlySet<string> | undefined
}

/** The one rule that a request belongs to, or why none can be named. */
export type Resolution =
  | { readonly kind: 'rule'; readonly rule: Rule }
  | { readonly kind: 'refused'; readonly reason: DenyReason; readonly rule?: Rule }

/** All that a request needs, frozen; read once per request and replaced whole. */
export interface Snapshot {
  readonly generation: number
  readonly rules: readonly Rule[]
  /** The rule of a key (`showRoute`). Never falls back to another. */
  readonly rule: (key: RouteKey) => Rule | undefined
  /** The rule that a gateway would choose by the Gateway API's precedence. */
  readonly match: (request: AuthRequest) => Resolution
  /** Lets go of what only this snapshot uses. */
  readonly release: () => void
}
