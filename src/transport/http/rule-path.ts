import { boundedMemo } from '../../model/bounded-memo.ts'
import { routeKey } from '../../model/route.ts'
import type { RouteKey } from '../../model/route.ts'
import type { Address, DialectName } from './dialect.ts'

/** Four segments: dialect, namespace, route, rule; whatever follows is no part of them. */
const form = /^\/v1\/([a-z]{1,16})\/([^/?#]{1,63})\/([^/?#]{1,253})\/([^/?#]{1,253})(?=[/?#]|$)/

const dialects: ReadonlySet<string> = new Set<DialectName>(['check', 'nginx', 'traefik', 'caddy', 'haproxy', 'ngf'])

/**
 * Reads the rule key off a request target. The bytes are split at their first slashes only and nothing is ever decoded, because
 * gateways put the client's own path behind the key as it came (GATEWAYS.md R1): `/-` ends the key, and no `..` leads back into it.
 */
export function parseRulePath(target: string): Address {
  const head = form.exec(target)?.[0] ?? ''
  const named = headOf(head)
  if (named === undefined) return bad('check', target)
  const { via, key } = named
  const tail = target.slice(head.length)
  return ends[via === 'check' ? 'check' : 'called'].test(tail)
    ? { via, claim: { kind: 'key', key }, rest: via === 'check' ? tail.slice(2) : '' }
    : bad(via, target)
}

interface Head {
  readonly via: DialectName
  readonly key: RouteKey
}

/** Gateways have one for each rule, and one and the same key object finds its rule sooner. */
const headOf = boundedMemo(4096, (text): Head | undefined => {
  const [, name = '', namespace = '', route = '', rule = ''] = form.exec(text) ?? []
  const key = routeKey(namespace, route, rule)
  return key === undefined || !isDialect(name) ? undefined : { via: name, key }
})

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
