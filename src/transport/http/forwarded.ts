import type { DenyReason } from '../../model/decision.ts'
import { canonicalName, repeated, single } from '../../model/header.ts'
import type { HeaderMap } from '../../model/header.ts'
import type { RequestParts } from '../../model/request.ts'
import type { Address, Ask } from './dialect.ts'
import { clientAddress, clientScheme } from './source-hint.ts'

/** The headers in which a gateway tells of the request it asks about. */
export interface ForwardedNames {
  readonly method: string
  readonly target: string
  /** Absent where the gateway calls with the client's own `Host`. */
  readonly authority?: string
  /** False where `X-Forwarded-For` and `-Proto`, if they come at all, are the client's own. */
  readonly hops: boolean
}

const hopNames = ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-port']

/** Reads a request told in headers: from trusted addresses only, each header exactly once and under its exact name. */
export function readForwarded(names: ForwardedNames, ask: Ask, { via, claim }: Address): RequestParts {
  const told = (name: string): string => {
    const value = single(ask.headers, name)
    return typeof value === 'string' ? value : ''
  }
  const own = [names.method, names.target, ...(names.authority === undefined ? [] : [names.authority])]
  const hops = names.hops ? hopNames : []
  return {
    via,
    claim,
    method: told(names.method),
    target: told(names.target),
    authority: names.authority === undefined ? ask.authority : told(names.authority),
    scheme: names.hops ? clientScheme(ask) : undefined,
    headers: without(ask.headers, new Set([...own, ...hops])),
    // Who may not tell is refused, and stands on record with its own address.
    caller: ask.peer,
    source: !ask.trusted ? ask.peer : names.hops ? clientAddress(ask) : undefined,
    fault: ask.fault ?? (ask.trusted ? contradiction(ask.headers, own, hops) : 'untrusted-source'),
  }
}

/** A header that is missing, there twice, or there under a name that some server takes for it (CVE-2025-64484). */
function contradiction(headers: HeaderMap, own: readonly string[], hops: readonly string[]): DenyReason | undefined {
  const exact = new Set([...own, ...hops])
  for (const name of headers.keys()) {
    if (!exact.has(name) && exact.has(canonicalName(name))) return 'contradictory-headers'
  }
  const values = own.map((name) => single(headers, name))
  const proto = hops.length === 0 ? undefined : single(headers, 'x-forwarded-proto')
  if (values.includes(repeated) || proto === repeated) return 'contradictory-headers'
  return values.includes(undefined) ? 'malformed-request' : undefined
}

/** What is left is the client's own: the policy must not take the gateway's words for it. */
const without = (headers: HeaderMap, gone: ReadonlySet<string>): HeaderMap =>
  new Map([...headers].filter(([name]) => !gone.has(canonicalName(name))))
