import type { ClusterObject, OurService, World } from '../cluster/objects.ts'
import { latest, memo, steady } from '../model/memo.ts'
import { ourRoutes } from './our-routes.ts'
import type { OurRoute } from './our-routes.ts'
import { byDefault, parentsOf } from './parents.ts'
import type { Leads } from './parents.ts'
import type { Reached } from './proof.ts'

/** The routes of a world and what leads to them. */
export interface Survey {
  readonly routes: ReadonlyMap<string, OurRoute>
  /** A route by `namespace/name`, with its parents. */
  readonly reached: (name: string) => Reached | undefined
}

/** Surveys a world; what is known of a route stays as long as the route and what leads to it do. */
export const surveyOf = (world: World, us: OurService): Survey => surveyors(us)(world)

const surveyors = memo((us: OurService) => {
  const [defaults, sets] = [steady<ClusterObject<'Gateway'>>(), steady<ClusterObject<'ListenerSet'>>()]
  const reachThrough = latest((gateways: Leads['gateways'], listenerSets: Leads['sets']) => {
    const parents = parentsOf({ gateways, sets: listenerSets })
    return memo((route: OurRoute): Reached => ({ route, parents: parents(route) }))
  })
  return memo((world: World): Survey => {
    const routes = ourRoutes(world, us)
    const reachedOf = reachThrough(defaults(world.of('Gateway').filter(byDefault)), sets(world.of('ListenerSet')))
    return {
      routes,
      reached: (name) => {
        const route = routes.get(name)
        return route && reachedOf(route)
      },
    }
  })
})
