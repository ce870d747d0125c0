import { unnamedRule } from '../model/route.ts'
import type { RouteKey } from '../model/route.ts'
import type { PolicyCandidate } from './candidate.ts'
import { arenasOf } from './arenas.ts'
import type { Arenas } from './arenas.ts'
import type { Gateway, ListenerSet } from './gateway.ts'
import type { HttpRoute, HttpRouteRule } from './gateway-api.ts'
import { intersectHostname } from './hostname.ts'
import type { Manifest } from './manifest.ts'
import { parentsOf } from './parents.ts'
import type { Holders, Parent } from './parents.ts'
import { levels } from './precedence.ts'
import type { Attachment } from './precedence.ts'

/** One rule of one known route, or a rule that only a policy knows (plain Envoy has no HTTPRoute). */
export interface RuleSite {
  readonly key: RouteKey
  readonly route: HttpRoute | undefined
  /** Rules under this key: one, or all the unnamed ones; several of one name are `duplicate`. */
  readonly rules: readonly HttpRouteRule[]
  readonly duplicate: boolean
  /** Effective hosts: the route's within its listeners'; `['']` for any, empty where they never meet. */
  readonly hostnames: readonly string[]
  /** Where it competes with the rules of other routes, by host; only a cluster's statuses tell. */
  readonly arenas: ReadonlyMap<string, Arenas>
  readonly attachments: readonly Attachment[]
}

/** Candidates by each target: `HTTPRoute namespace/name` or `Gateway namespace/name`; `* namespace` for unreadable targets. */
export type Claims = ReadonlyMap<string, readonly PolicyCandidate[]>

/** What the routes of one namespace have to do with, found by name. */
export interface Topology extends Holders {
  readonly routes: ReadonlyMap<string, HttpRoute>
  /** What the policies of the namespace claim. */
  readonly claims: Claims
  /** Policies for a Gateway (`namespace/name`) of whatever namespace: its own. */
  readonly claimsOn: (gateway: string) => readonly PolicyCandidate[]
}

const nameOf = ({ manifest }: { readonly manifest: Manifest }): string => `${manifest.namespace}/${manifest.name}`

/** Objects by `namespace/name`. */
export const named = <T extends { readonly manifest: Manifest }>(all: readonly T[]): ReadonlyMap<string, T> =>
  new Map(all.map((one) => [nameOf(one), one]))

export function claimsOf(candidates: readonly PolicyCandidate[]): Claims {
  const claims = new Map<string, PolicyCandidate[]>()
  const claim = (target: string, candidate: PolicyCandidate): void => {
    const list = claims.get(target)
    if (list === undefined) claims.set(target, [candidate])
    else if (!list.includes(candidate)) list.push(candidate)
  }
  for (const candidate of candidates) {
    const { namespace } = candidate.manifest
    if (candidate.claimsNamespace) claim(`* ${namespace}`, candidate)
    for (const { kind, name } of candidate.targets) claim(`${kind} ${namespace}/${name}`, candidate)
  }
  return claims
}

/** The set, the Gateway's name and the Gateway of a parent, as far as there are such. */
type Basis = Gateway | ListenerSet | string | undefined

/** Everything that a route's sites are made of: as long as none of it changes, neither do they. */
export interface Surroundings {
  readonly parents: readonly Basis[]
  readonly candidates: readonly PolicyCandidate[]
}

/** The gateways and policies that a route has to do with. */
export function surroundingsOf(route: HttpRoute, topology: Topology): Surroundings {
  const { gateways, claims, claimsOn } = topology
  const parents = parentsOf(route, topology)
  const candidates = new Set([
    ...(claims.get(`HTTPRoute ${nameOf(route)}`) ?? []),
    ...(claims.get(`* ${route.manifest.namespace}`) ?? []),
    ...parents.flatMap(({ gateway }) => (gateway === undefined ? [] : claimsOn(gateway))),
  ])
  const basis = parents.flatMap(({ set, gateway }): readonly Basis[] => [set, gateway, gateways.get(gateway ?? '')])
  return { parents: basis, candidates: [...candidates] }
}

/** The rules of a route by their names, each with the policies that claim it. */
export function sitesOf(route: HttpRoute, { candidates }: Surroundings, topology: Topology): readonly RuleSite[] {
  const { namespace, name } = route.manifest
  const parents = parentsOf(route, topology)
  const hostnames = effectiveHostnames(route, parents)
  const arenas = arenasOf(route, parents, topology)
  return [...Map.groupBy(route.rules, (rule) => rule.name ?? unnamedRule)].map(([rule, rules]) => {
    const key = { namespace, route: name, rule }
    const duplicate = rule !== unnamedRule && rules.length > 1
    const attachments = candidates.flatMap((candidate) => attach(candidate, route, key, parents))
    return { key, route, rules, duplicate, hostnames, arenas, attachments }
  })
}

function effectiveHostnames({ hostnames, defaultGateways }: HttpRoute, parents: readonly Parent[]): readonly string[] {
  const wanted = hostnames.length === 0 ? [''] : hostnames
  // Default Gateways may be served beside what is known here; Services in a mesh have no listeners.
  const elsewhere = defaultGateways && !parents.some(({ implied }) => implied)
  const unknown = elsewhere || parents.length === 0 || parents.some(({ listeners }) => listeners === undefined)
  if (unknown) return wanted
  const offered = parents.flatMap(({ listeners = [] }) => listeners).map(({ hostname }) => hostname)
  return [...new Set(wanted.flatMap((one) => offered.flatMap((other) => intersectHostname(one, other) ?? [])))]
}

/** The most specific of a policy's claims to a rule, if it has one. */
function attach(
  candidate: PolicyCandidate,
  route: HttpRoute,
  key: RouteKey,
  parents: readonly Parent[],
): readonly Attachment[] {
  if (candidate.claimsNamespace) return [{ candidate, level: levels.listener }]
  const { namespace } = candidate.manifest
  const claimed = candidate.targets.flatMap((target) => {
    if (target.kind === 'HTTPRoute') {
      if (namespace !== route.manifest.namespace || target.name !== key.route) return []
      if (target.sectionName === undefined) return [levels.route]
      return target.sectionName === key.rule ? [levels.rule] : []
    }
    const through = parents.filter(({ gateway }) => gateway === `${namespace}/${target.name}`)
    if (target.sectionName === undefined) return through.length > 0 ? [levels.gateway] : []
    const section = target.sectionName
    return through.some((parent) => reaches(parent, section)) ? [levels.listener] : []
  })
  const level = claimed.toSorted((one, other) => other - one)[0]
  return level === undefined ? [] : [{ candidate, level }]
}

/** True where a route's parentRef leads to the Gateway's listener; an unknown Gateway is believed to have it. */
function reaches({ ref, set, listeners }: Parent, section: string): boolean {
  if (set !== undefined) return false
  return listeners === undefined
    ? ref.sectionName === undefined || ref.sectionName === section
    : listeners.some(({ name }) => name === section)
}

/** Rules that exist by a policy's word alone: targets of routes that have no manifest. */
export function keyOnlySites(candidates: readonly PolicyCandidate[], routes: Topology['routes']): readonly RuleSite[] {
  const claims = candidates.flatMap((candidate) =>
    candidate.targets
      .filter(({ kind, name }) => kind === 'HTTPRoute' && !routes.has(`${candidate.manifest.namespace}/${name}`))
      .map(({ name, sectionName }) => ({ candidate, route: `${candidate.manifest.namespace}/${name}`, sectionName })),
  )
  return [...Map.groupBy(claims, ({ route }) => route).values()].flatMap((ofRoute) => {
    const names = new Set(ofRoute.map(({ sectionName }) => sectionName ?? unnamedRule))
    return [...names].map((rule) => keyOnlySite(ofRoute, rule))
  })
}

interface RouteClaim {
  readonly candidate: PolicyCandidate
  /** `namespace/name` */
  readonly route: string
  readonly sectionName: string | undefined
}

/** A policy for the whole route covers the rules that others name, as it would if the route were known. */
function keyOnlySite(claims: readonly RouteClaim[], rule: string): RuleSite {
  const [namespace = '', route = ''] = claims[0]?.route.split('/') ?? []
  const attachments = new Map<PolicyCandidate, Attachment>()
  for (const { candidate, sectionName } of claims) {
    const named = sectionName === rule
    if (named) attachments.set(candidate, { candidate, level: levels.rule })
    else if (sectionName === undefined && !attachments.has(candidate)) {
      attachments.set(candidate, { candidate, level: levels.route })
    }
  }
  const key = { namespace, route, rule }
  const known = { route: undefined, rules: [], duplicate: false, hostnames: [''], arenas: new Map() }
  return { key, ...known, attachments: [...attachments.values()] }
}
