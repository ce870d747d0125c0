import type { Dialect } from './dialect.ts'
import { readForwarded } from './forwarded.ts'
import { allowed, refusedTwoWays } from './reply.ts'

/**
 * nginx `auth_request`: a GET without the body, and nothing of the original request but what `proxy_set_header` adds. A header
 * that the answer lacks is an empty variable, and an empty `proxy_set_header` takes the client's copy away.
 */
export const nginx: Dialect = {
  read: (ask, address) =>
    readForwarded({ method: 'x-original-method', target: 'x-original-uri', hops: true }, ask, address),
  write: (decision) => (decision.kind === 'allow' ? allowed(decision.set) : refusedTwoWays(decision)),
}
