import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { resolve } from '../../src/engine/resolve.ts'
import type { Via } from '../../src/model/request.ts'
import { createCompiler } from '../../src/policy/compile.ts'
import type { Compiler } from '../../src/policy/compile.ts'
import type { Snapshot } from '../../src/policy/snapshot.ts'
import { offlineServices } from '../../src/services.ts'
import { request } from '../support/make.ts'
import type { RequestGiven } from '../support/make.ts'
import { readManifests } from '../support/manifests.ts'

/* GATEWAYS.md R4: the key in a filter is the word of a route's owner, and may be another rule's. */

const services = offlineServices()
afterAll(() => services.close())

const cluster = { namespace: 'gatehouse', name: 'gatehouse', ports: { grpc: 9001, http: 9002, matching: 9003 } }
type At = typeof cluster | 'directory'
const compilerOf = (at: At): Compiler => (at === 'directory' ? createCompiler(services) : createCompiler(services, at))

const pay = { namespace: 'shop', route: 'cart', rule: 'pay' }
const key = '/v1/check/shop/cart/pay/-'
const world = 'gateway.networking.k8s.io'

interface RuleGiven {
  readonly name: string
  readonly match?: object
  readonly path?: string
}

interface RouteGiven {
  readonly name: string
  readonly namespace?: string
  readonly hosts?: readonly string[]
  readonly created?: string | undefined
  readonly at?: string
  /** Gateways that took it, where any did. */
  readonly taken?: readonly string[]
  readonly rules: readonly RuleGiven[]
}

const route = ({
  name,
  namespace = 'shop',
  hosts = ['shop.example'],
  created,
  at = 'edge',
  taken,
  rules,
}: RouteGiven) => ({
  apiVersion: `${world}/v1`,
  kind: 'HTTPRoute',
  metadata: { namespace, name, ...(created === undefined ? {} : { creationTimestamp: created }) },
  spec: {
    hostnames: hosts,
    parentRefs: [{ namespace: 'infra', name: at }],
    rules: rules.map(({ name: called, match = {}, path = `/v1/check/${namespace}/${name}/${called}/-` }) => ({
      name: called,
      matches: [match],
      filters: [
        {
          type: 'ExternalAuth',
          externalAuth: {
            protocol: 'HTTP',
            backendRef: { name: 'gatehouse', namespace: 'gatehouse', port: 9002 },
            http: { path, allowedResponseHeaders: ['x-user'] },
          },
        },
      ],
    })),
  },
  ...(taken === undefined
    ? {}
    : {
        status: {
          parents: taken.map((one) => ({
            parentRef: { namespace: 'infra', name: one },
            controllerName: 'gateway.nginx.org/nginx-gateway-controller',
            conditions: [{ type: 'Accepted', status: 'True' }],
          })),
        },
      }),
})

const policy = (name: string, ambiguousPath = 'Deny') => ({
  apiVersion: 'gatehouse.dev/v1alpha1',
  kind: 'AuthPolicy',
  metadata: { namespace: 'shop', name },
  spec: {
    targetRefs: [{ group: world, kind: 'HTTPRoute', name }],
    guest: { subject: 'visitor' },
    authorization: [{ cel: "request.method == 'GET'" }],
    ambiguousPath,
  },
})

const prefix = (value: string, more: object = {}): object => ({ path: { type: 'PathPrefix', value }, ...more })
const exact = (value: string): object => ({ path: { type: 'Exact', value } })
const regex = (value: string): object => ({ path: { type: 'RegularExpression', value } })

const cart = (some: Partial<RouteGiven> = {}, match: object = prefix('/pay')): object =>
  route({ name: 'cart', created: '2026-10-01T00:00:00Z', taken: ['edge'], rules: [{ name: 'pay', match }], ...some })

/** A route of the same namespace whose only rule carries the key of `pay`. */
const copied = (match: object, some: Partial<RouteGiven> = {}): object =>
  route({
    name: 'copy',
    created: '2026-11-01T00:00:00Z',
    taken: ['edge'],
    rules: [{ name: 'all', match, path: key }],
    ...some,
  })

const snapshot = (objects: readonly object[], at: At): Snapshot =>
  compilerOf(at)(readManifests(objects.map((one) => JSON.stringify(one)).join('\n---\n'))).snapshot

/** The rule, or why there is none, of a check that names `pay`. */
function told(objects: readonly object[], given: RequestGiven, at: At = cluster): string {
  const resolution = resolve(snapshot(objects, at), request({ claim: { kind: 'key', key: pay }, ...given }))
  return resolution.kind === 'rule' ? resolution.rule.id : resolution.reason
}

const ours = 'shop/cart/pay'
const theirs = 'identity-mismatch'

describe.each<readonly [string, At]>([
  ['in a cluster', cluster],
  ['in a directory', 'directory'],
])('R4 a key that another rule of the namespace carries, %s', (_, at) => {
  it.each<readonly [string, object, string, string]>([
    ['its own request', copied(prefix('/admin')), '/pay/1', ours],
    ["the other's request", copied(prefix('/admin')), '/admin/1', theirs],
    ["the other's request below its own", copied(prefix('/pay/admin')), '/pay/admin/1', theirs],
    ['its own request below the other', copied(prefix('/')), '/pay/1', ours],
    ['a request that only the other one has', copied(prefix('/')), '/else', theirs],
    ['an exact path of the other', copied(exact('/pay/1')), '/pay/1', theirs],
    ['an exact path of the other, and the one beside it', copied(exact('/pay/1')), '/pay/2', ours],
    ['the same path, by a younger route', copied(prefix('/pay')), '/pay/1', ours],
    ['the same path, by an older route', copied(prefix('/pay'), { created: '2026-01-01T00:00:00Z' }), '/pay/1', theirs],
    ['the same path, by a route of unknown age', copied(prefix('/pay'), { created: undefined }), '/pay/1', theirs],
    ['a pattern, which each gateway ranks as it likes', copied(regex('/p.*')), '/pay/1', theirs],
    [
      'a header that the gateway does not send',
      copied(prefix('/pay', { headers: [{ name: 'x-a', value: '1' }] })),
      '/pay/1',
      theirs,
    ],
    ['another method', copied(prefix('/pay', { method: 'POST' })), '/pay/1', ours],
    ['a nearer host', copied(prefix('/'), { hosts: ['shop.example'] }), '/pay/1', ours],
    ['a path that can be read in two ways', copied(prefix('/admin')), '/pay/../admin', theirs],
    [
      'a key with more behind it',
      copied(prefix('/x'), { rules: [{ name: 'all', match: prefix('/x'), path: `${key}/y` }] }),
      '/y/x/1',
      theirs,
    ],
    [
      'the same, with its own path',
      copied(prefix('/x'), { rules: [{ name: 'all', match: prefix('/x'), path: `${key}/y` }] }),
      '/pay/x',
      ours,
    ],
    ['hosts that do not meet', copied(prefix('/'), { hosts: ['other.example'] }), '/else', ours],
  ])('%s', (__, other, target, expected) => {
    expect(told([cart(), other, policy('cart', 'AsSent')], { target }, at)).toBe(expected)
  })

  it('a nearer host of the other, and a farther one', () => {
    const wide = cart({ hosts: ['*.example'] })
    const narrow = copied(prefix('/pay'), { hosts: ['shop.example'] })
    expect(told([wide, narrow, policy('cart')], { target: '/pay/1' }, at)).toBe(theirs)
    expect(told([wide, narrow, policy('cart')], { target: '/pay/1', authority: 'other.example' }, at)).toBe(ours)
    expect(
      told([cart(), copied(prefix('/pay'), { hosts: ['*.example'] }), policy('cart')], { target: '/pay/1' }, at),
    ).toBe(ours)
  })

  it('a rule of the same route', () => {
    const both = [
      { name: 'pay', match: prefix('/pay') },
      { name: 'admin', match: prefix('/pay/admin'), path: key },
    ]
    const world_ = [cart({ rules: both }), policy('cart')]
    expect(told(world_, { target: '/pay/1' }, at)).toBe(ours)
    expect(told(world_, { target: '/pay/admin' }, at)).toBe(theirs)
  })

  it('costs nothing where nobody carries it, and nothing over gRPC or in the dialects of proxies', () => {
    const alone = snapshot([cart(), policy('cart')], at)
    expect(alone.rule(pay)?.contested).toBeUndefined()
    const world_ = [cart(), copied(prefix('/admin')), policy('cart')]
    expect(snapshot(world_, at).rule(pay)?.contested).toBeTypeOf('function')
    expect(snapshot(world_, at).rule({ ...pay, route: 'copy', rule: 'all' })?.contested).toBeUndefined()
    for (const via of ['grpc', 'nginx', 'traefik', 'caddy', 'haproxy'] satisfies Via[])
      expect(told(world_, { target: '/admin/1', via }, at)).toBe(ours)
  })

  it('is told apart for NGINX Gateway Fabric too, which calls a path of its own', () => {
    const rules = [{ name: 'all', match: prefix('/admin'), path: '/v1/ngf/shop/cart/pay' }]
    const world_ = [cart(), copied({}, { rules }), policy('cart')]
    expect(told(world_, { target: '/admin/1', via: 'ngf' }, at)).toBe(theirs)
    expect(told(world_, { target: '/pay/1', via: 'ngf' }, at)).toBe(ours)
  })

  it('has the same rule again as long as nothing changes, and another when the carrier goes', () => {
    const compile = compilerOf(at)
    const [one, two, three] = [cart(), copied(prefix('/admin')), policy('cart')].map((each) =>
      readManifests(JSON.stringify(each)),
    )
    const all = [...(one ?? []), ...(two ?? []), ...(three ?? [])]
    const [first, again] = [compile(all), compile(all)].map((made) => made.snapshot.rule(pay))
    expect(again).toBe(first)
    expect(compile([...(one ?? []), ...(three ?? [])]).snapshot.rule(pay)?.contested).toBeUndefined()
  })
})

describe('R4 a key that a rule of another namespace carries', () => {
  const stranger = (match: object, some: Partial<RouteGiven> = {}): object =>
    copied(match, { namespace: 'mallory', ...some })

  it.each<readonly [string, object, string, string]>([
    ['its request, at a gateway that took it', stranger(prefix('/admin')), '/admin/1', theirs],
    ['a nearer path, at a gateway that took it', stranger(prefix('/pay/1')), '/pay/1', theirs],
    ['the same path, by a younger route', stranger(prefix('/pay')), '/pay/1', ours],
    ['every path', stranger(prefix('/')), '/pay/1', ours],
    ['no gateway took it', stranger(exact('/pay/1'), { taken: [] }), '/pay/1', ours],
    ['another gateway took it', stranger(exact('/pay/1'), { at: 'own', taken: ['own'] }), '/pay/1', ours],
    ['it names our gateway, and only its own took it', stranger(exact('/pay/1'), { taken: ['own'] }), '/pay/1', ours],
    ['a pattern that some gateways prefer', stranger(regex('/.*')), '/pay/1', ours],
    [
      'a header that nobody sends us',
      stranger(prefix('/pay', { headers: [{ name: 'x-a', value: '1' }] })),
      '/pay/1',
      ours,
    ],
    ['a path that can be read in two ways', stranger(prefix('/')), '/pay/../x', ours],
    [
      'a key with more behind it',
      stranger({}, { rules: [{ name: 'all', match: prefix('/'), path: `${key}/pay` }] }),
      '/pay/1',
      ours,
    ],
  ])('takes nothing from it that is not its own: %s', (_, other, target, expected) => {
    expect(told([cart(), other, policy('cart', 'AsSent')], { target })).toBe(expected)
  })

  it('takes nothing by the query that a gateway leaves out of its checks', () => {
    const asked = cart({}, prefix('/pay', { queryParams: [{ name: 'a', value: '1' }] }))
    expect(told([asked, stranger(prefix('/')), policy('cart')], { target: '/pay/1' })).toBe(ours)
  })

  it('takes nothing by their number, and no more time than a few', () => {
    const many = Array.from({ length: 1100 }, (_, index) =>
      stranger(regex(`/a{${index % 9}}.*`), { name: `copy-${index}` }),
    )
    const made = snapshot([cart(), ...many, policy('cart')], cluster)
    const { contested } = made.rule(pay) ?? {}
    expect(contested?.(request({ target: '/pay/1' }))).toBe(false)
  })
})

it('a key that too many rules of its own namespace carry is refused: whose a request is would take too long', () => {
  const rules = [{ name: 'all', path: key }]
  const many = Array.from({ length: 1100 }, (_, index) => copied({}, { name: `copy-${index}`, rules }))
  const made = snapshot([cart(), ...many, policy('cart')], cluster)
  expect(made.rule(pay)?.contested?.(request({ target: '/pay/1' }))).toBe(true)
})

it('R4 tells two rules apart exactly as matching does, whatever they match', () => {
  const path = fc.constantFrom('/', '/pay', '/pay/', '/pay/a', '/payload', '/b')
  const some = fc.record({
    path: fc.record({ type: fc.constantFrom('Exact', 'PathPrefix', 'RegularExpression'), value: path }),
    method: fc.option(fc.constantFrom('GET', 'POST'), { nil: undefined }),
    queryParams: fc.constantFrom([], [{ name: 'q', value: '1' }]),
  })
  const hosts = fc.constantFrom(['shop.example'], ['*.example'], [])
  const age = fc.constantFrom('2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z', undefined)
  const side = fc.record({ match: some, hosts, age })
  // Without a query, matching takes it that there was none, and a check by key that the gateway may have left it out.
  const target = fc.constantFrom(
    '/?',
    '/pay?',
    '/pay/a?',
    '/pay/a/b?q=1',
    '/pay?q=1',
    '/payload?q=2',
    '/b?q=1',
    '/none?',
  )
  const seen = { ours: 0, theirs: 0 }
  fc.assert(
    fc.property(side, side, target, (mine, other, asked) => {
      const objects = [
        cart({ hosts: mine.hosts, created: mine.age }, mine.match),
        copied(other.match, { hosts: other.hosts, created: other.age }),
        policy('cart'),
        policy('copy'),
      ]
      const given = { target: asked, authority: 'shop.example' }
      const made = snapshot(objects, 'directory').match(
        request({ ...given, via: 'matching', claim: { kind: 'match' } }),
      )
      // Neither has the request: the key alone tells.
      const expected = made.kind === 'rule' ? made.rule.id : made.reason === 'no-match' ? ours : theirs
      seen[expected === ours ? 'ours' : 'theirs'] += 1
      expect(told(objects, given, 'directory')).toBe(expected === ours ? ours : theirs)
    }),
    { numRuns: 300 },
  )
  // Both come about, the rarer one some thirty times.
  expect(Math.min(seen.ours, seen.theirs)).toBeGreaterThan(3)
})

it('in a directory, whoever carries a key is the operator: all of them count', () => {
  const other = copied(regex('/p.*'), { namespace: 'mallory', taken: [] })
  expect(told([cart(), other, policy('cart')], { target: '/pay/1' }, 'directory')).toBe(theirs)
})
