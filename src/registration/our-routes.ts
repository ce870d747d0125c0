import { asksUs } from '../cluster/objects.ts'
import type { ClusterObject, OurService, World } from '../cluster/objects.ts'
import { memo } from '../model/memo.ts'
import { unnamedRule } from '../model/route.ts'

type Route = ClusterObject<'HTTPRoute'>

/** How many of the rules under one name have a filter that asks us: the unnamed rules of a route share a name. */
export type Carried = 'all' | 'some' | 'none' | 'unknown-rule'

/** An HTTPRoute as registration sees it. */
export interface OurRoute {
  readonly route: Route
  /** By rule name; `_` for the unnamed. */
  readonly carries: (rule: string) => Carried
  /** True where any rule asks us. */
  readonly asks: boolean
}

/** Every HTTPRoute of the world by `namespace/name`, with the filters in it that ask our Service. */
export const ourRoutes = (world: World, us: OurService): ReadonlyMap<string, OurRoute> =>
  new Map(world.of('HTTPRoute').map(readersOf(us)))

// A route that did not change is the same object in the next world.
const readersOf = memo((us: OurService) =>
  memo((route: Route) => [`${route.manifest.namespace}/${route.manifest.name}`, readRoute(route, us)] as const),
)

function readRoute(route: Route, us: OurService): OurRoute {
  const { namespace } = route.manifest
  const rules = route.object.spec.rules.map((rule) => ({
    name: rule.name ?? unnamedRule,
    // On a backendRef the filter is accepted and ignored (GATEWAYS.md §A.1): it does not count.
    asks: rule.filters.some(
      ({ type, externalAuth }) =>
        type === 'ExternalAuth' && externalAuth !== undefined && asksUs(externalAuth.backendRef, namespace, us),
    ),
  }))
  const carries = (rule: string): Carried => {
    const named = rules.filter((one) => one.name === rule)
    if (named.length === 0) return 'unknown-rule'
    if (named.every(({ asks }) => asks)) return 'all'
    return named.some(({ asks }) => asks) ? 'some' : 'none'
  }
  return { route, carries, asks: rules.some(({ asks }) => asks) }
}
