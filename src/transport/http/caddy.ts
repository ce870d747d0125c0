import type { Dialect } from './dialect.ts'
import { readForwarded } from './forwarded.ts'
import { allowed, refused } from './reply.ts'

/**
 * Caddy `forward_auth`: a GET of the configured URI. `copy_headers` deletes the client's copies and sets ours where they are
 * there, so what is not set is left out.
 */
export const caddy: Dialect = {
  read: (ask, address) => readForwarded(xForwarded, ask, address),
  write: (decision) => (decision.kind === 'allow' ? allowed(decision.set) : refused(decision)),
}

/** The first two are written by `forward_auth`, the third by every `reverse_proxy`. */
const xForwarded = {
  method: 'x-forwarded-method',
  target: 'x-forwarded-uri',
  authority: 'x-forwarded-host',
  hops: true,
} as const
