import type { DenyReason } from '../../model/decision.ts'
import type { HeaderMap } from '../../model/header.ts'
import type { Dialect } from './dialect.ts'
import { allowedNamingRemovals, refused } from './reply.ts'
import { clientAddress, clientScheme } from './source-hint.ts'

/**
 * The Gateway API's ExternalAuth filter and Envoy's HTTP ext_authz: the call is the client's own request with `http.path` in
 * front of its target. Method and host are its own.
 */
export const check: Dialect = {
  read: (ask, { via, claim, rest }) => ({
    via,
    claim,
    method: ask.method,
    authority: ask.authority,
    target: rest,
    scheme: clientScheme(ask),
    headers: ask.headers,
    source: clientAddress(ask),
    caller: ask.peer,
    fault: ask.fault ?? partialBody(ask.headers),
  }),
  write: (decision) => (decision.kind === 'allow' ? allowedNamingRemovals(decision) : refused(decision)),
}

/** Envoy says so where it sends the beginning of a body only; a client's own header of this name it takes off. */
function partialBody(headers: HeaderMap): DenyReason | undefined {
  const said = headers.get('x-envoy-auth-partial-body')
  return said === undefined || said.every((one) => one === 'false') ? undefined : 'partial-body'
}
