import type { Allow, Deny, HeaderList } from '../../model/decision.ts'
import type { HttpReply } from './dialect.ts'

/** The one success: exactly 200 (a 204 is a denial to Envoy), with these headers and nothing else. */
export const allowed = (headers: HeaderList): HttpReply => ({ status: 200, headers: lines(headers), body: '' })

/**
 * For gateways that leave the client's own copy of a header in place unless told (GATEWAYS.md §G.1): every header that goes is
 * named for Envoy, and sent empty for those that only overwrite. Where the gateway copies our `content-length: 0` as well, that
 * goes too, or the client's body would be read as a request of its own; Envoy then frames the body itself, as it came.
 */
export function allowedNamingRemovals({ set, remove, copiesLength }: Allow): HttpReply {
  const named = copiesLength ? [...remove, 'content-length'] : remove
  if (named.length === 0) return allowed(set)
  const emptied = remove.filter((name) => plain.test(name)).map((name) => [name, ''] as const)
  return allowed([...set, ...emptied, ['x-envoy-auth-headers-to-remove', named.join(', ')]])
}

/** Other spellings are for Envoy alone, by name: with a line for each, an answer soon has more than the hundred that Envoy takes. */
const plain = /^[a-z0-9-]+$/

/** For gateways that give the client whatever they are answered. */
export const refused = (decision: Deny): HttpReply => withStatus(decision, explicit(decision.status))

/**
 * For gateways that know two ways to refuse and make a 500 of every other: a login redirect is a 401 that still carries its
 * `location`, everything else a 403.
 */
export function refusedTwoWays(decision: Deny): HttpReply {
  const { status } = decision
  const login = status === 401 || (status >= 300 && status < 400)
  return withStatus(decision, login ? 401 : 403)
}

/** A refusal is never a success, and never a 5xx: that would be an outage, which gateways may be told to let through. */
const explicit = (status: number): number => (Number.isInteger(status) && status >= 300 && status < 500 ? status : 403)

const withStatus = ({ headers, body }: Deny, status: number): HttpReply => {
  const typed = body === '' || headers.some(([name]) => name === 'content-type')
  const type: HeaderList = typed ? [] : [['content-type', 'text/plain; charset=utf-8']]
  return { status, headers: lines([...headers, ...type]), body }
}

function lines(headers: HeaderList): HttpReply['headers'] {
  const all: Record<string, string | string[]> = Object.create(null) as Record<string, never>
  for (const [name, value] of headers) {
    const before = all[name]
    all[name] = before === undefined ? value : [...(typeof before === 'string' ? [before] : before), value]
  }
  return all
}
