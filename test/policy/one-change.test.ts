import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { createCompiler } from '../../src/policy/compile.ts'
import type { Compilation } from '../../src/policy/compile.ts'
import { showObject } from '../../src/policy/manifest.ts'
import type { Manifest } from '../../src/policy/manifest.ts'
import type { Policy, Rule } from '../../src/policy/snapshot.ts'
import { offlineServices } from '../../src/services.ts'
import { histories, strange, us } from '../support/changing-world.ts'
import { gateway, largeWorld, policy, route, secret, us as largeUs, withThese } from '../support/large-world.ts'
import { request } from '../support/make.ts'
import type { RequestGiven } from '../support/make.ts'
import { readManifests } from '../support/manifests.ts'

const services = offlineServices()
afterAll(() => services.close())

const keys = ['shop', 'team', 'infra', 'none'].flatMap((namespace) =>
  ['r1', 'r2', 'gone'].flatMap((route) => ['one', 'two', '_'].map((rule) => ({ namespace, route, rule }))),
)

const requests = ['a.test', 'b.test', 'c.test', 'elsewhere'].flatMap((authority) =>
  ['/', '/a', '/a/b/c', '/x?y=1'].flatMap((target) =>
    ['GET', 'POST'].flatMap((method): readonly RequestGiven[] => [
      { authority, target, method, via: 'matching', claim: { kind: 'match' } },
      { authority, target, method, via: 'grpc', claim: { kind: 'match' }, headers: { 'x-tenant': 'one' } },
    ]),
  ),
)
const checks = requests.map((given) => request({ ...given, via: 'check' }))
const matched = requests.map(request)

const policyOf = ({ name, mode, guest, authenticators, conditions, managed, remove, reads }: Policy) => ({
  name,
  mode,
  guest,
  managed,
  remove,
  reads,
  conditions: conditions.length,
  methods: authenticators.map((one) => one.name),
})

const ruleOf = ({ policy, contested, ...rule }: Rule) => ({
  ...rule,
  policy: policy && policyOf(policy),
  contested: contested && checks.map(contested),
})

/** Everything that can be asked of a compilation. */
function answers({ snapshot, protectedRules, problems, reports }: Compilation) {
  const answered = {
    protectedRules,
    problems,
    rules: snapshot.rules.map(ruleOf),
    known: keys.map((key) => {
      const rule = snapshot.rule(key)
      return rule && ruleOf(rule)
    }),
    matched: matched.map((one) => {
      const found = snapshot.match(one)
      return { ...found, rule: found.rule && ruleOf(found.rule) }
    }),
    reports: reports().map(({ manifest, ...report }) => ({ ...report, manifest: showObject(manifest) })),
  }
  snapshot.release()
  return answered
}

describe.each([
  ['in a cluster', us],
  ['in a directory', undefined],
])('what is kept of the state before, %s', (_, ours) => {
  it('never shows: each state is as it is for somebody who sees it first', () => {
    fc.assert(
      fc.property(histories(false), (states) => {
        const compile = createCompiler(services, ours)
        for (const manifests of states)
          expect(answers(compile(manifests))).toEqual(answers(createCompiler(services, ours)(strange(manifests))))
      }),
      { numRuns: 150 },
    )
  })

  it('is the last good version of what is broken, and nothing else', () => {
    fc.assert(
      fc.property(histories(true), (states) => {
        const compile = createCompiler(services, ours)
        // It has seen the same names before, and none of the objects.
        const other = createCompiler(services, ours)
        for (const manifests of states) expect(answers(compile(manifests))).toEqual(answers(other(strange(manifests))))
      }),
      { numRuns: 150 },
    )
  })
})

interface Cost {
  readonly read: readonly string[]
  readonly rules: readonly string[]
  readonly reports: number
}

/** What of a world is looked at again, and which rules and reports are others than before, when these objects change. */
function cost(routes: number, ...changed: readonly Manifest[]): Cost {
  const read = new Set<string>()
  const watched = (one: Manifest): Manifest =>
    Object.defineProperty({ ...one }, 'object', {
      get: () => {
        read.add(showObject(one))
        return one.object
      },
    })
  const compile = createCompiler(services, largeUs)
  const world = largeWorld(routes).map(watched)
  const first = compile(world)
  const [rules, reports] = [new Set(first.snapshot.rules), new Set(first.reports())]
  read.clear()
  const second = compile(withThese(world, ...changed.map(watched)))
  first.snapshot.release()
  second.snapshot.release()
  return {
    read: [...read],
    rules: second.snapshot.rules.flatMap((rule) => (rules.has(rule) ? [] : rule.id)),
    reports: second.reports().filter((report) => !reports.has(report)).length,
  }
}

describe.each([100, 2000])('of %i routes', (routes) => {
  const four = (name: string): readonly string[] =>
    ['one', 'two', 'three', 'open'].map((rule) => `team-0/${name}/${rule}`)

  it.each<[string, readonly Manifest[], Cost]>([
    ['nothing', [], { read: [], rules: [], reports: 0 }],
    [
      'a route without a policy',
      [route(7, 'new.test')],
      { read: ['HTTPRoute team-0/route-7'], rules: four('route-7'), reports: 0 },
    ],
    [
      'a route with one',
      [route(5, 'new.test')],
      { read: ['HTTPRoute team-0/route-5'], rules: four('route-5'), reports: 1 },
    ],
    [
      'a policy',
      [policy(1, { mode: 'Shadow' })],
      { read: ['AuthPolicy team-0/policy-1'], rules: four('route-5'), reports: 1 },
    ],
    ['what a Gateway tells of itself', [gateway(1)], { read: ['Gateway infra/edge'], rules: [], reports: 0 }],
  ])('a change of %s makes nothing anew but what depends on it', (_, changed, expected) => {
    expect(cost(routes, ...changed)).toEqual(expected)
  })

  it('a changed Secret makes the policies anew that refer to it', () => {
    const { read, rules, reports } = cost(routes, secret('team-0', 'another-key-that-nobody-has'))
    expect({ read, rules: rules.length, reports }).toEqual({ read: ['Secret team-0/keys'], rules: 80, reports: 20 })
  })
})

describe('a set of listeners', () => {
  const world = (takes: string | undefined): readonly Manifest[] =>
    readManifests(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { namespace: shop, name: cart }
spec: { parentRefs: [{ kind: ListenerSet, name: more }], rules: [{ name: pay }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: { namespace: shop, name: more }
spec:
  parentRef: { namespace: infra, name: edge }
  listeners: [{ name: b, port: 80, protocol: HTTP, hostname: b.test }]
${
  takes === undefined
    ? ''
    : `---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { namespace: infra, name: edge }
spec: { gatewayClassName: any, allowedListeners: { namespaces: { from: ${takes} } } }`
}`)
  const hosts = (compile: ReturnType<typeof createCompiler>, manifests: readonly Manifest[]) =>
    compile(manifests).snapshot.rules.map(({ hostnames }) => hostnames)

  it('counts no more once a Gateway is known that does not take it, and again once that does', () => {
    const compile = createCompiler(services, us)
    const [route, set] = world(undefined)
    const gateways = ['None', 'All', 'Same'].map((takes) => world(takes)[2])
    const states = [[route, set], ...gateways.map((one) => [route, set, one])]
    expect(
      states.map((state) =>
        hosts(
          compile,
          state.flatMap((one) => one ?? []),
        ),
      ),
    ).toEqual([[['b.test']], [[]], [['b.test']], [[]]])
  })
})
