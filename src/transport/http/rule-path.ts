import { routeKey } from '../../model/route.ts'
import type { Address, DialectName } from './dialect.ts'

/** Four segments: dialect, namespace, route, rule; then whatever follows. */
const form = /^\/v1\/([a-z]{1,16})\/([^/?#]{1,63})\/([^/?#]{1,253})\/([^/?#]{1,253})((?:[/?#][^]*)?)$/

const dialects: ReadonlySet<string> = new Set<DialectName>(['check', 'nginx', 'traefik', 'caddy', 'haproxy', 'ngf'])

/**
 * Reads the rule key off a request target. The bytes are split at their first slashes only and nothing is ever decoded, because
 * gateways put the client's own path behind the key as it came (GATEWAYS.md R1): `/-` ends the key, and no `..` leads back into it.
 */
export function parseRulePath(target: string): Address {
  const [, name = '', namespace = '', route = '', rule = '', tail = ''] = form.exec(target) ?? []
  const key = routeKey(namespace, route, rule)
  if (key === undefined || !isDialect(name)) return bad('check', target)
  return ends[name === 'check' ? 'check' : 'called'].test(tail)
    ? { via: name, claim: { kind: 'key', key }, rest: name === 'check' ? tail.slice(2) : '' }
    : bad(name, target)
}

/** What may stand behind a key. */
const ends = {
  // `/-x` would be another rule's path if a rule were called that (R2), so the terminator is a whole segment.
  check: /^\/-(?:[/?]|$)/,
  // A gateway that calls the URL it was given may add the client's query (Caddy does), never a path.
  called: /^(?:\?|$)/,
} as const

/** No rule; the target is kept for the record. */
const bad = (via: DialectName, target: string): Address => ({ via, claim: { kind: 'bad' }, rest: target })

const isDialect = (name: string): name is DialectName => dialects.has(name)
