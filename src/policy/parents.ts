import { gatewayGroup } from './document.ts'
import { admitsSet, takesFrom } from './gateway.ts'
import type { Gateway, Listener, ListenerSet } from './gateway.ts'
import type { HttpRoute } from './gateway-api.ts'
import type { Manifest } from './manifest.ts'
import { sameRef } from './route-status.ts'
import type { ParentRef } from './route-status.ts'

/** Something that a route attaches to. */
export interface Parent {
  readonly ref: ParentRef
  /** True for a default Gateway, which the route does not name (GEP-3793). */
  readonly implied: boolean
  /** `namespace/name` of the Gateway that it leads to, known or not; undefined where it leads to none. */
  readonly gateway: string | undefined
  /** The listeners that it leads to; undefined where they are not known, so that any host may come that way. */
  readonly listeners: readonly Listener[] | undefined
  /** The set that the listeners are of; undefined for the Gateway's own, the only ones that a policy can name. */
  readonly set: ListenerSet | undefined
}

/** The Gateways and sets of listeners that are known, by `namespace/name`. */
export interface Holders {
  readonly gateways: Pick<ReadonlyMap<string, Gateway>, 'get'>
  readonly listenerSets: Pick<ReadonlyMap<string, ListenerSet>, 'get'>
  /** Gateways with `defaultScope: All`. */
  readonly defaults: readonly Gateway[]
}

/** Everything that a route attaches to: its parentRefs, and the default Gateways where it asks for them. */
export function parentsOf(route: HttpRoute, holders: Holders): readonly Parent[] {
  const named = route.parentRefs.map((ref) => parentOf(ref, false, route.manifest, holders))
  const implied = impliedRefs(route, holders).map((ref) => parentOf(ref, true, route.manifest, holders))
  return [...named, ...implied]
}

function parentOf(ref: ParentRef, implied: boolean, { namespace }: Manifest, holders: Holders): Parent {
  const { gateways, listenerSets } = holders
  const id = `${ref.namespace ?? namespace}/${ref.name}`
  const kind = ref.group === gatewayGroup ? ref.kind : ''
  if (kind === 'Gateway') {
    return { ref, implied, gateway: id, listeners: listenersOf(ref, gateways.get(id)), set: undefined }
  }
  const set = kind === 'ListenerSet' ? listenerSets.get(id) : undefined
  const gateway = gateways.get(set?.gateway ?? '')
  const served = set === undefined || gateway === undefined || admitsSet(gateway, set)
  return served
    ? { ref, implied, gateway: set?.gateway, listeners: listenersOf(ref, set), set }
    : { ref, implied, gateway: undefined, listeners: [], set }
}

const listenersOf = (ref: ParentRef, holder: Gateway | ListenerSet | undefined): readonly Listener[] | undefined =>
  holder?.listeners.filter(
    ({ name, port }) =>
      (ref.sectionName === undefined || ref.sectionName === name) && (ref.port === undefined || ref.port === port),
  )

/**
 * The default Gateways of a route that asks for them: those of which its status tells without its naming them, and those that
 * would take it. What a listener's selector says, only that status tells.
 */
function impliedRefs(route: HttpRoute, { defaults }: Holders): readonly ParentRef[] {
  const { manifest, parentRefs, answers } = route
  if (!route.defaultGateways) return []
  const told = answers
    .map(({ ref }) => ref)
    .filter(
      (ref) =>
        ref.kind === 'Gateway' &&
        ref.group === gatewayGroup &&
        !parentRefs.some((named) => sameRef(named, ref, manifest)),
    )
  const ids = new Set(told.map((ref) => `${ref.namespace ?? manifest.namespace}/${ref.name}`))
  const taking = defaults
    .filter((gateway) => gateway.listeners.some((one) => takesFrom(one, gateway, manifest.namespace) === 'yes'))
    .filter(({ manifest: { namespace, name } }) => !ids.has(`${namespace}/${name}`))
    .map(({ manifest: { namespace, name } }) => ({ group: gatewayGroup, kind: 'Gateway', namespace, name }))
  return [...told, ...taking]
}
