import { latest, memo, same, steady } from '../model/memo.ts'
import type { Pool } from '../model/pools.ts'
import { showObject } from '../policy/manifest.ts'
import { passage, waiting } from './answers.ts'
import { clientCertificates } from './client-certificates.ts'
import type { Shared } from './client-certificates.ts'
import { filterAndPolicy, filterPlaces } from './coverage.ts'
import type { Diagnosis } from './diagnosis.ts'
import { checkedPath, portAndProtocol } from './filter-address.ts'
import { requestHeaders, responseHeaders } from './filter-headers.ts'
import { filterSupport, routeAcceptance } from './filter-support.ts'
import { keptHeaders, keptQuery, matchedHeaders, matchedRemovals, overwrittenHeaders } from './header-conflicts.ts'
import { meshSupport } from './mesh-support.ts'
import { arenasOf, sameReach } from './reach.ts'
import type { Arena, Reach } from './reach.ts'
import { ruleNames } from './rule-names.ts'
import type { RuleNeeds } from './rule-needs.ts'
import { sitesOf } from './scene.ts'
import type { HttpRoute, RuleSite, Scene } from './scene.ts'
import { missingPorts, referenceGrants, silentPorts } from './service-wiring.ts'
import type { Services } from './service-wiring.ts'
import { openIn, shadowing, tablesFor } from './shadowing.ts'
import type { Opening, Openings } from './shadowing.ts'
import { toldInHeaders } from './trusted-gateways.ts'
import type { Told } from './trusted-gateways.ts'

/** Checks that look at one rule. To add one: write it in the file of its subject, add it here. */
const ruleChecks: readonly ((site: RuleSite, scene: Scene) => readonly Diagnosis[])[] = [
  filterAndPolicy,
  filterPlaces,
  filterSupport,
  meshSupport,
  portAndProtocol,
  checkedPath,
  responseHeaders,
  requestHeaders,
  overwrittenHeaders,
  keptHeaders,
  keptQuery,
  waiting,
  passage,
]

/** Checks that look at all rules of one route. */
const routeChecks: readonly ((sites: readonly RuleSite[], scene: Scene) => readonly Diagnosis[])[] = [
  ruleNames,
  matchedHeaders,
  matchedRemovals,
  routeAcceptance,
]

/** What is found of a route by itself, and what checks of several routes need of it. */
export interface Chart {
  readonly route: HttpRoute
  readonly sites: readonly RuleSite[]
  readonly arenas: readonly Arena[]
  readonly findings: readonly Diagnosis[]
  readonly open: ReadonlyMap<string, readonly Opening[]>
  readonly tables: readonly string[]
  /** Gateways (`namespace/name`) through which a protected rule of it is reached. */
  readonly protectedAt: readonly string[]
  readonly told: readonly Told[]
  readonly certificates: readonly Shared[]
}

/** What is found of a route and the Services that its filters ask. */
export interface Asking {
  readonly findings: readonly Diagnosis[]
  readonly silent: readonly Shared[]
}

/** The table of a gateway and host. */
export type Table = Pool<Opening, Openings>

/** The examination of one route. Each step gives what it gave last, as long as that was made of the same. */
export interface RouteExam {
  readonly chart: (reach: readonly Reach[], needs: readonly RuleNeeds[], scene: Scene) => Chart
  /** Given the tables that the chart names. */
  readonly shadows: (chart: Chart, scene: Scene, tables: readonly (Table | undefined)[]) => readonly Diagnosis[]
  /** All of these, by place. */
  readonly together: (...parts: readonly (readonly Diagnosis[])[]) => readonly Diagnosis[]
}

export function createRouteExam(route: HttpRoute): RouteExam {
  let last:
    | {
        readonly chart: Chart
        readonly reach: readonly Reach[]
        readonly needs: readonly RuleNeeds[]
        readonly scene: Scene
      }
    | undefined
  const steadyTables = steady<Table | undefined>()
  const shadows = latest(shadowsOf)
  return {
    chart: (reach, needs, scene) => {
      const unchanged = last?.scene === scene && sameReach(last.reach, reach) && same(last.needs, needs)
      if (last === undefined || !unchanged) last = { chart: chartOf(route, reach, needs, scene), reach, needs, scene }
      return last.chart
    },
    shadows: (chart, scene, tables) => shadows(chart, scene, steadyTables(tables)),
    together: latest((...parts) => byPlace(parts.flat())),
  }
}

function chartOf(route: HttpRoute, reach: readonly Reach[], needs: readonly RuleNeeds[], scene: Scene): Chart {
  const sites = sitesOf(route, reach, needs, scene.us)
  const arenas = arenasOf(route, reach)
  return {
    route,
    sites,
    arenas,
    findings: [
      ...sites.flatMap((site) => ruleChecks.flatMap((check) => check(site, scene))),
      ...routeChecks.flatMap((check) => check(sites, scene)),
    ],
    open: openIn(sites, arenas),
    tables: tablesFor(sites, arenas),
    protectedAt: sites.some((site) => site.needs !== undefined) ? reach.map(({ id }) => id) : [],
    told: toldInHeaders(sites),
    certificates: clientCertificates(sites),
  }
}

function shadowsOf(
  { sites, arenas, tables }: Chart,
  scene: Scene,
  found: readonly (Table | undefined)[],
): readonly Diagnosis[] {
  const known = tables.flatMap((name, at) => {
    const table = found[at]
    return table === undefined ? [] : [[name, table.made()] as const]
  })
  return shadowing(sites, arenas, new Map(known), scene)
}

/** What is found of the Services that the routes of charts ask. */
export const askingOf = (services: Services, scene: Scene): ((chart: Chart) => Asking) =>
  memo(({ sites }) => ({
    findings: [...referenceGrants(sites, services, scene), ...missingPorts(sites, services, scene)],
    silent: silentPorts(sites, services, scene),
  }))

/** Findings sorted by object, then place. */
export function byPlace(found: readonly Diagnosis[]): readonly Diagnosis[] {
  if (found.length < 2) return found
  const placed = found.map((one) => ({ one, place: [showObject(one.object), ...one.path.map(sortable)].join(' ') }))
  placed.sort((one, other) => (one.place < other.place ? -1 : one.place > other.place ? 1 : 0))
  return placed.map(({ one }) => one)
}

/** `rules[10]` comes after `rules[9]`. */
const sortable = (step: string | number): string => (typeof step === 'number' ? String(step).padStart(6, '0') : step)
