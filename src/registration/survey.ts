import type { OurService, World } from '../cluster/objects.ts'
import { ourRoutes } from './our-routes.ts'
import type { OurRoute } from './our-routes.ts'
import { parentsOf } from './parents.ts'
import type { Reached } from './proof.ts'

/** The routes of a world and what leads to them. */
export interface Survey {
  readonly routes: ReadonlyMap<string, OurRoute>
  /** A route by `namespace/name`, with its parents. */
  readonly reached: (name: string) => Reached | undefined
}

const made = new WeakMap<World, { readonly us: OurService; readonly survey: Survey }>()

/** Surveys a world, once: whoever asks for the same world again gets the same answer. */
export function surveyOf(world: World, us: OurService): Survey {
  const before = made.get(world)
  if (before?.us === us) return before.survey
  const routes = ourRoutes(world, us)
  const survey = { routes, reached: reaching(world, routes) }
  made.set(world, { us, survey })
  return survey
}

function reaching(world: World, routes: ReadonlyMap<string, OurRoute>): Survey['reached'] {
  const parents = parentsOf(world)
  const known = new Map<string, Reached>()
  return (name) => {
    const route = routes.get(name)
    if (route === undefined) return undefined
    const found = known.get(name) ?? { route, parents: parents(route) }
    known.set(name, found)
    return found
  }
}
