import { authFilter, at, clusterOf, corsPolicy, envoyMatch, kindOf, typed, valueOf } from './cilium-envoy.ts'
import type { Anything, AuthFilter } from './cilium-envoy.ts'
import type {
  CiliumObjects,
  GatewayListener,
  GatewayObject,
  ParentRef,
  RouteMatch,
  RouteObject,
  RouteRule,
} from './cilium-objects.ts'

/*
 * What Cilium makes of Gateways and HTTPRoutes (GATEWAYS.md §B.1), as far as authorization goes: one ext_authz filter for each
 * distinct ExternalAuth configuration of a listener, switched off on every route that does not have it, before CORS; paths left
 * as they come. For tests only, and small: whatever it does not know becomes a 500.
 */

/** Envoy's listeners and clusters (xDS resources without their version). */
export interface EnvoyResources {
  readonly listeners: readonly Anything[]
  readonly clusters: readonly Anything[]
}

/** The listeners of a Gateway that a parentRef leads to. */
export const listenersOf = (gateway: GatewayObject, route: RouteObject, ref: ParentRef): readonly GatewayListener[] =>
  gateway.spec.listeners.filter(
    ({ name, port, allowedRoutes }) =>
      (ref.sectionName === undefined || ref.sectionName === name) &&
      (ref.port === undefined || ref.port === port) &&
      (allowedRoutes?.namespaces?.from === 'All' || gateway.metadata.namespace === route.metadata.namespace),
  )

/** Whether a parentRef of a route names this Gateway or ListenerSet. */
export const isParent = (gateway: GatewayObject, route: RouteObject, ref: ParentRef): boolean =>
  (ref.kind ?? 'Gateway') === gateway.kind &&
  ref.name === gateway.metadata.name &&
  (ref.namespace ?? route.metadata.namespace) === gateway.metadata.namespace

/** One match of one rule, on one host. */
interface Entry {
  readonly host: string
  readonly match: RouteMatch
  readonly rule: RouteRule
  readonly route: RouteObject
}

/** Translates everything at once, as after a change to anything. */
export function ciliumLike(objects: CiliumObjects): EnvoyResources {
  const clusters = new Map<string, Anything>()
  const ports = [...new Set(objects.gateways.flatMap(({ spec }) => spec.listeners.map(({ port }) => port)))]
  const listeners = ports.map((port) => listener(port, entriesAt(port, objects), objects, clusters))
  return { listeners, clusters: [...clusters.values()] }
}

function entriesAt(at: number, { gateways, routes }: CiliumObjects): readonly Entry[] {
  const entries = gateways.flatMap((gateway) =>
    routes.flatMap((route) =>
      (route.spec.parentRefs ?? [])
        .filter((ref) => isParent(gateway, route, ref))
        .flatMap((ref) => listenersOf(gateway, route, ref).filter(({ port }) => port === at))
        .flatMap(({ hostname }) => hosts(hostname, route.spec.hostnames ?? []))
        .flatMap((host) =>
          (route.spec.rules ?? []).flatMap((rule) =>
            (rule.matches ?? [{}]).map((match): Entry => ({ host, match, rule, route })),
          ),
        ),
    ),
  )
  return entries.toSorted(byPrecedence)
}

function hosts(listener: string | undefined, own: readonly string[]): readonly string[] {
  if (listener === undefined) return own.length === 0 ? ['*'] : own
  if (own.length === 0) return [listener]
  const within = (one: string, wild: string): boolean => wild.startsWith('*.') && one.endsWith(wild.slice(1))
  return own.flatMap((one) =>
    one === listener || within(one, listener) ? [one] : within(listener, one) ? [listener] : [],
  )
}

const ranks = ['Exact', 'RegularExpression', 'PathPrefix']

function byPrecedence(one: Entry, other: Entry): number {
  return (
    ranks.indexOf(kindOf(one.match)) - ranks.indexOf(kindOf(other.match)) ||
    valueOf(other.match).length - valueOf(one.match).length ||
    Number(one.match.method === undefined) - Number(other.match.method === undefined) ||
    (other.match.headers?.length ?? 0) - (one.match.headers?.length ?? 0) ||
    (other.match.queryParams?.length ?? 0) - (one.match.queryParams?.length ?? 0) ||
    Date.parse(one.route.metadata.creationTimestamp) - Date.parse(other.route.metadata.creationTimestamp) ||
    (nameOf(one.route) < nameOf(other.route) ? -1 : Number(nameOf(one.route) > nameOf(other.route)))
  )
}

const nameOf = ({ metadata: { namespace, name } }: RouteObject): string => `${namespace}/${name}`

function listener(
  port: number,
  entries: readonly Entry[],
  objects: CiliumObjects,
  clusters: Map<string, Anything>,
): Anything {
  const auth = new Map<RouteRule, AuthFilter | undefined>()
  for (const { rule, route } of entries) auth.set(rule, authFilter(rule, route, objects, clusters))
  const filters = [...new Map([...auth.values()].flatMap((one) => (one ? [[one.name, one] as const] : []))).values()]
  const hostsHere = Map.groupBy(entries, ({ host }) => host)
  const manager = typed('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
    stat_prefix: `gateway-${port}`,
    use_remote_address: true,
    upgrade_configs: [{ upgrade_type: 'websocket' }],
    route_config: {
      name: `gateway-${port}`,
      validate_clusters: false,
      ignore_port_in_host_matching: true,
      virtual_hosts: [...hostsHere].map(([host, here]) => ({
        name: host,
        domains: [host],
        routes: here.map((entry) => envoyRoute(entry, auth.get(entry.rule), filters, objects, clusters)),
      })),
    },
    http_filters: [
      ...filters.map(({ name, config }) => ({ name, typed_config: config })),
      { name: 'envoy.filters.http.cors', typed_config: typed('extensions.filters.http.cors.v3.Cors', {}) },
      { name: 'envoy.filters.http.router', typed_config: typed('extensions.filters.http.router.v3.Router', {}) },
    ],
  })
  const chain = { filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }] }
  return typed('config.listener.v3.Listener', { name: `gateway-${port}`, address: at(port), filter_chains: [chain] })
}

function envoyRoute(
  { match, rule, route }: Entry,
  own: AuthFilter | undefined,
  filters: readonly AuthFilter[],
  objects: CiliumObjects,
  clusters: Map<string, Anything>,
): Anything {
  const off = typed('extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute', { disabled: true })
  const cors = rule.filters?.find(({ type }) => type === 'CORS')?.cors
  const known = (rule.filters ?? []).every(({ type }) => type === 'ExternalAuth' || type === 'CORS')
  const wanted = rule.filters?.some(({ type }) => type === 'ExternalAuth') ?? false
  const backend = rule.backendRefs?.[0]
  const cluster = backend && clusterOf('http1', backend, route, objects, clusters)
  // An authorization service that cannot be had, or may not be referred to, is a broken rule (Cilium #47929).
  const broken = !known || cluster === undefined || (wanted && own === undefined)
  return {
    match: envoyMatch(match),
    ...(broken ? { direct_response: { status: 500 } } : { route: { cluster } }),
    typed_per_filter_config: {
      ...Object.fromEntries(filters.filter(({ name }) => broken || name !== own?.name).map(({ name }) => [name, off])),
      ...(cors === undefined || broken ? {} : { 'envoy.filters.http.cors': corsPolicy(cors) }),
    },
  }
}
