import { asksUs } from '../cluster/objects.ts'
import type { ClusterObject, OurService } from '../cluster/objects.ts'
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

/** Some routes by their names, with the filters in them that ask our Service. */
export function ourRoutes(routes: readonly Route[], us: OurService): OurRoutes {
  const all = routes.map(readersOf(us))
  return { byName: new Map(all.map((one) => [one.route.manifest.name, one])), asks: all.some(({ asks }) => asks) }
}

/** The routes of one namespace. */
export interface OurRoutes {
  readonly byName: ReadonlyMap<string, OurRoute>
  /** True where any of them asks us. */
  readonly asks: boolean
}

// A route that did not change is the same object in the next world.
const readersOf = memo((us: OurService) => memo((route: Route) => readRoute(route, us)))

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
