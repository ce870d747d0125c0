import type { Dialect } from './dialect.ts'
import { readForwarded } from './forwarded.ts'
import { allowed, refusedTwoWays } from './reply.ts'

/**
 * NGINX Gateway Fabric: an `auth_request` to exactly `http.path`, with headers of its own for the request line and none of the
 * client's but `Authorization` and the `allowedHeaders` (GATEWAYS.md §B.2). So an `X-Forwarded-For` here is the client's word.
 */
export const ngf: Dialect = {
  read: (ask, address) => readForwarded({ method: 'method', target: 'path', hops: false }, ask, address),
  write: (decision) => (decision.kind === 'allow' ? allowed(decision.set) : refusedTwoWays(decision)),
}
