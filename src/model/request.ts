import { parseAuthority } from './authority.ts'
import type { Authority } from './authority.ts'
import type { DenyReason } from './decision.ts'
import { canonicalName } from './header.ts'
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
  readonly target: Target
  readonly headers: HeaderMap
  /** Address of the client as far as a trusted sender told it, else of the sender. */
  readonly source: string | undefined
  /** For the log: `x-request-id` if it is clean, else undefined. */
  readonly requestId: string | undefined
  /** For the log: W3C Trace Context `traceparent` if it is well-formed. */
  readonly traceparent: string | undefined
  /** The first thing that is wrong with the request itself; the engine refuses it whatever the policy says. */
  readonly fault: DenyReason | undefined
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
  readonly source?: string | undefined
  /** Something that the transport itself already found wrong. */
  readonly fault?: DenyReason | undefined
}

export const limits = { headerFields: 256, headerBytes: 65_536, headerValueBytes: 32_768 } as const

const nowhere: Target = { raw: '', path: '', query: undefined, ambiguous: undefined }

/** Examines what a transport read and puts it into the one form that everything else works on. Never throws. */
export function authRequest(parts: RequestParts): AuthRequest {
  const authority = parseAuthority(parts.authority)
  const target = parseTarget(parts.target)
  return {
    via: parts.via,
    claim: parts.claim,
    method: parts.method,
    scheme: parts.scheme === 'http' || parts.scheme === 'https' ? parts.scheme : undefined,
    host: authority?.host ?? '',
    port: authority?.port,
    target: target ?? nowhere,
    headers: parts.headers,
    source: parts.source,
    requestId: clean(parts.headers.get('x-request-id'), /^[\w.:-]{1,128}$/),
    traceparent: clean(parts.headers.get('traceparent'), /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/),
    fault:
      parts.fault ??
      methodFault(parts.method) ??
      lineFault(parts.method, authority, target) ??
      headersFault(parts.headers),
  }
}

function lineFault(
  method: string,
  authority: Authority | undefined,
  target: Target | undefined,
): DenyReason | undefined {
  if (authority === undefined) return 'bad-host'
  const usable = target !== undefined && (target.path !== '*' || method === 'OPTIONS')
  return usable ? undefined : 'bad-target'
}

function clean(values: readonly string[] | undefined, form: RegExp): string | undefined {
  const [only, ...more] = values ?? []
  return only !== undefined && more.length === 0 && form.test(only) ? only : undefined
}

/** A tunnel has no path to judge and an OK would open it (GATEWAYS.md §G.1), so CONNECT is refused. */
const methodFault = (method: string): DenyReason | undefined =>
  /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}$/.test(method) && method.toUpperCase() !== 'CONNECT' ? undefined : 'bad-method'

function headersFault(headers: HeaderMap): DenyReason | undefined {
  let fields = 0
  let bytes = 0
  for (const [name, values] of headers) {
    fields += values.length
    for (const value of values) {
      bytes += name.length + value.length
      if (value.length > limits.headerValueBytes) return 'too-large'
      if (/[\x00-\x08\x0a-\x1f\x7f]/.test(value)) return 'bad-header'
    }
    if (canonicalName(name) === 'authorization' && (name !== 'authorization' || joined(values)))
      return 'repeated-credential'
  }
  return fields > limits.headerFields || bytes > limits.headerBytes ? 'too-large' : undefined
}

/** Envoy joins repeated lines with a comma, which no credential of ours contains: two of them are never guessed between. */
const joined = (values: readonly string[]): boolean => values.length > 1 || values.some((value) => value.includes(','))
