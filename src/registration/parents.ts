import type { ClusterObject } from '../cluster/objects.ts'
import { gatewayOfSet } from '../doctor/reach.ts'
import { gatewayGroup } from '../policy/document.ts'
import type { AncestorRef } from './desired.ts'
import type { OurRoute } from './our-routes.ts'

type Route = ClusterObject<'HTTPRoute'>
type Gateway = ClusterObject<'Gateway'>

/** What a parent's controller says in the route's status. */
export interface ParentWord {
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason: string
}

/** A Gateway, Service or other object through which a route is reached. */
export interface Parent {
  readonly ref: AncestorRef
  readonly accepted: ParentWord
  readonly resolved: ParentWord
}

/** What leads to routes that do not name it. */
export interface Leads {
  /** The default ones. */
  readonly gateways: readonly Gateway[]
  readonly sets: readonly ClusterObject<'ListenerSet'>[]
}

export const byDefault = ({ object }: Gateway): boolean => object.spec.defaultScope === 'All'

/**
 * Everything through which a route is reached: its parentRefs, and the default Gateways where it asks for them (GEP-3793). A route
 * that names neither is its own way in: it only names rules for something that serves them in another way (deploy/gateways).
 */
export function parentsOf(leads: Leads): (route: OurRoute) => readonly Parent[] {
  const defaults = leads.gateways
  const sets = new Map(leads.sets.map((one) => [`${one.manifest.namespace}/${one.manifest.name}`, one]))
  return ({ route }) => {
    const { namespace } = route.manifest
    const explicit = route.object.spec.parentRefs.map(({ group, kind, name, ...ref }) => ({
      group,
      kind,
      namespace: ref.namespace ?? namespace,
      name,
    }))
    const implied =
      route.object.spec.useDefaultGateways === 'All'
        ? defaults.filter((gateway) => takes(gateway, route)).map(gatewayRef)
        : []
    if (explicit.length === 0 && route.object.spec.useDefaultGateways !== 'All') return [itself(route)]
    const leading = [...explicit, ...implied].map((named) => ({ named, ref: behind(named, sets) }))
    return [...Map.groupBy(leading, ({ ref }) => showRef(ref)).values()].flatMap((ways) => {
      const ref = ways[0]?.ref
      const named = ways.map((way) => way.named)
      return ref === undefined ? [] : [{ ref, ...wordOf(route, named) }]
    })
  }
}

/** Nobody is asked to accept such a route, so nothing speaks against it. */
const itself = ({ manifest: { namespace, name } }: Route): Parent => {
  const word = { status: 'True', reason: '' } as const
  return { ref: { group: gatewayGroup, kind: 'HTTPRoute', namespace, name }, accepted: word, resolved: word }
}

/** Requests come through the Gateway, whose listeners a ListenerSet only adds to (GEP-1713); the set itself where it is not known. */
function behind(ref: AncestorRef, sets: ReadonlyMap<string, ClusterObject<'ListenerSet'>>): AncestorRef {
  if (ref.group !== gatewayGroup || ref.kind !== 'ListenerSet') return ref
  const set = sets.get(`${ref.namespace ?? ''}/${ref.name}`)
  const [namespace, name] = (set && gatewayOfSet(set))?.split('/') ?? []
  return namespace === undefined || name === undefined ? ref : { group: gatewayGroup, kind: 'Gateway', namespace, name }
}

export const gatewayRef = ({ manifest }: Gateway): AncestorRef => ({
  group: gatewayGroup,
  kind: 'Gateway',
  namespace: manifest.namespace,
  name: manifest.name,
})

/** `Gateway infra/edge`: how messages name a parent, and what tells two apart. */
export const showRef = ({ kind, namespace, name }: AncestorRef): string => `${kind} ${namespace ?? ''}/${name}`

/** Who sends requests, and asks about them: a Gateway itself, or what is in front of a Service or serves a route without parents. */
export const whoServes = (ref: AncestorRef): string =>
  ref.kind === 'Gateway' ? showRef(ref) : `whatever serves ${showRef(ref)}`

/** A default Gateway takes the routes that one of its listeners would; what a selector says, only the route's status tells. */
function takes({ manifest, object }: Gateway, route: Route): boolean {
  const same = manifest.namespace === route.manifest.namespace
  const spoken = route.object.status.parents.some(
    ({ parentRef: { kind, name, namespace } }) =>
      kind === 'Gateway' && name === manifest.name && (namespace ?? route.manifest.namespace) === manifest.namespace,
  )
  return (
    spoken ||
    object.spec.listeners.some(({ allowedRoutes }) => {
      const from = allowedRoutes?.namespaces?.from ?? 'Same'
      return from === 'All' || (from === 'Same' && same)
    })
  )
}

const unsaid: ParentWord = { status: 'Unknown', reason: '' }

/** The best of what is said for any of its listeners: the route is reached if one of them takes it. */
function wordOf(
  route: Route,
  named: readonly AncestorRef[],
): { readonly accepted: ParentWord; readonly resolved: ParentWord } {
  const entries = route.object.status.parents.filter(({ parentRef: { kind, name, namespace } }) =>
    named.some(
      (ref) => kind === ref.kind && name === ref.name && (namespace ?? route.manifest.namespace) === ref.namespace,
    ),
  )
  const best = (type: string): ParentWord => {
    const words = entries
      .flatMap(({ conditions }) => conditions.filter((one) => one.type === type))
      .map(
        ({ status, reason }) =>
          ({ status: status === 'True' || status === 'False' ? status : 'Unknown', reason }) as const,
      )
    return words.find(({ status }) => status === 'True') ?? words[0] ?? unsaid
  }
  return { accepted: best('Accepted'), resolved: best('ResolvedRefs') }
}
