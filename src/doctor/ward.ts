import { same, steady } from '../model/memo.ts'
import type { Share as ShareOf } from '../model/pools.ts'
import type { Shared } from './client-certificates.ts'
import type { Diagnosis } from './diagnosis.ts'
import type { Reach } from './reach.ts'
import { createRouteExam } from './route-exam.ts'
import type { Asking, Chart, RouteExam, Table } from './route-exam.ts'
import type { RuleNeeds } from './rule-needs.ts'
import type { HttpRoute, Scene } from './scene.ts'
import type { Opening } from './shadowing.ts'
import type { Told } from './trusted-gateways.ts'

/** What the routes of a namespace are examined with: each is the very same object as long as it is the same. */
export interface Instruments {
  readonly scene: Scene
  readonly reachOf: (route: HttpRoute) => readonly Reach[]
  readonly askingOf: (chart: Chart) => Asking
  /** What the rules of each route need. */
  readonly needs: ReadonlyMap<string, readonly RuleNeeds[]>
}

/** What is found of the routes of one namespace by themselves, and what checks of all routes need of them. */
export interface Round {
  readonly looked: readonly Looked[]
  readonly open: ShareOf<Opening>
  /** The tables into which protected rules look. */
  readonly tables: readonly string[]
  readonly told: readonly Told[]
  readonly shared: readonly Shared[]
  readonly protectedAt: readonly string[]
}

interface Looked {
  readonly name: string
  readonly exam: RouteExam
  readonly chart: Chart
  readonly asking: Asking
}

/** What is known of other namespaces when a round is concluded. */
export interface Conclusion {
  readonly scene: Scene
  readonly tables: ReadonlyMap<string, Table>
  /** What is told once for all routes, of the route of this namespace that it is told at. */
  readonly told: readonly Diagnosis[]
}

/** The examinations of the routes of one namespace. Each step gives what it gave last, as long as that was made of the same. */
export interface Ward {
  readonly look: (routes: readonly HttpRoute[], instruments: Instruments) => Generator<undefined, Round>
  /** Everything that is found of each route, by its name. */
  readonly conclude: (
    round: Round,
    conclusion: Conclusion,
  ) => Generator<undefined, ReadonlyMap<string, readonly Diagnosis[]>>
}

/** Routes between two pauses: those that are new take a good part of a millisecond each. */
const routesAtOnce = 20

export function createWard(): Ward {
  const listed = steady<HttpRoute>()
  let exams: ReadonlyMap<HttpRoute, RouteExam> = new Map()
  let seen: { readonly with: readonly unknown[]; readonly round: Round } | undefined
  let found:
    { readonly with: readonly unknown[]; readonly findings: ReadonlyMap<string, readonly Diagnosis[]> } | undefined
  return {
    look: function* (routes, { scene, reachOf, askingOf, needs }) {
      const basis = [listed(routes), scene, reachOf, askingOf, needs]
      if (seen !== undefined && same(seen.with, basis)) return seen.round
      const looked: Looked[] = []
      for (const [at, route] of routes.entries()) {
        if (at % routesAtOnce === 0) yield
        const { name } = route.manifest
        const exam = exams.get(route) ?? createRouteExam(route)
        const chart = exam.chart(reachOf(route), needs.get(name) ?? noNeeds, scene)
        looked.push({ name, exam, chart, asking: askingOf(chart) })
      }
      exams = new Map(looked.map(({ exam, chart }) => [chart.route, exam]))
      seen = { with: basis, round: roundOf(looked) }
      return seen.round
    },
    conclude: function* (round, { scene, tables, told }) {
      const basis = [round, scene, told, ...round.tables.map((name) => tables.get(name))]
      if (found !== undefined && same(found.with, basis)) return found.findings
      const findings = new Map<string, readonly Diagnosis[]>()
      for (const [at, { name, exam, chart, asking }] of round.looked.entries()) {
        if (at % routesAtOnce === 0) yield
        const own = told[0]?.object === chart.route.manifest ? told : none
        const around = chart.tables.map((table) => tables.get(table))
        const shadows = exam.shadows(chart, scene, around)
        findings.set(name, exam.together(chart.findings, asking.findings, own, shadows))
      }
      const unchanged = found !== undefined && alike(found.findings, findings)
      found = { with: basis, findings: unchanged && found !== undefined ? found.findings : findings }
      return found.findings
    },
  }
}

// One and the same lists: what is made of them stays as it is.
const none: readonly Diagnosis[] = []
const noNeeds: readonly RuleNeeds[] = []

const alike = <K, V>(one: ReadonlyMap<K, V>, other: ReadonlyMap<K, V>): boolean =>
  same([...one.keys()], [...other.keys()]) && same([...one.values()], [...other.values()])

function roundOf(looked: readonly Looked[]): Round {
  const open = new Map<string, Opening[]>()
  for (const [table, some] of looked.flatMap(({ chart }) => [...chart.open])) {
    const list = open.get(table) ?? []
    open.set(table, list)
    list.push(...some)
  }
  return {
    looked,
    open,
    tables: [...new Set(looked.flatMap(({ chart }) => chart.tables))],
    told: looked.flatMap(({ chart }) => chart.told),
    shared: looked.flatMap(({ chart, asking }) => [...asking.silent, ...chart.certificates]),
    protectedAt: looked.flatMap(({ chart }) => chart.protectedAt),
  }
}
