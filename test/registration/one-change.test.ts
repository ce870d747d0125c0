import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { worldOf } from '../../src/cluster/objects.ts'
import { createDoctor } from '../../src/doctor/examine.ts'
import { needsByRoute } from '../../src/doctor/rule-needs.ts'
import { createCompiler } from '../../src/policy/compile.ts'
import { distinct } from '../../src/policy/distinct.ts'
import { showObject } from '../../src/policy/manifest.ts'
import type { Manifest } from '../../src/policy/manifest.ts'
import type { Desired, PolicyStatus } from '../../src/registration/desired.ts'
import { createEvidence } from '../../src/registration/evidence.ts'
import type { Evidence } from '../../src/registration/evidence.ts'
import { createReconciler, ruleForms } from '../../src/registration/reconcile.ts'
import type { Observed, RegistrationOptions } from '../../src/registration/reconcile.ts'
import { unprovenRules } from '../../src/registration/unproven.ts'
import { wiringEvents } from '../../src/registration/wiring-events.ts'
import type { KnownFaults } from '../../src/registration/wiring-events.ts'
import { witnesses } from '../../src/registration/witness.ts'
import { offlineServices } from '../../src/services.ts'
import { histories, strange, us } from '../support/changing-world.ts'
import { largeWorld, manifest, policy, route, us as largeUs, withThese } from '../support/large-world.ts'

const services = offlineServices()
afterAll(() => services.close())

const versions = { ReferenceGrant: 'gateway.networking.k8s.io/v1beta1' }
const options: RegistrationOptions = { admits: () => true, versions }

const last = <T>(steps: Generator<undefined, T>): T => {
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
  }
}

/** All that a replica does with a state, and what it keeps for the next. */
function replica(ours: typeof us) {
  const [compile, doctor, reconcile] = [createCompiler(services, ours), createDoctor({ us: ours }), createReconciler()]
  let faults: KnownFaults = new Map()
  return (manifests: readonly Manifest[], unlisted: ReadonlySet<string>, evidence: Evidence, now: number) => {
    const { snapshot, sites, reports } = compile(manifests)
    snapshot.release()
    const world = worldOf(distinct(manifests, () => undefined).all)
    const { routes: findings } = last(doctor(world, needsByRoute(sites)))
    const observed: Observed = { world, reports: reports(), findings, unlisted }
    const forms = ruleForms(observed, ours)
    const wiring = wiringEvents(findings, faults, { now, telling: true, unlisted })
    faults = wiring.known
    return {
      forms,
      unproven: unprovenRules(observed.reports),
      wiring,
      desired: () => last(reconcile({ ...observed, us: ours, options, evidence, now })),
    }
  }
}

/** A status waits to be written with the time at which it was first to be so. */
const timeless = ({ policy: of, ...status }: PolicyStatus): object => ({
  ...status,
  policy: showObject(of),
  ancestors: status.ancestors.map((one) => ({
    ...one,
    conditions: one.conditions.map((condition) => ({ ...condition, lastTransitionTime: '' })),
  })),
})

const plain = ({ statuses, ...desired }: Desired): object => ({ ...desired, statuses: statuses.map(timeless) })

/** What happens after a state: checks and probes of its rules, time, and the statuses that are written. */
const happening = fc.record({
  seen: fc.array(fc.tuple(fc.nat(20), fc.constantFrom(...witnesses)), { maxLength: 4 }),
  probed: fc.array(fc.tuple(fc.nat(20), fc.constantFrom('refused' as const, 'passed' as const)), { maxLength: 2 }),
  hours: fc.constantFrom(0, 1, 30),
  written: fc.boolean(),
  blind: fc.boolean(),
})

describe('what registration keeps of the state before', () => {
  it('never shows: what is desired is what somebody desires who sees the state first', () => {
    fc.assert(
      fc.property(histories(true), fc.array(happening, { minLength: 9, maxLength: 9 }), (states, happenings) => {
        const [one, evidence] = [replica(us), createEvidence(0)]
        // It has seen the same names before, and none of the objects.
        const other = replica(us)
        const written = new Map<Manifest, Manifest>()
        let now = 1
        for (const [at, state] of states.entries()) {
          const { seen = [], probed = [], hours = 0, written: writes = false, blind = false } = happenings[at] ?? {}
          const manifests = state.map((manifest) => written.get(manifest) ?? manifest)
          const unlisted = new Set(blind ? ['ReferenceGrant'] : [])
          const kept = one(manifests, unlisted, evidence, now)
          const anew = other(strange(manifests), unlisted, evidence, now)
          expect([...kept.forms]).toEqual([...anew.forms])
          expect(kept.unproven).toEqual(anew.unproven)
          expect([kept.wiring.events, kept.wiring.wait]).toEqual([anew.wiring.events, anew.wiring.wait])
          evidence.settle(kept.forms, now)
          const rules = [...kept.forms.keys()]
          for (const [which, by] of seen) evidence.seen(rules[which % rules.length] ?? '', now, by)
          for (const [which, kind] of probed) {
            const outcome = kind === 'passed' ? { kind, status: 200 } : { kind }
            evidence.probed('Gateway infra/edge', rules[which % rules.length] ?? '', outcome, now)
          }
          now += hours * 3_600_000
          const [desired, wanted] = [kept.desired(), anew.desired()]
          expect(plain(desired)).toEqual(plain(wanted))
          expect(plain(kept.desired())).toEqual(plain(wanted))
          for (const { policy: of, ancestors } of writes ? desired.statuses : []) {
            const first = state.find((manifest) => (written.get(manifest) ?? manifest) === of)
            if (first !== undefined)
              written.set(first, { ...of, object: { ...(of.object as object), status: { ancestors } } })
          }
        }
      }),
      { numRuns: 200 },
    )
  })
})

/** What is said of the one policy of a small world that is wired as it should be. */
const enforced = ({ statuses: [status] }: Desired) =>
  status?.ancestors[0]?.conditions.find(({ type }) => type === 'Enforced')?.message

describe('a status is judged again', () => {
  const group = 'gateway.networking.k8s.io'
  const granted = manifest(`${group}/v1beta1`, 'ReferenceGrant', `${largeUs.namespace}/grant`, {
    spec: {
      from: [{ group, kind: 'HTTPRoute', namespace: 'team-0' }],
      to: [{ group: '', kind: 'Service', name: largeUs.name }],
    },
  })
  const bare = largeWorld(5)
  const world = [...bare, granted]
  const hour = 3_600_000
  const rules = ['one', 'two', 'three', 'open'].map((rule) => `team-0/route-0/${rule}`)
  const checked: Step['do'] = (evidence, now) => rules.forEach((rule) => evidence.seen(rule, now, 'gateway'))
  const passed: Step['do'] = (evidence, now) =>
    evidence.probed('Gateway infra/edge', 'team-0/route-0/two', { kind: 'passed', status: 200 }, now)

  interface Step {
    readonly manifests?: readonly Manifest[]
    readonly do?: (evidence: Evidence, now: number) => void
    readonly hours?: number
    readonly blind?: boolean
  }

  it.each<[string, Step, Step]>([
    ['where checks are seen', {}, { do: checked }],
    ['where a probe tells something', {}, { do: passed }],
    ['where what was seen is a day old', { do: checked }, { hours: 25 }],
    ['where the doctor finds something of a route', {}, { manifests: bare }],
    ['where grants can no more be listed', { manifests: bare }, { manifests: bare, blind: true }],
  ])('%s', (_, ...steps) => {
    const [state, evidence] = [replica(largeUs), createEvidence(0)]
    let now = 1
    const said = steps.map(({ manifests = world, do: happens, hours = 0, blind = false }) => {
      now += hours * hour
      const kept = state(manifests, new Set(blind ? ['ReferenceGrant'] : []), evidence, now)
      evidence.settle(kept.forms, now)
      happens?.(evidence, now)
      return enforced(kept.desired())
    })
    expect(new Set(said).size).toBe(2)
  })
})

describe.each([100, 2000])('of %i routes', (count) => {
  const world = largeWorld(count)

  /** Policies of which the status is judged again when these objects change. */
  function judged(...changed: readonly Manifest[]): readonly string[] {
    const [state, evidence] = [replica(largeUs), createEvidence(0)]
    const [first, second] = [world, withThese(world, ...changed)].map((manifests) =>
      state(manifests, new Set(), evidence, 1).desired(),
    )
    const before = new Set(first?.statuses)
    return (second?.statuses ?? []).filter((status) => !before.has(status)).map((status) => showObject(status.policy))
  }

  it.each<[string, readonly Manifest[], readonly string[]]>([
    ['nothing', [], []],
    ['a route without a policy', [route(7, 'new.test')], []],
    ['a route with one', [route(5, 'new.test')], ['AuthPolicy team-0/policy-1']],
    ['a policy', [policy(1, { mode: 'Shadow' })], ['AuthPolicy team-0/policy-1']],
  ])('a change of %s has no status judged again but what depends on it', (_, changed, expected) => {
    expect(judged(...changed)).toEqual(expected)
  })
})
