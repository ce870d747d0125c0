import type { Gateway, Listener, ListenerSet } from './gateway.ts'
import { takesFrom } from './gateway.ts'
import type { HttpRoute } from './gateway-api.ts'
import { intersectHostname, nearness } from './hostname.ts'
import type { Holders, Parent } from './parents.ts'
import { showParent, standingOf } from './route-status.ts'

/*
 * Anybody can write an HTTPRoute for any host: it takes requests only where a gateway accepted it. A route that no
 * controller has answered for yet may be in force or not: it competes, but never wins over a route of another namespace.
 */

/** A place where routes compete for requests: one port of a Gateway, or another parent that took them. */
export interface Arena {
  readonly name: string
  /** The nearest of its listeners' hostnames: requests may be for that listener's routes alone, if a gateway keeps them apart. */
  readonly near: number
  /** False as long as it is not known that the route was accepted there. */
  readonly sure: boolean
}

/** The arenas of a route for one host. */
export interface Arenas {
  /** Equal where two routes meet in the same arenas on the same terms. */
  readonly key: string
  readonly all: readonly Arena[]
  readonly sure: boolean
}

/** The one arena of a directory: what is in its files, the operator put there. */
export const everywhere = arenas([{ name: '', near: 0, sure: true }])

function arenas(all: readonly Arena[]): Arenas {
  const key = all.map(({ name, near, sure }) => `${name} ${near} ${String(sure)}`).join('\n')
  return { key, all, sure: all.every(({ sure }) => sure) }
}

/** Where a route competes, by the hosts that it serves there. */
export function arenasOf(route: HttpRoute, parents: readonly Parent[], holders: Holders): ReadonlyMap<string, Arenas> {
  const byHost = new Map<string, Map<string, Arena>>()
  for (const { host, arena } of parents.flatMap((parent) => claimsOf(route, parent, holders))) {
    const ofHost = byHost.get(host) ?? new Map<string, Arena>()
    ofHost.set(arena.name, nearest(ofHost.get(arena.name) ?? arena, arena))
    byHost.set(host, ofHost)
  }
  return new Map(
    [...byHost].map(([host, ofHost]) => [
      host,
      arenas([...ofHost.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))),
    ]),
  )
}

/** Of two listeners of one port, that to which a gateway that keeps them apart gives the requests. */
function nearest(one: Arena, other: Arena): Arena {
  if (one.near !== other.near) return one.near > other.near ? one : other
  return one.sure ? one : other
}

interface Claim {
  readonly host: string
  readonly arena: Arena
}

const wantedBy = ({ hostnames }: HttpRoute): readonly string[] => (hostnames.length === 0 ? [''] : hostnames)

function claimsOf(route: HttpRoute, parent: Parent, { gateways }: Holders): readonly Claim[] {
  const standing = standingOf(route.answers, parent.ref, route.manifest)
  const { gateway, set, listeners } = parent
  if (standing === 'refused') return []
  if (gateway === undefined && set === undefined) {
    // A Service in a mesh, or something that Gatehouse does not read: only its controller's word makes it a parent.
    const arena = { name: showParent(parent.ref, route.manifest), near: 0, sure: true }
    return standing === 'accepted' ? wantedBy(route).map((host) => ({ host, arena })) : []
  }
  const known = gateways.get(gateway ?? '')
  if (known === undefined || listeners === undefined) return []
  const attached = attachedTo(route, listeners, set ?? known)
  return attached.flatMap(({ listener, certain, hosts }) => {
    const name = `Gateway ${gateway ?? ''} ${listener.port}`
    const arena = { name, near: nearness(listener.hostname), sure: certain && standing === 'accepted' }
    return hosts.map((host) => ({ host, arena }))
  })
}

interface Attached {
  readonly listener: Listener
  readonly hosts: readonly string[]
  /** Given that the parent accepted the route. */
  readonly certain: boolean
}

/** A parent that accepted a route did so for one listener at least; for which ones, `allowedRoutes` tells. */
function attachedTo(
  route: HttpRoute,
  listeners: readonly Listener[],
  holder: Gateway | ListenerSet,
): readonly Attached[] {
  const possible = listeners.flatMap((listener) => {
    const hosts = wantedBy(route).flatMap((one) => intersectHostname(one, listener.hostname) ?? [])
    const taking = takesFrom(listener, holder, route.manifest.namespace)
    return taking === 'no' || hosts.length === 0 ? [] : [{ listener, hosts, taking }]
  })
  // Listeners with one selector take a route together: where there is nothing else, they did.
  const together = new Set(possible.map(({ listener }) => listener.routesFrom)).size === 1
  return possible.map(({ taking, ...one }) => ({ ...one, certain: taking === 'yes' || together }))
}
