import { unnamedRule } from '../model/route.ts'
import type { RouteKey } from '../model/route.ts'
import type { PolicyCandidate } from './candidate.ts'
import { gatewayGroup } from './document.ts'
import type { Gateway, HttpRoute, HttpRouteRule, Listener, ParentRef } from './gateway-api.ts'
import { intersectHostname } from './hostname.ts'
import type { Manifest } from './manifest.ts'
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
  readonly attachments: readonly Attachment[]
}

/** What gateways, routes and policies are known, found by name. */
export interface Topology {
  readonly routes: ReadonlyMap<string, HttpRoute>
  readonly gateways: ReadonlyMap<string, Gateway>
  /** Policies by each target: `HTTPRoute namespace/name` or `Gateway namespace/name`; `* namespace` for unreadable targets. */
  readonly claims: ReadonlyMap<string, readonly PolicyCandidate[]>
}

const nameOf = ({ manifest }: { readonly manifest: Manifest }): string => `${manifest.namespace}/${manifest.name}`

/** Indexes what is known, so that a route costs the same however many there are. */
export function topologyOf(
  routes: readonly HttpRoute[],
  gateways: readonly Gateway[],
  candidates: readonly PolicyCandidate[],
): Topology {
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
  const named = <T extends { readonly manifest: Manifest }>(all: readonly T[]): ReadonlyMap<string, T> =>
    new Map(all.map((one) => [nameOf(one), one]))
  return { routes: named(routes), gateways: named(gateways), claims }
}

/** A Gateway that a route attaches to. */
interface Parent {
  readonly ref: ParentRef
  readonly namespace: string
  /** Undefined where the Gateway is not known. */
  readonly gateway: Gateway | undefined
}

/** Everything that a route's sites are made of: as long as none of it changes, neither do they. */
export interface Surroundings {
  readonly parents: readonly (Gateway | undefined)[]
  readonly candidates: readonly PolicyCandidate[]
}

/** The gateways and policies that a route has to do with. */
export function surroundingsOf(route: HttpRoute, { gateways, claims }: Topology): Surroundings {
  const parents = parentsOf(route, gateways)
  const names = [
    `HTTPRoute ${nameOf(route)}`,
    `* ${route.manifest.namespace}`,
    ...parents.map(({ ref, namespace }) => `Gateway ${namespace}/${ref.name}`),
  ]
  const candidates = new Set(names.flatMap((name) => claims.get(name) ?? []))
  return { parents: parents.map(({ gateway }) => gateway), candidates: [...candidates] }
}

/** The rules of a route by their names, each with the policies that claim it. */
export function sitesOf(route: HttpRoute, { candidates }: Surroundings, { gateways }: Topology): readonly RuleSite[] {
  const { namespace, name } = route.manifest
  const parents = parentsOf(route, gateways)
  const hostnames = effectiveHostnames(route.hostnames, parents)
  return [...Map.groupBy(route.rules, (rule) => rule.name ?? unnamedRule)].map(([rule, rules]) => {
    const key = { namespace, route: name, rule }
    const duplicate = rule !== unnamedRule && rules.length > 1
    const attachments = candidates.flatMap((candidate) => attach(candidate, route, key, parents))
    return { key, route, rules, duplicate, hostnames, attachments }
  })
}

const parentsOf = (route: HttpRoute, gateways: Topology['gateways']): readonly Parent[] =>
  route.parentRefs
    .filter((ref) => ref.kind === 'Gateway' && ref.group === gatewayGroup)
    .map((ref) => {
      const namespace = ref.namespace ?? route.manifest.namespace
      return { ref, namespace, gateway: gateways.get(`${namespace}/${ref.name}`) }
    })

const listenersOf = ({ ref, gateway }: Parent): readonly Listener[] =>
  (gateway?.listeners ?? []).filter(
    ({ name, port }) =>
      (ref.sectionName === undefined || ref.sectionName === name) && (ref.port === undefined || ref.port === port),
  )

function effectiveHostnames(own: readonly string[], parents: readonly Parent[]): readonly string[] {
  const wanted = own.length === 0 ? [''] : own
  const unknown = parents.length === 0 || parents.some(({ gateway }) => gateway === undefined)
  if (unknown) return wanted
  const offered = parents.flatMap(listenersOf).map(({ hostname }) => hostname)
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
    const through = parents.filter((parent) => parent.namespace === namespace && parent.ref.name === target.name)
    if (target.sectionName === undefined) return through.length > 0 ? [levels.gateway] : []
    const section = target.sectionName
    return through.some((parent) => reaches(parent, section)) ? [levels.listener] : []
  })
  const level = claimed.toSorted((one, other) => other - one)[0]
  return level === undefined ? [] : [{ candidate, level }]
}

/** True where a route's parentRef leads to the listener; an unknown Gateway is believed to have it. */
function reaches(parent: Parent, section: string): boolean {
  const { ref, gateway } = parent
  if (gateway === undefined) return ref.sectionName === undefined || ref.sectionName === section
  return listenersOf(parent).some(({ name }) => name === section)
}

/** Rules that exist by a policy's word alone: targets of routes that have no manifest. */
export function keyOnlySites(candidates: readonly PolicyCandidate[], { routes }: Topology): readonly RuleSite[] {
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
  return { key, route: undefined, rules: [], duplicate: false, hostnames: [''], attachments: [...attachments.values()] }
}
