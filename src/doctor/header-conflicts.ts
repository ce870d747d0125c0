import { z } from 'zod'
import { canonicalName } from '../model/header.ts'
import { diagnosis, listed } from './diagnosis.ts'
import type { Diagnosis } from './diagnosis.ts'
import { controllersOf } from './scene.ts'
import type { RuleSite, Scene } from './scene.ts'

/**
 * A header that a policy sets and a match of the same route looks at: gateways that choose the route again after the check
 * (Envoy's clear_route_cache) would serve a rule that was never checked (R13).
 */
export function matchedHeaders({ sites }: Scene): readonly Diagnosis[] {
  const byRoute = Map.groupBy(sites, ({ route }) => route)
  return [...byRoute.values()].flatMap((ofRoute) => {
    const injected = new Map(
      ofRoute.flatMap(({ needs }) =>
        (needs?.injects ?? []).map((name) => [canonicalName(name), needs?.policy] as const),
      ),
    )
    if (injected.size === 0) return []
    return ofRoute.flatMap(({ route, rule, index, key }) => {
      for (const [position, { headers }] of rule.matches.entries()) {
        const at = headers.findIndex(({ name }) => injected.has(canonicalName(name)))
        const name = headers[at]?.name
        if (name === undefined) continue
        const path = ['spec', 'rules', index, 'matches', position, 'headers', at]
        const say = `the rule matches by ${listed([name])}, which policy ${injected.get(canonicalName(name))} sets: a gateway may route the request anew, to a rule that was not checked`
        const mend = 'match by another header, or let the policy set another one'
        return [
          diagnosis(route.manifest, { code: 'matched-injected-header', severity: 'warning', path, say, mend }, key),
        ]
      }
      return []
    })
  })
}

const named = z.array(z.looseObject({ name: z.string() })).catch([])
const modifier = z.looseObject({
  requestHeaderModifier: z.looseObject({
    set: named.default([]),
    add: named.default([]),
    remove: z.array(z.string()).catch([]).default([]),
  }),
})

/** A RequestHeaderModifier runs after the check in Envoy-based gateways, and changes what the policy set. */
export function overwrittenHeaders({ route, rule, index, key, needs }: RuleSite): readonly Diagnosis[] {
  const injects = new Set(needs?.injects.map(canonicalName))
  if (injects.size === 0) return []
  return rule.filters.flatMap((filter, position) => {
    if (filter.type !== 'RequestHeaderModifier') return []
    const read = modifier.safeParse(filter)
    if (!read.success) return []
    const { set, add, remove } = read.data.requestHeaderModifier
    const changed = [...set, ...add].map(({ name }) => name).concat(remove)
    const lost = changed.filter((name) => injects.has(canonicalName(name)))
    if (lost.length === 0) return []
    const path = ['spec', 'rules', index, 'filters', position]
    const say = `this filter changes ${listed(lost)}, which policy ${needs?.policy} sets before it`
    const mend = 'leave it to the policy'
    return [diagnosis(route.manifest, { code: 'overwritten-header', severity: 'warning', path, say, mend }, key)]
  })
}

/** Headers that the policy takes off the request, through gateways that cannot be told to. */
export function keptHeaders(site: RuleSite): readonly Diagnosis[] {
  const { route, rule, index, key, needs, filter } = site
  if (filter?.auth.protocol !== 'HTTP' || needs === undefined || needs.removes.length === 0) return []
  const deaf = controllersOf(site).find(({ removesHeaders }) => !removesHeaders)
  if (deaf === undefined) return []
  const gone = new Set(
    rule.filters.flatMap((one) => {
      const read = modifier.safeParse(one)
      return read.success ? read.data.requestHeaderModifier.remove.map((name) => name.toLowerCase()) : []
    }),
  )
  const kept = needs.removes.filter((name) => !gone.has(name))
  if (kept.length === 0) return []
  const path = ['spec', 'rules', index, 'filters']
  const say = `policy ${needs.policy} removes ${listed(kept)}, which ${deaf.name} passes on to the backend all the same`
  const mend = 'remove it by a RequestHeaderModifier too'
  const value = { type: 'RequestHeaderModifier', requestHeaderModifier: { remove: [...kept] } }
  const fix = { kind: 'edit', changes: [{ path: [...path, rule.filters.length], value }] } as const
  return [diagnosis(route.manifest, { code: 'header-not-removed', severity: 'warning', path, say, mend, fix }, key)]
}
