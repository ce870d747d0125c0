import { setImmediate } from 'node:timers/promises'
import { readInSteps, worldOf } from '../../src/cluster/objects.ts'
import { createDoctor } from '../../src/doctor/examine.ts'
import { needsByRoute } from '../../src/doctor/rule-needs.ts'
import { inSteps } from '../../src/model/breath.ts'
import { createCompiler } from '../../src/policy/compile.ts'
import type { Manifest } from '../../src/policy/manifest.ts'
import { createEvidence } from '../../src/registration/evidence.ts'
import { createReconciler, ruleForms } from '../../src/registration/reconcile.ts'
import { unprovenRules } from '../../src/registration/unproven.ts'
import { wiringEvents } from '../../src/registration/wiring-events.ts'
import type { KnownFaults } from '../../src/registration/wiring-events.ts'
import { offlineServices } from '../../src/services.ts'
import { gateway, largeWorld, policy, route, secret, us, withThese } from './large-world.ts'

/*
 * What one changed object costs a replica: `node test/support/measure-change.ts ROUTES`, four rules a route and a policy for one
 * route in five. Prints the milliseconds of compiling, which nothing can interrupt, and those of the doctor and of registration
 * with the longest part between two pauses. `measure-cluster.ts` measures the same from outside, on a real API server.
 */

const routes = Number(process.argv[2] ?? 10_000)

const services = offlineServices()
const [compile, doctor, reconcile] = [
  createCompiler(services, us),
  createDoctor({ us, trust: 'others' }),
  createReconciler(),
]
const evidence = createEvidence(0)
let now = 1
let faults: KnownFaults = new Map()
let letGo = (): void => undefined

/** Runs work that pauses; counts what is between the pauses, and rests where it took long enough. */
function meter() {
  let [began, total, longest] = [performance.now(), 0, 0]
  const end = (): number => {
    const took = performance.now() - began
    total += took
    longest = Math.max(longest, took)
    return took
  }
  return {
    breathe: async () => {
      if (performance.now() - began < 4) return
      end()
      await setImmediate()
      began = performance.now()
    },
    told: () => {
      end()
      return `${total.toFixed(1).padStart(7)} (${longest.toFixed(1).padStart(6)})`
    },
  }
}

async function measure(what: string, manifests: readonly Manifest[]): Promise<void> {
  now += 10_000
  const began = performance.now()
  const { snapshot, sites, reports } = compile(manifests)
  const compiled = performance.now() - began
  letGo()
  letGo = snapshot.release
  const looking = meter()
  const world = worldOf(manifests)
  const told = reports()
  await inSteps(readInSteps(world), looking.breathe)
  const { routes: findings } = await inSteps(doctor(world, needsByRoute(sites)), looking.breathe)
  const looked = looking.told()
  const writing = meter()
  const observed = { world, reports: told, findings }
  evidence.settle(ruleForms(observed, us), now)
  await writing.breathe()
  unprovenRules(told)
  faults = wiringEvents(findings, faults, { now, telling: true }).known
  await writing.breathe()
  const options = { admits: () => true, versions: { ReferenceGrant: 'gateway.networking.k8s.io/v1beta1' } }
  await inSteps(reconcile({ ...observed, us, options, evidence, now }), writing.breathe)
  process.stdout.write(
    `${what.padEnd(20)} compile ${compiled.toFixed(1).padStart(7)}, doctor ${looked}, registration ${writing.told()}\n`,
  )
}

let world = largeWorld(routes)
process.stdout.write(`${routes} routes of 4 rules, ${Math.floor(routes / 5)} policies; milliseconds (longest part)\n`)
await measure('the first time', world)
const changes: readonly (readonly [string, (round: number) => Manifest])[] = [
  ['one route', (round) => route(7, `new${round}.test`)],
  ['one with a policy', (round) => route(5, `new${round}.test`)],
  ['one policy', (round) => policy(1, { mode: round % 2 === 0 ? 'Shadow' : 'Enforce' })],
  ['one Secret', (round) => secret('team-0', `another-key-that-nobody-has-${round}`)],
  ["a Gateway's status", (round) => gateway(round)],
]
for (let round = 0; round < 8; round += 1) {
  for (const [what, change] of changes) {
    world = withThese(world, change(round))
    await measure(what, world)
  }
}
letGo()
await services.close()
