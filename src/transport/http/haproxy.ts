import type { Dialect } from './dialect.ts'
import { readForwarded } from './forwarded.ts'
import { allowed, refused } from './reply.ts'

/** HAProxy asks from Lua, with nginx's header names and the client's own Host; the script deletes what the answer does not set. */
export const haproxy: Dialect = {
  read: (ask, address) =>
    readForwarded({ method: 'x-original-method', target: 'x-original-uri', hops: true }, ask, address),
  write: (decision) => (decision.kind === 'allow' ? allowed(decision.set) : refused(decision)),
}
