import type { ClusterObject, OurService, World } from '../cluster/objects.ts'
import { latest, memo, steady } from '../model/memo.ts'
import { ourRoutes } from './our-routes.ts'
import type { OurRoute } from './our-routes.ts'
import { byDefault, parentsOf } from './parents.ts'
import type { Leads } from './parents.ts'
import type { Reached } from './proof.ts'

/** The routes of a world and what leads to them. */
export interface Survey {
  /** A route by `namespace/name`, with its parents. */
  readonly reached: (name: string) => Reached | undefined
  /** Namespaces with a route that asks us. */
  readonly asking: ReadonlySet<string>
}

/** Surveys a world; what is known of a route stays as long as the route and what leads to it do. */
export const surveyOf = (world: World, us: OurService): Survey => surveyors(us)(world)

const surveyors = memo((us: OurService) => {
  const [defaults, sets] = [steady<ClusterObject<'Gateway'>>(), steady<ClusterObject<'ListenerSet'>>()]
  const reachThrough = latest((gateways: Leads['gateways'], listenerSets: Leads['sets']) => {
    const parents = parentsOf({ gateways, sets: listenerSets })
    return memo((route: OurRoute): Reached => ({ route, parents: parents(route) }))
  })
  let lists: ReadonlyMap<string, ReturnType<typeof steady<Route>>> = new Map()
  const ours = memo((routes: readonly Route[]) => ourRoutes(routes, us))
  return memo((world: World): Survey => {
    const reachedOf = reachThrough(defaults(world.of('Gateway').filter(byDefault)), sets(world.of('ListenerSet')))
    const byNamespace = Map.groupBy(world.of('HTTPRoute'), ({ manifest }) => manifest.namespace)
    lists = new Map([...byNamespace.keys()].map((name) => [name, lists.get(name) ?? steady<Route>()]))
    const known = new Map([...byNamespace].map(([name, routes]) => [name, ours(lists.get(name)?.(routes) ?? routes)]))
    return {
      asking: new Set([...known].flatMap(([name, { asks }]) => (asks ? name : []))),
      reached: (name) => {
        const at = name.indexOf('/')
        const route = known.get(name.slice(0, at))?.byName.get(name.slice(at + 1))
        return route && reachedOf(route)
      },
    }
  })
})

type Route = ClusterObject<'HTTPRoute'>
