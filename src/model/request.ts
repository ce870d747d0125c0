import { parseAuthority } from './authority.ts'
import type { Authority } from './authority.ts'
import type { DenyReason } from './decision.ts'
import { headerFacts } from './header-facts.ts'
import type { HeaderFacts } from './header-facts.ts'
import type { HeaderMap } from './header.ts'
import type { RouteKey } from './route.ts'
import { parseTarget } from './target.ts'
import type { Target } from './target.ts'

/** How a check came in: decides what it may claim and how it is answered. */
export type Via = 'grpc' | 'check' | 'nginx' | 'traefik' | 'caddy' | 'haproxy' | 'ngf' | 'matching'

/**
 * What a check says about the rule it belongs to. `key`: the operator's configuration named it (path, context extensions
 * or route metadata). `match`: nothing named it. `bad`: something tried to name it and is not a key.
 */
export type Claim =
  { readonly kind: 'key'; readonly key: RouteKey } | { readonly kind: 'match' } | { readonly kind: 'bad' }

/** One request to judge: canonical, free of any protocol. */
export interface AuthRequest {
  readonly via: Via
  readonly claim: Claim
  /** As sent, case-sensitive (RFC 9110 §9.1). */
  readonly method: string
  /** `http` or `https` where the gateway told. */
  readonly scheme: 'http' | 'https' | undefined
  /** Lower case, no port, no trailing dot. */
  readonly host: string
  readonly port: number | undefined
  readonly rooted: boolean
  readonly target: Target
  readonly headers: HeaderMap
  /** Names of headers that hold more than lower-case letters, digits and hyphens: a backend may take them for other headers. */
  readonly unusualNames: readonly string[]
  /** Address of the client as far as a trusted sender told it, else of the sender. */
  readonly source: string | undefined
  /** Address of who asks: the gateway, or whoever takes its place. */
  readonly caller: string | undefined
  /** The first thing that is wrong with the request itself; the engine refuses it whatever the policy says. */
  readonly fault: DenyReason | undefined
  /** True where it may have waited so long that an answer which takes time would be too late: it gets what is known, or a refusal. */
  readonly late?: boolean
}

/** What a transport read from the wire, not yet examined. */
export interface RequestParts {
  readonly via: Via
  readonly claim: Claim
  readonly method: string
  readonly scheme?: string | undefined
  readonly authority: string
  /** The client's own target, nothing of ours in front of it. */
  readonly target: string
  readonly headers: HeaderMap
  /** What the transport found out about the headers while it read them. */
  readonly facts?: HeaderFacts | undefined
  readonly source?: string | undefined
  readonly caller?: string | undefined
  /** Something that the transport itself already found wrong. */
  readonly fault?: DenyReason | undefined
}

const nowhere: Target = { raw: '', path: '', query: undefined, ambiguous: undefined }

/**
 * Examines what a transport read and puts it into the one form that everything else works on. Never throws. `examined`: the parser let
 * no control character into a header value.
 */
export function authRequest(parts: RequestParts, examined = false): AuthRequest {
  const authority = parseAuthority(parts.authority)
  const target = parseTarget(parts.target)
  const { unusualNames, fault } = parts.facts ?? headerFacts(parts.headers, examined)
  return {
    via: parts.via,
    claim: parts.claim,
    method: parts.method,
    scheme: schemeOf(parts),
    host: authority?.host ?? '',
    port: authority?.port,
    rooted: authority?.rooted === true,
    target: target ?? nowhere,
    headers: parts.headers,
    unusualNames,
    source: parts.source,
    caller: parts.caller,
    fault: parts.fault ?? methodFault(parts.method) ?? lineFault(parts.method, authority, target) ?? fault,
  }
}

const schemeOf = ({ scheme }: RequestParts): AuthRequest['scheme'] =>
  scheme === 'http' || scheme === 'https' ? scheme : undefined

function lineFault(
  method: string,
  authority: Authority | undefined,
  target: Target | undefined,
): DenyReason | undefined {
  if (authority === undefined) return 'bad-host'
  const usable = target !== undefined && (target.path !== '*' || method === 'OPTIONS')
  return usable ? undefined : 'bad-target'
}

/** For the log: `x-request-id` if it is there once and clean. */
export const requestIdOf = ({ headers }: AuthRequest): string | undefined =>
  clean(headers.get('x-request-id'), /^[\w.:-]{1,128}$/)

/** For the log: W3C Trace Context `traceparent` if it is there once and well-formed. */
export const traceparentOf = ({ headers }: AuthRequest): string | undefined =>
  clean(headers.get('traceparent'), /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/)

function clean(values: readonly string[] | undefined, form: RegExp): string | undefined {
  const [only] = values ?? []
  return only !== undefined && values?.length === 1 && form.test(only) ? only : undefined
}

/** A tunnel has no path to judge and an OK would open it (GATEWAYS.md §G.1), so CONNECT is refused. */
const methodFault = (method: string): DenyReason | undefined =>
  common.has(method) || (/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}$/.test(method) && method.toUpperCase() !== 'CONNECT')
    ? undefined
    : 'bad-method'

const common: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
