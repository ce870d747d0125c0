import type { ClusterKind, ClusterObject, World } from '../cluster/objects.ts'
import { latest, memo, once, steady } from '../model/memo.ts'
import { createPools } from '../model/pools.ts'
import { showObject } from '../policy/manifest.ts'
import type { Manifest } from '../policy/manifest.ts'
import type { Diagnosis } from './diagnosis.ts'
import { grpcRoutes } from './grpc-routes.ts'
import { reaches } from './reach.ts'
import type { Doors, Gateway } from './reach.ts'
import { askingOf, byPlace } from './route-exam.ts'
import { needsAmong } from './rule-needs.ts'
import type { NeedsIn, RuleNeeds } from './rule-needs.ts'
import type { Scene, Settled } from './scene.ts'
import { servicesOf } from './service-wiring.ts'
import { openingsOf } from './shadowing.ts'
import { firstTold, trustedGateway } from './trusted-gateways.ts'
import type { Told } from './trusted-gateways.ts'
import { createWard } from './ward.ts'
import type { Round, Ward } from './ward.ts'

/** Everything that is wrong, weak or worth knowing about how routes, gateways and Gatehouse are wired. */
export interface Examination {
  /** What was found of each HTTPRoute, by namespace and name, in the order of its places; all of it the same objects as long as it is the same. */
  readonly routes: ReadonlyMap<string, ReadonlyMap<string, readonly Diagnosis[]>>
  /** What was found of other objects. */
  readonly others: readonly Diagnosis[]
}

/** Looks through one world after another. What did not change since the last time is not looked at again. */
export type Doctor = (world: World, needsIn: NeedsIn) => Generator<undefined, Examination>

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
    if (done === true) return byPlace(allOf(value))
  }
}

/** All findings of an examination. */
export const allOf = ({ routes, others }: Examination): readonly Diagnosis[] => [
  ...[...routes.values()].flatMap((ofNamespace) => [...ofNamespace.values()].flat()),
  ...others,
]

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
  const tablesOf = createPools(openingsOf)
  const telling = latest((told: Told | undefined, scene: Scene) =>
    told === undefined ? [] : [trustedGateway(told, scene)],
  )
  let wards: ReadonlyMap<string, Ward> = new Map()

  return function* (world, needsIn) {
    policyOf = policiesOf(world)
    const scene = sceneOf(meshes(world))
    const reachOf = reachThrough(gateways(world), sets(world), classes(world))
    const askingIn = asking(services(world), grants(world), secured(world), scene)
    yield
    const byNamespace = Map.groupBy(world.of('HTTPRoute'), ({ manifest }) => manifest.namespace)
    yield
    const rounds: { readonly namespace: string; readonly ward: Ward; readonly round: Round }[] = []
    for (const [namespace, routes] of byNamespace) {
      const ward = wards.get(namespace) ?? createWard()
      const round = yield* ward.look(routes, { scene, reachOf, askingOf: askingIn, needs: needsIn(namespace) })
      rounds.push({ namespace, ward, round })
    }
    wards = new Map(rounds.map(({ namespace, ward }) => [namespace, ward]))
    yield
    const tables = tablesOf(new Map(rounds.map(({ namespace, round }) => [namespace, round.open])))
    const first = firstTold(
      rounds.flatMap(({ round }) => round.told),
      scene,
    )
    const routes = new Map<string, ReadonlyMap<string, readonly Diagnosis[]>>()
    for (const { namespace, ward, round } of rounds) {
      const told = first?.site.key.namespace === namespace ? telling(first, scene) : none
      routes.set(namespace, yield* ward.conclude(round, { scene, tables, told }))
    }
    yield
    const all = rounds.map(({ round }) => round)
    return { routes, others: byPlace(othersOf(all, world, scene)) }
  }
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
function othersOf(rounds: readonly Round[], world: World, scene: Scene): readonly Diagnosis[] {
  const shared = Map.groupBy(
    rounds.flatMap((round) => round.shared),
    ({ place }) => place,
  )
  const first = [...shared.values()].flatMap(([one]) => one?.finding ?? [])
  const protectedAt = () => new Set(rounds.flatMap((round) => round.protectedAt))
  return [...first, ...grpcRoutes(world, protectedAt, scene)]
}
