import { asksUs } from '../cluster/objects.ts'
import type { ClusterObject, OurService, World } from '../cluster/objects.ts'
import { showRoute, unnamedRule } from '../model/route.ts'
import type { RouteKey } from '../model/route.ts'
import type { Path } from '../model/result.ts'
import { reaches } from './reach.ts'
import type { Reach } from './reach.ts'
import type { RuleNeeds } from './rule-needs.ts'

/** What the doctor is given: everything listed, who we are, and what the policies in force need. */
export interface Given {
  readonly world: World
  /** Our Service; undefined for a directory, where every ExternalAuth filter is taken for ours. */
  readonly us: OurService | undefined
  /** One entry for each rule that has a policy, usable or not. */
  readonly rules: readonly RuleNeeds[]
  /** Milliseconds that an answer may take, by protocol (`--http-budget`, `--grpc-budget`). */
  readonly budgets?: Readonly<Record<'HTTP' | 'GRPC', number>>
  /** Whose forwarded headers are believed (`--trusted-proxies`): only this very machine's, or others' too; undefined where nobody said. */
  readonly trust?: 'loopback' | 'others'
}

export type HttpRoute = ClusterObject<'HTTPRoute'>
export type HttpRouteRule = HttpRoute['object']['spec']['rules'][number]
export type RouteFilter = HttpRouteRule['filters'][number]
export type ExternalAuth = NonNullable<RouteFilter['externalAuth']>

/** The filter of a rule that asks us. */
export interface OurFilter {
  /** Place of the filter in the route. */
  readonly path: Path
  readonly auth: ExternalAuth
  /** Which of our ports it asks; undefined where it is none of them, or where they are not known. */
  readonly port: keyof OurService['ports'] | undefined
}

/** One rule of one route, with all that bears on it. */
export interface RuleSite {
  readonly route: HttpRoute
  readonly index: number
  readonly rule: HttpRouteRule
  readonly key: RouteKey
  readonly reach: readonly Reach[]
  readonly filter: OurFilter | undefined
  /** What its policy needs; undefined where no policy is in force. */
  readonly needs: RuleNeeds | undefined
}

/** The world as the checks see it. */
export interface Scene extends Given {
  readonly sites: readonly RuleSite[]
  readonly budgets: Readonly<Record<'HTTP' | 'GRPC', number>>
}

/** The ports that a Service of Gatehouse has where nobody said otherwise. */
export const usualPorts: OurService['ports'] = { grpc: 9001, http: 9002, matching: 9003 }

/** Puts routes, gateways and policies together, once for all checks. */
export function sceneOf(given: Given): Scene {
  const { world, us, rules } = given
  const needs = new Map(rules.map((one) => [showRoute(one.key), one]))
  const reachOf = reaches(world)
  const sites = world.of('HTTPRoute').flatMap((route) => {
    const { namespace, name } = route.manifest
    const reach = reachOf(route)
    return route.object.spec.rules.map((rule, index): RuleSite => {
      const key = { namespace, route: name, rule: rule.name ?? unnamedRule }
      return { route, index, rule, key, reach, filter: ourFilter(route, index, us), needs: needs.get(showRoute(key)) }
    })
  })
  return { ...given, budgets: given.budgets ?? { HTTP: 1000, GRPC: 150 }, sites }
}

function ourFilter({ manifest, object }: HttpRoute, index: number, us: OurService | undefined): OurFilter | undefined {
  const filters = object.spec.rules[index]?.filters ?? []
  for (const [position, { externalAuth: auth }] of filters.entries()) {
    if (auth !== undefined && ours(auth, manifest.namespace, us)) {
      return { path: ['spec', 'rules', index, 'filters', position], auth, port: portOf(auth, us) }
    }
  }
  return undefined
}

/** True where a filter of a route in this namespace asks us, or in a directory where it asks any Service. */
export const ours = ({ backendRef }: ExternalAuth, namespace: string, us: OurService | undefined): boolean =>
  us === undefined ? backendRef.group === '' && backendRef.kind === 'Service' : asksUs(backendRef, namespace, us)

function portOf({ backendRef }: ExternalAuth, us: OurService | undefined): OurFilter['port'] {
  if (us === undefined) return undefined
  const known = (['grpc', 'http', 'matching'] as const).filter((name) => us.ports[name] === backendRef.port)
  return known[0]
}

/** Controllers of a site's gateways, each once. */
export const controllersOf = ({ reach }: RuleSite) => [...new Set(reach.flatMap(({ controller }) => controller ?? []))]
