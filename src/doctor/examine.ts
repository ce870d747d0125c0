import type { ClusterKind, ClusterObject, World } from '../cluster/objects.ts'
import { latest, memo, once, steady } from '../model/memo.ts'
import { createPools } from '../model/pools.ts'
import { showObject } from '../policy/manifest.ts'
import type { Manifest } from '../policy/manifest.ts'
import type { Diagnosis } from './diagnosis.ts'
import { grpcRoutes } from './grpc-routes.ts'
import { reaches } from './reach.ts'
import type { Doors, Gateway } from './reach.ts'
import { askingOf, byPlace, createRouteExam } from './route-exam.ts'
import type { Asking, Chart, RouteExam } from './route-exam.ts'
import { needsAmong } from './rule-needs.ts'
import type { NeedsOf, RuleNeeds } from './rule-needs.ts'
import type { Scene, Settled } from './scene.ts'
import { servicesOf } from './service-wiring.ts'
import { openingsOf } from './shadowing.ts'
import { firstTold, trustedGateway } from './trusted-gateways.ts'
import type { Told } from './trusted-gateways.ts'

/** Everything that is wrong, weak or worth knowing about how routes, gateways and Gatehouse are wired. */
export interface Examination {
  /** What was found of each HTTPRoute (`namespace/name`), by place; the same list as long as that is the same. */
  readonly routes: ReadonlyMap<string, readonly Diagnosis[]>
  /** What was found of other objects. */
  readonly others: readonly Diagnosis[]
}

/** Looks through one world after another. What did not change since the last time is not looked at again. */
export type Doctor = (world: World, needsOf: NeedsOf) => Generator<undefined, Examination>

/** The world, and what the policies in force need: one entry for each rule that has a policy, usable or not. */
export interface Given extends Settled {
  readonly world: World
  readonly rules: readonly RuleNeeds[]
}

/** Examines one world: all findings by object, then place. */
export function examine({ world, rules, ...settled }: Given): readonly Diagnosis[] {
  const steps = createDoctor(settled)(world, needsAmong(rules))
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return byPlace([...value.routes.values(), value.others].flat())
  }
}

/** Routes between two pauses: those that are new take a good part of a millisecond each. */
const routesAtOnce = 20

/** Makes a doctor for worlds of which this holds. */
export function createDoctor({ us, budgets = { HTTP: 1000, GRPC: 150 }, ...settled }: Settled): Doctor {
  const [meshes, sets, classes] = [listOf('XMesh'), listOf('ListenerSet'), listOf('GatewayClass')]
  const [services, grants, secured] = [listOf('Service'), listOf('ReferenceGrant'), listOf('BackendTLSPolicy')]
  const gateways = gatewaysOf()
  let policyOf: Scene['policyOf'] = () => undefined
  // Whose policies change, has other needs: what is made of these is not to be remembered by the policies.
  const sceneOf = latest((known: Scene['meshes']): Scene => ({
    ...settled,
    us,
    budgets,
    meshes: known,
    policyOf: (name) => policyOf(name),
  }))
  const reachThrough = latest((...[own, added, kinds]: Parameters<typeof reachOfAll>) =>
    memo(reachOfAll(own, added, kinds)),
  )
  const asking = latest((...[all, given, tls, scene]: [...Parameters<typeof servicesOf>, Scene]) =>
    askingOf(servicesOf(all, given, tls), scene),
  )
  const examOf = memo(createRouteExam)
  const tablesOf = createPools(openingsOf)
  const telling = latest((told: Told | undefined, scene: Scene) =>
    told === undefined ? [] : [trustedGateway(told, scene)],
  )

  return function* (world, needsOf) {
    policyOf = policiesOf(world)
    const scene = sceneOf(meshes(world))
    const reachOf = reachThrough(gateways(world), sets(world), classes(world))
    const askingIn = asking(services(world), grants(world), secured(world), scene)
    const looked: Looked[] = []
    for (const [at, route] of world.of('HTTPRoute').entries()) {
      if (at % routesAtOnce === 0) yield
      const exam = examOf(route)
      const chart = exam.chart(reachOf(route), needsOf(route.manifest.namespace, route.manifest.name), scene)
      looked.push({ exam, chart, asking: askingIn(chart) })
    }
    yield
    const open = looked.flatMap(({ exam, chart }) => (chart.open.size === 0 ? [] : [[exam.name, chart.open] as const]))
    const tables = tablesOf(new Map(open))
    yield
    const told = telling(
      firstTold(
        looked.flatMap(({ chart }) => chart.told),
        scene,
      ),
      scene,
    )
    const routes = new Map<string, readonly Diagnosis[]>()
    for (const [
      at,
      {
        exam,
        chart,
        asking: { findings },
      },
    ] of looked.entries()) {
      if (at % routesAtOnce === 0) yield
      const shadows = exam.shadows(
        chart,
        scene,
        chart.tables.map((name) => tables.get(name)),
      )
      const own = told[0]?.object === chart.route.manifest ? told : none
      routes.set(exam.name, exam.together(chart.findings, findings, own, shadows))
    }
    yield
    return { routes, others: byPlace(othersOf(looked, world, scene)) }
  }
}

interface Looked {
  readonly exam: RouteExam
  readonly chart: Chart
  readonly asking: Asking
}

// One and the same list: what is made of it stays as it is.
const none: readonly Diagnosis[] = []

const reachOfAll = (own: Doors['gateways'], sets: Doors['sets'], classes: Doors['classes']) =>
  reaches({ gateways: own, sets, classes })

/** The objects of a kind: one and the same list as long as they are the same. */
function listOf<K extends ClusterKind>(kind: K): (world: World) => readonly ClusterObject<K>[] {
  const list = steady<ClusterObject<K>>()
  return (world) => list(world.of(kind))
}

/** The same of Gateways; one that changed in its status alone stays the object that it was: that counts the routes of each listener. */
function gatewaysOf(): (world: World) => readonly Gateway[] {
  const list = steady<Gateway>()
  let known: ReadonlyMap<string, Gateway> = new Map()
  return (world) => {
    const all = world.of('Gateway').map((one) => {
      const before = known.get(showObject(one.manifest))
      return before !== undefined && sameWiring(before, one) ? before : one
    })
    known = new Map(all.map((one) => [showObject(one.manifest), one]))
    return list(all)
  }
}

const sameWiring = ({ object: one }: Gateway, { object: other }: Gateway): boolean =>
  one.metadata.uid === other.metadata.uid && JSON.stringify(one.spec) === JSON.stringify(other.spec)

/** The AuthPolicies by `namespace/name`; looked through once, and only where one is asked for. */
function policiesOf({ manifests }: World): Scene['policyOf'] {
  const known = once(
    () =>
      new Map<string, Manifest>(
        manifests.flatMap((one) => (one.kind === 'AuthPolicy' ? [[`${one.namespace}/${one.name}`, one] as const] : [])),
      ),
  )
  return (name) => known().get(name)
}

/** What is found of objects that serve many routes: told once, at the first of these. */
function othersOf(looked: readonly Looked[], world: World, scene: Scene): readonly Diagnosis[] {
  const shared = looked.flatMap(({ chart, asking }) => [...asking.silent, ...chart.certificates])
  const first = [...Map.groupBy(shared, ({ place }) => place).values()].flatMap(([one]) => one?.finding ?? [])
  const protectedAt = () => new Set(looked.flatMap(({ chart }) => chart.protectedAt))
  return [...first, ...grpcRoutes(world, protectedAt, scene)]
}
