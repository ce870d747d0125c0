import type { ClusterObject, World } from '../cluster/objects.ts'
import { same } from '../model/memo.ts'
import { gatewayGroup } from '../policy/document.ts'
import { intersectHostname } from '../policy/hostname.ts'
import { controllers } from './controllers.ts'
import type { Controller } from './controllers.ts'

type Route = ClusterObject<'HTTPRoute'>
export type Gateway = ClusterObject<'Gateway'>
export type Listener = Gateway['object']['spec']['listeners'][number]

/** One Gateway through which a route is reached. */
export interface Reach {
  /** `namespace/name` */
  readonly id: string
  /** Undefined where the Gateway is not among the known objects. */
  readonly gateway: Gateway | undefined
  readonly gatewayClass: ClusterObject<'GatewayClass'> | undefined
  readonly controllerName: string | undefined
  readonly controller: Controller | undefined
  /** The listeners that the route attaches to. */
  readonly listeners: readonly Listener[]
  /** Hosts that the route serves there, lower case; `''` for any. */
  readonly hostnames: readonly string[]
}

// The API takes 32 parents, 16 hostnames and 64 listeners; a directory may hold what no API server would take.
const limits = { parents: 64, hostnames: 64, listeners: 64 } as const

type ParentRef = Route['object']['spec']['parentRefs'][number]
type ListenerSet = ClusterObject<'ListenerSet'>

/** How a route comes to a Gateway: by a parentRef to it or to a set of its listeners, or because it is a default one. */
type Way =
  | { readonly kind: 'own'; readonly ref: ParentRef }
  | { readonly kind: 'set'; readonly ref: ParentRef; readonly set: ListenerSet }
  | { readonly kind: 'default' }

/** What routes can be reached through. */
export interface Doors {
  readonly gateways: readonly Gateway[]
  readonly sets: readonly ListenerSet[]
  readonly classes: readonly ClusterObject<'GatewayClass'>[]
}

/** True where a route is reached through the very same objects. */
export const sameReach = (some: readonly Reach[], others: readonly Reach[]): boolean =>
  some === others ||
  (some.length === others.length &&
    some.every((one, at) => {
      const other = others[at]
      return other !== undefined && same(partsOf(one), partsOf(other))
    }))

const partsOf = ({ id, gateway, gatewayClass, controllerName, controller, ...lists }: Reach): readonly unknown[] => {
  const { listeners, hostnames } = lists
  return [id, gateway, gatewayClass, controllerName, controller, listeners.length, ...listeners, ...hostnames]
}

/** Finds the gateways of the routes of a world. */
export const reachesIn = (world: World): ((route: Route) => readonly Reach[]) =>
  reaches({ gateways: world.of('Gateway'), sets: world.of('ListenerSet'), classes: world.of('GatewayClass') })

/** Finds the gateways of routes, explicit and default ones, each at a cost that does not grow with the world. */
export function reaches(doors: Doors): (route: Route) => readonly Reach[] {
  const gateways = new Map(doors.gateways.map((one) => [idOf(one), one]))
  const sets = new Map(doors.sets.map((one) => [idOf(one), one]))
  const classes = new Map(doors.classes.map((one) => [one.manifest.name, one]))
  const defaults = [...gateways].filter(([, { object }]) => object.spec.defaultScope === 'All').slice(0, limits.parents)
  return (route) => {
    const { spec } = route.object
    const explicit = spec.parentRefs.slice(0, limits.parents).flatMap((ref) => waysOf(ref, route, sets))
    const implied =
      spec.useDefaultGateways === 'All' ? defaults.map(([id]) => ({ id, way: { kind: 'default' } as const })) : []
    const wanted = Map.groupBy([...explicit, ...implied], ({ id }) => id)
    return [...wanted].map(([id, found]) => {
      const gateway = gateways.get(id)
      const gatewayClass = gateway && classes.get(gateway.object.spec.gatewayClassName)
      const controllerName = gatewayClass?.object.spec.controllerName ?? controllerByStatus(route, id)
      const ways = found.map(({ way }) => way)
      const listeners = gateway === undefined ? [] : [...new Set(ways.flatMap((way) => attached(gateway, way)))]
      return {
        id,
        gateway,
        gatewayClass,
        controllerName,
        controller: controllerName === undefined ? undefined : controllers.get(controllerName),
        listeners,
        hostnames: hostnames(spec.hostnames, gateway === undefined ? undefined : listeners),
      }
    })
  }
}

interface WayTo {
  /** `namespace/name` of the Gateway. */
  readonly id: string
  readonly way: Way
}

/** Where a parentRef leads; nowhere for a ListenerSet that is not known, or whose parent is no Gateway. */
function waysOf(ref: ParentRef, { manifest }: Route, sets: ReadonlyMap<string, ListenerSet>): readonly WayTo[] {
  const id = `${ref.namespace ?? manifest.namespace}/${ref.name}`
  if (ref.group !== gatewayGroup) return []
  if (ref.kind === 'Gateway') return [{ id, way: { kind: 'own', ref } }]
  const set = ref.kind === 'ListenerSet' ? sets.get(id) : undefined
  const gateway = set && gatewayOfSet(set)
  return set === undefined || gateway === undefined ? [] : [{ id: gateway, way: { kind: 'set', ref, set } }]
}

/** `namespace/name` of the Gateway that a ListenerSet adds listeners to. */
export function gatewayOfSet({ manifest, object }: ListenerSet): string | undefined {
  const { group, kind, name, namespace = manifest.namespace } = object.spec.parentRef
  return group === gatewayGroup && kind === 'Gateway' ? `${namespace}/${name}` : undefined
}

/** What a selector says only the gateway knows: it is believed to agree (as in policy/gateway.ts). */
function admits({ manifest, object }: Gateway, set: ListenerSet): boolean {
  const from = object.spec.allowedListeners?.namespaces?.from ?? 'None'
  return from === 'All' || from === 'Selector' || (from === 'Same' && manifest.namespace === set.manifest.namespace)
}

const idOf = ({ manifest }: Pick<Gateway, 'manifest'>): string => `${manifest.namespace}/${manifest.name}`

/** Without the Gateway's class, the route's own status may tell who serves it. */
const controllerByStatus = ({ manifest, object }: Route, id: string): string | undefined =>
  object.status.parents.find(
    ({ parentRef: { namespace, name, kind } }) =>
      kind === 'Gateway' && `${namespace ?? manifest.namespace}/${name}` === id,
  )?.controllerName

function attached(gateway: Gateway, way: Way): readonly Listener[] {
  const own = gateway.object.spec.listeners.slice(0, limits.listeners)
  // A default Gateway has no parentRef: all of its listeners are meant.
  if (way.kind === 'default') return own
  const all = way.kind === 'own' ? own : admits(gateway, way.set) ? way.set.object.spec.listeners : []
  const { sectionName, port: wanted } = way.ref
  return all
    .slice(0, limits.listeners)
    .filter(
      ({ name, port }) =>
        (sectionName === undefined || sectionName === name) && (wanted === undefined || wanted === port),
    )
}

function hostnames(own: readonly string[], listeners: readonly Listener[] | undefined): readonly string[] {
  const wanted = own.length === 0 ? [''] : own.slice(0, limits.hostnames).map((name) => name.toLowerCase())
  if (listeners === undefined) return wanted
  const offered = [...new Set(listeners.map(({ hostname }) => hostname.toLowerCase()))]
  return [...new Set(wanted.flatMap((one) => offered.flatMap((other) => intersectHostname(one, other) ?? [])))]
}

/** One place where routes compete: a port of a Gateway, or a Service in a mesh. */
export interface Arena {
  readonly place: string
  readonly hostnames: readonly string[]
}

/** Every place where a route's rules compete with those of others, with the hosts that it serves there. */
export function arenasOf(route: Route, reach: readonly Reach[]): readonly Arena[] {
  const { parentRefs, hostnames: own } = route.object.spec
  const services = parentRefs
    .slice(0, limits.parents)
    .filter(({ kind }) => kind === 'Service')
    .map(({ namespace, name }) => `Service ${namespace ?? route.manifest.namespace}/${name}`)
  const arenas = reach.flatMap(({ id, gateway, listeners }) =>
    gateway === undefined
      ? [{ place: id, hostnames: hostnames(own, undefined) }]
      : [...Map.groupBy(listeners, ({ port }) => port)].map(([port, ofPort]) => ({
          place: `${id} ${port}`,
          hostnames: hostnames(own, ofPort),
        })),
  )
  const inMesh = services.map((place) => ({ place, hostnames: [''] }))
  const all = [...arenas, ...inMesh]
  // A route without parents is served nowhere; in a directory it stands for one that is.
  return all.length === 0 && parentRefs.length === 0 ? [{ place: '', hostnames: hostnames(own, undefined) }] : all
}
