import { z } from 'zod'
import { canonicalName } from '../model/header.ts'
import type { Path } from '../model/result.ts'
import type { Manifest } from '../policy/manifest.ts'
import { diagnosis, edit, fixedBy, listed } from './diagnosis.ts'
import type { Diagnosis, Fix, Said } from './diagnosis.ts'
import type { RuleNeeds } from './rule-needs.ts'
import { controllersOf } from './scene.ts'
import type { RuleSite, Scene } from './scene.ts'

/**
 * A header that a policy sets and a match of the same route looks at: gateways that choose the route again after the check
 * (Envoy's clear_route_cache) would serve a rule that was never checked (R13).
 */
export function matchedHeaders(ofRoute: readonly RuleSite[], { policyOf }: Scene): readonly Diagnosis[] {
  const changed = { headers: policies(ofRoute, ({ injects }) => injects.map(canonicalName)), queryParams: nothing }
  return matched(ofRoute, changed, ({ name, policy, path }) => ({
    code: 'matched-injected-header',
    severity: 'warning',
    path,
    say: routedAnew(name, policy, 'sets'),
    mend: 'match by another header, or let the policy set another one',
    ...fixedBy(renamed(policyOf(policy), name)),
  }))
}

/** The same of what a policy takes off: without it a request may fit another rule. */
export function matchedRemovals(ofRoute: readonly RuleSite[]): readonly Diagnosis[] {
  const changed = {
    headers: policies(ofRoute, ({ removes }) => removes.map(canonicalName)),
    queryParams: policies(ofRoute, ({ removesQuery }) => removesQuery),
  }
  return matched(ofRoute, changed, ({ name, policy, path }) => ({
    code: 'matched-removal',
    severity: 'warning',
    path,
    say: routedAnew(name, policy, 'removes'),
    mend: 'match by something else, or let the policy keep it',
  }))
}

/** Which policy of the route does something to a name. */
type Policies = ReadonlyMap<string, string>

const nothing: Policies = new Map()

const policies = (ofRoute: readonly RuleSite[], names: (needs: RuleNeeds) => readonly string[]): Policies =>
  new Map(ofRoute.flatMap(({ needs }) => (needs === undefined ? [] : names(needs).map((name) => [name, needs.policy]))))

interface Changed {
  /** By canonical name. */
  readonly headers: Policies
  readonly queryParams: Policies
}

interface Matched {
  readonly name: string
  readonly policy: string
  readonly path: Path
}

/** Says of each rule the first thing that it matches by and a policy changes. */
function matched(
  ofRoute: readonly RuleSite[],
  { headers, queryParams }: Changed,
  said: (found: Matched) => Said,
): readonly Diagnosis[] {
  if (headers.size + queryParams.size === 0) return []
  return ofRoute.flatMap(({ route, rule, index, key }) => {
    const looked = rule.matches.flatMap((match, position) => [
      ...match.headers.map(({ name }, at) => ({
        name,
        policy: headers.get(canonicalName(name)),
        path: ['spec', 'rules', index, 'matches', position, 'headers', at],
      })),
      ...match.queryParams.map(({ name }, at) => ({
        name,
        policy: queryParams.get(name),
        path: ['spec', 'rules', index, 'matches', position, 'queryParams', at],
      })),
    ])
    const first = looked.find((one) => one.policy !== undefined)
    return first?.policy === undefined ? [] : [diagnosis(route.manifest, said({ ...first, policy: first.policy }), key)]
  })
}

const routedAnew = (name: string, policy: string, does: 'sets' | 'removes'): string =>
  `the rule matches by ${listed([name])}, which policy ${policy} ${does}: a gateway may route the request anew, to a rule that was not checked`

const setter = z.looseObject({
  spec: z.looseObject({
    response: z.looseObject({ headers: z.array(z.looseObject({ name: z.string() })) }),
  }),
})

/** Another name in the policy: of the two it is the one that frees no request of its match. */
function renamed(object: Manifest | undefined, name: string): Fix | undefined {
  const read = setter.safeParse(object?.object)
  if (object === undefined || !read.success) return undefined
  const { headers } = read.data.spec.response
  const index = headers.findIndex((one) => canonicalName(one.name) === canonicalName(name))
  if (index < 0) return undefined
  const value = `x-auth-${canonicalName(name).replace(/^x-/, '')}`
  return { kind: 'edit', changes: [{ object, path: ['spec', 'response', 'headers', index, 'name'], value }] }
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
    const stays = (header: string): boolean => !injects.has(canonicalName(header))
    const kept = {
      set: set.filter((one) => stays(one.name)),
      add: add.filter((one) => stays(one.name)),
      remove: remove.filter(stays),
    }
    const left = Object.fromEntries(Object.entries(kept).filter(([, list]) => list.length > 0))
    const fix =
      Object.keys(left).length === 0
        ? edit(path.slice(0, -1), rule.filters.toSpliced(position, 1))
        : edit(path, { type: 'RequestHeaderModifier', requestHeaderModifier: left })
    return [diagnosis(route.manifest, { code: 'overwritten-header', severity: 'warning', path, say, mend, fix }, key)]
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

/** Query parameters that the policy takes off the request, through filters whose answers have no word for it. */
export function keptQuery({ route, key, needs, filter }: RuleSite): readonly Diagnosis[] {
  if (filter?.auth.protocol !== 'HTTP' || needs === undefined || needs.removesQuery.length === 0) return []
  const path = [...filter.path, 'externalAuth', 'protocol']
  const say = `policy ${needs.policy} removes the query parameter ${listed(needs.removesQuery)}, which cannot be said over HTTP: every request that has it is refused`
  const mend = 'ask over gRPC, or take the credential from a header'
  return [diagnosis(route.manifest, { code: 'query-not-removed', severity: 'warning', path, say, mend }, key)]
}
