import type { Dialect } from './dialect.ts'
import { readForwarded } from './forwarded.ts'
import { allowed, refused } from './reply.ts'

/**
 * Traefik ForwardAuth: its `Host` is Gatehouse's, the client's is forwarded. `authResponseHeaders` deletes the client's copies
 * before it copies ours, so what is not set is left out: an empty line would reach the backend as one.
 */
export const traefik: Dialect = {
  read: (ask, address) => readForwarded(xForwarded, ask, address),
  write: (decision) => (decision.kind === 'allow' ? allowed(decision.set) : refused(decision)),
}

/** Traefik overwrites these unless `trustForwardHeader` is on, which takes a Traefik behind another proxy. */
const xForwarded = {
  method: 'x-forwarded-method',
  target: 'x-forwarded-uri',
  authority: 'x-forwarded-host',
  hops: true,
} as const
