import { isIP } from 'node:net'
import type { DecisionRecord } from '../engine/engine.ts'

/**
 * Tells once, at the first check that is refused because its headers come from an address that is not trusted, what to do if that was a
 * gateway. The address is the peer's own: nothing that it sent is repeated.
 */
export function untrustedSourceHint(
  trustedProxies: readonly string[],
  say: (line: string) => void,
): (record: Pick<DecisionRecord, 'decision' | 'request'>) => void {
  let told = false
  return ({ decision, request: { via, source } }) => {
    if (told || decision.kind !== 'deny' || decision.reason !== 'untrusted-source') return
    told = true
    const family = source === undefined ? 0 : isIP(source)
    const block = family === 0 ? '10.244.0.0/16' : `${source}/${family === 4 ? 32 : 128}`
    say(
      `A check at /v1/${via}/… from ${source ?? 'an unknown address'} was refused: the headers that tell its request are believed from ` +
        `trusted addresses only. If that is your gateway, serve with --trusted-proxies=${[...trustedProxies, block].join(',')}, ` +
        'or with the narrowest block that its addresses are from. This is said once.',
    )
  }
}
