import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { worldOf } from '../../src/cluster/objects.ts'
import type { Diagnosis } from '../../src/doctor/diagnosis.ts'
import { allOf, createDoctor, examine } from '../../src/doctor/examine.ts'
import type { Doctor, Examination } from '../../src/doctor/examine.ts'
import { byPlace } from '../../src/doctor/route-exam.ts'
import { needsByRoute, ruleNeeds } from '../../src/doctor/rule-needs.ts'
import { createCompiler } from '../../src/policy/compile.ts'
import type { Compiler } from '../../src/policy/compile.ts'
import { distinct } from '../../src/policy/distinct.ts'
import { showObject } from '../../src/policy/manifest.ts'
import type { Manifest } from '../../src/policy/manifest.ts'
import { offlineServices } from '../../src/services.ts'
import { histories, strange, us } from '../support/changing-world.ts'
import { gateway, largeWorld, policy, route, us as largeUs, withThese } from '../support/large-world.ts'

const services = offlineServices()
afterAll(() => services.close())

const readable = (manifests: readonly Manifest[]): readonly Manifest[] => distinct(manifests, () => undefined).all

function seen(doctor: Doctor, compile: Compiler, manifests: readonly Manifest[]): Examination {
  const { sites, snapshot } = compile(manifests)
  snapshot.release()
  const steps = doctor(worldOf(readable(manifests)), needsByRoute(sites))
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
  }
}

const plain = (findings: readonly Diagnosis[]): readonly object[] =>
  findings.map(({ object, ...finding }) => ({
    ...finding,
    object: showObject(object),
    fix: JSON.stringify(finding.fix),
  }))

describe.each([
  ['in a cluster', us],
  ['in a directory', undefined],
])('what the doctor keeps of the state before, %s', (_, ours) => {
  it('never shows: each state has the findings that somebody makes who sees it first', () => {
    fc.assert(
      fc.property(histories(true), fc.constantFrom('loopback' as const, 'others' as const), (states, trust) => {
        const settled = { us: ours, trust }
        const [doctor, compile] = [createDoctor(settled), createCompiler(services, ours)]
        for (const manifests of states) {
          const found = seen(doctor, compile, manifests)
          const { sites, snapshot } = compile(manifests)
          snapshot.release()
          const anew = examine({ ...settled, world: worldOf(strange(readable(manifests))), rules: ruleNeeds(sites) })
          expect(plain(byPlace(allOf(found)))).toEqual(plain(anew))
        }
      }),
      { numRuns: 150 },
    )
  })
})

/** The routes that are examined again when these objects change, and the findings that are others than before. */
function cost(world: readonly Manifest[], ...changed: readonly Manifest[]) {
  const [doctor, compile] = [createDoctor({ us: largeUs, trust: 'others' }), createCompiler(services, largeUs)]
  const first = seen(doctor, compile, world)
  const second = seen(doctor, compile, withThese(world, ...changed))
  const before = new Set(allOf(first))
  const routes = [...second.routes].flatMap(([namespace, all]) =>
    [...all].flatMap(([name, found]) =>
      first.routes.get(namespace)?.get(name) === found ? [] : `${namespace}/${name}`,
    ),
  )
  return { routes, findings: allOf(second).filter((one) => !before.has(one)).length }
}

describe.each([100, 2000])('of %i routes', (count) => {
  const world = largeWorld(count)

  it.each<[string, readonly Manifest[], readonly string[]]>([
    ['nothing', [], []],
    ['a route without a policy', [route(7, 'new.test')], ['team-0/route-7']],
    ['a route with one', [route(5, 'new.test')], ['team-0/route-5']],
    ['a policy', [policy(1, { mode: 'Shadow' })], ['team-0/route-5']],
    ['what a Gateway tells of itself', [gateway(1)], []],
  ])('a change of %s has nothing examined but what depends on it', (_, changed, routes) => {
    const { findings, ...found } = cost(world, ...changed)
    expect(found).toEqual({ routes })
    expect(findings).toBeLessThan(20)
  })

  it('a route that comes to the host of others has those examined for what it shadows', () => {
    const hosts = [1, 2, 3].map((at) => route(at, 'shared.test'))
    expect(cost(withThese(world, ...hosts), route(9, 'shared.test')).routes).toEqual([
      'team-0/route-1',
      'team-0/route-2',
      'team-0/route-3',
      'team-0/route-9',
    ])
  })
})
