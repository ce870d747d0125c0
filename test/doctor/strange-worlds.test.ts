import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { worldOf } from '../../src/cluster/objects.ts'
import { allOf, createDoctor, examine } from '../../src/doctor/examine.ts'
import { inSteps } from '../../src/model/breath.ts'
import { needsAmong } from '../../src/doctor/rule-needs.ts'
import { byPlace } from '../../src/doctor/route-exam.ts'
import { showFix } from '../../src/doctor/diagnosis.ts'
import { parse, parseAllDocuments } from 'yaml'
import {
  examined,
  filter,
  gateway,
  gatewayClass,
  grpcFilter,
  manifest,
  needs,
  open,
  route,
  rule,
  thingsOf,
  us,
} from './wiring.ts'
import type { Thing } from './wiring.ts'

const kinds = ['GatewayClass', 'Gateway', 'HTTPRoute', 'GRPCRoute', 'ReferenceGrant', 'BackendTLSPolicy', 'Service']
const words = fc.constantFrom(
  '',
  '/',
  'gatehouse',
  'shop',
  'cart',
  'edge',
  'HTTP',
  'GRPC',
  'ExternalAuth',
  '/v1/check/',
  '*.',
  '\n: #',
  '__proto__',
)
const anything = fc.oneof(
  words,
  fc.constant(null),
  fc.integer(),
  fc.boolean(),
  fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<unknown>,
)

/** Replaces some values, deep inside, by anything at all. */
const spoil = (value: unknown, draw: () => unknown, often: () => boolean): unknown => {
  if (often()) return draw()
  if (Array.isArray(value)) return value.map((item) => spoil(item, draw, often))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, spoil(item, draw, often)]))
}

describe('objects of strange shape', () => {
  it('never throw, and never make a finding without a sentence', () => {
    const whole = [
      ...thingsOf({}),
      route([rule({ filters: [grpcFilter()] }), rule({ name: undefined }), open('/'), open('/cart')], {
        name: 'other',
      }),
    ]
    fc.assert(
      fc.property(fc.gen(), fc.integer({ min: 3, max: 40 }), (gen, rarity) => {
        const things = whole.map(
          ({ spec, status, ...head }) =>
            ({
              ...head,
              spec: spoil(
                spec,
                () => gen(() => anything),
                () => gen(fc.integer, { min: 0, max: rarity }) === 0,
              ),
              status,
            }) as Thing,
        )
        for (const one of examined({ rules: [needs(), needs({ reads: ['x-a'], clientCertificate: true })] }, things)) {
          expect(one.say).not.toBe('')
          expect(one.say.length).toBeLessThan(1200)
          showFix(one)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('never throw when they are no objects at all', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...kinds), anything), { maxLength: 12 }), (given) => {
        const manifests = given.map(([kind, object]) => ({
          ...manifest(route([], { name: 'x' })),
          kind,
          object,
        }))
        examine({ world: worldOf(manifests), us, rules: [needs()] })
      }),
    )
  })

  it.each([
    ['a path of a megabyte', route([rule(), open('/a'.repeat(500_000))])],
    [
      'a protected path of a megabyte',
      route([rule({ matches: [{ path: { value: '/a'.repeat(500_000) } }] }), open('/')]),
    ],
    [
      'a rule name of a megabyte',
      route([rule({ name: 'x'.repeat(1_000_000) }), rule({ name: 'x'.repeat(1_000_000) })]),
    ],
    ['an http.path of a megabyte', route([rule({ filters: [filter({ path: '/'.repeat(1_000_000) })] })])],
    [
      '10,000 matches',
      route([
        rule({ matches: Array.from({ length: 10_000 }, (_, at) => ({ path: { value: `/cart/${at}` } })) }),
        open('/'),
      ]),
    ],
    ['10,000 unnamed rules', route(Array.from({ length: 10_000 }, () => rule({ name: undefined })))],
    [
      '10,000 hostnames',
      route([rule(), open('/')], { spec: { hostnames: Array.from({ length: 10_000 }, (_, at) => `h${at}.example`) } }),
    ],
    [
      '10,000 parents',
      route([rule(), open('/')], {
        spec: { parentRefs: Array.from({ length: 10_000 }, (_, at) => ({ name: `g${at}` })) },
      }),
    ],
    [
      '10,000 headers in a match',
      route([
        rule({ matches: [{ headers: Array.from({ length: 10_000 }, (_, at) => ({ name: `h${at}`, value: 'x' })) }] }),
        open('/'),
      ]),
    ],
    [
      'all that the API takes, made to be compared with everything',
      route(
        [
          rule({
            matches: Array.from({ length: 128 }, (_, at) => ({
              path: { value: `/${at}${'/a'.repeat(500)}` },
              headers: Array.from({ length: 16 }, (_, header) => ({ name: `h${header}`, value: 'x' })),
            })),
          }),
          open('/z'),
        ],
        { spec: { hostnames: Array.from({ length: 16 }, (_, at) => `${'a.'.repeat(120)}h${at}`) } },
      ),
    ],
    ['a host of 500 kB', route([rule(), open('/')], { spec: { hostnames: ['a.'.repeat(250_000)] } })],
  ])('take bounded time and space: %s', (_, thing) => {
    const start = performance.now()
    const found = examined({ things: [thing] })
    expect(performance.now() - start).toBeLessThan(2000)
    expect(found.every(({ say, mend = '' }) => say.length + mend.length < 2000)).toBe(true)
  })
})

describe('a large cluster', () => {
  const things = Array.from({ length: 10_000 }, (_, at) =>
    route(
      [
        rule({ filters: [filter({ path: `/v1/check/shop/r${at}/pay/-` })] }),
        rule({
          name: 'read',
          matches: [{ path: { value: '/cart/items' }, method: 'GET' }],
          filters: [filter({ path: `/v1/check/shop/r${at}/read/-` })],
        }),
        open('/'),
        open('/help', { name: 'help' }),
      ],
      // Many on one host: each protected match could be compared with each open one.
      { name: `r${at}`, spec: { hostnames: [at % 2 === 0 ? 'shop.example' : `h${at}.example`] } },
    ),
  )
  const rules = things.flatMap(({ metadata: { name } }) =>
    ['pay', 'read'].map((one) => needs({ key: { namespace: 'shop', route: name, rule: one } })),
  )

  it('of 40,000 rules costs time in proportion, and finds every shadow', () => {
    const world = worldOf(thingsOf({ things }).map(manifest))
    world.of('HTTPRoute')
    const start = performance.now()
    const found = examine({ world, us, rules })
    const took = performance.now() - start
    // Of the base world's own route too, whose host the even half shares.
    expect(found.filter(({ code }) => code === 'shadowed-rule')).toHaveLength(20_001)
    expect(took).toBeLessThan(5000)
  })
})

it('finds the same in steps, and pauses between them', async () => {
  const things = Array.from({ length: 2500 }, (_, at) => route([rule(), open('/')], { name: `r${at}` }))
  const given = { world: worldOf(thingsOf({ things }).map(manifest)), us, rules: [needs()] }
  let pauses = 0
  const found = await inSteps(createDoctor(given)(given.world, needsAmong(given.rules)), async () => {
    pauses += 1
    await Promise.resolve()
  })
  expect(byPlace(allOf(found))).toEqual(examine(given))
  expect(pauses).toBeGreaterThan(10)
})

describe('the YAML of a fix', () => {
  it('reads back as what it is, whatever stands in it', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 5 }), (names) => {
        const found = examined({ rules: [needs({ injects: names })] }).find(
          ({ code }) => code === 'missing-response-header',
        )
        const [piece] = parse(showFix(found ?? expect.fail('no finding')) ?? '') as {
          externalAuth: { http: { allowedResponseHeaders: string[] } }
        }[]
        expect(new Set(piece?.externalAuth.http.allowedResponseHeaders)).toEqual(new Set([...lowest(names), 'x-user']))
      }),
    )
  })

  it('is whole objects where objects are missing', () => {
    const [found] = examined({ without: ['ReferenceGrant'] })
    const documents = parseAllDocuments(found === undefined ? '' : (showFix(found) ?? ''))
    expect(documents.map((one) => (one.toJS() as Thing).kind)).toEqual(['ReferenceGrant'])
  })

  it('is what the vendor asks for where the filter is not known', () => {
    expect(
      ['gateway.envoyproxy.io/gatewayclass-controller', 'kgateway.dev/kgateway', 'traefik.io/gateway-controller'].map(
        (name) => {
          const [found] = examined({ things: [{ ...(thingsOf({})[0] as Thing), spec: { controllerName: name } }] })
          return parseAllDocuments(found === undefined ? '' : (showFix(found) ?? '')).map(
            (one) => (one.toJS() as Thing).kind,
          )
        },
      ),
    ).toEqual([
      // The last piece is the list of filters without ours.
      ['SecurityPolicy', 'ReferenceGrant', undefined],
      ['GatewayExtension', 'TrafficPolicy', 'ReferenceGrant', undefined],
      ['Middleware', undefined],
    ])
  })

  it('leaves the filter where another gateway, which may honour it, serves the route too', () => {
    const cilium = gatewayClass('io.cilium/gateway-controller')
    const classes = [
      gatewayClass('traefik.io/gateway-controller'),
      { ...cilium, metadata: { ...cilium.metadata, name: 'inner' } },
    ]
    const shown = (...names: readonly string[]): string => {
      const parentRefs = names.map((name) => ({ name, namespace: 'infra' }))
      const things = [
        ...classes,
        gateway({ gatewayClassName: 'inner' }, 'inner'),
        route([rule()], { spec: { parentRefs } }),
      ]
      const one = examined({ things }).find(({ code }) => code === 'controller-ignores-filter')
      return one === undefined ? '' : (showFix(one) ?? '')
    }
    expect(shown('edge')).toContain('# HTTPRoute shop/cart: spec.rules[0].filters\nfilters:\n  - type: ExtensionRef')
    expect(shown('edge', 'inner')).toContain('kind: Middleware')
    expect(shown('edge', 'inner')).not.toContain('filters')
  })

  it('is that of the vendor where its controller has another name, and nothing where nobody can tell', () => {
    const shown = (controllerName: string) => {
      const status = { supportedFeatures: [{ name: 'HTTPRoute' }] }
      const [found] = examined({ things: [{ ...(thingsOf({})[0] as Thing), spec: { controllerName }, status }] })
      const documents = parseAllDocuments(found === undefined ? '' : (showFix(found) ?? ''))
      return [found?.code, ...documents.map((one) => (one.toJS() as Thing).kind)]
    }
    expect(shown('gateway.envoyproxy.io/second')).toEqual(['filter-not-supported', 'SecurityPolicy', 'ReferenceGrant'])
    expect(shown('kgateway.dev/other')).toEqual(['filter-not-supported'])
    expect(shown('example.com/gateway')).toEqual(['filter-not-supported'])
  })

  it('is the HTTPRoute that takes what a GRPCRoute does, where there is one', () => {
    const shown = (matches: readonly object[]): string => {
      const spec = {
        parentRefs: [{ name: 'edge', namespace: 'infra' }],
        rules: [{ matches, backendRefs: [{ name: 'rpc', port: 1 }] }],
      }
      const metadata = { namespace: 'shop', name: 'rpc' }
      const things = [{ apiVersion: 'gateway.networking.k8s.io/v1', kind: 'GRPCRoute', metadata, spec }]
      return examined({ things })
        .map((one) => showFix(one) ?? '')
        .join('')
    }
    expect(shown([{ method: { type: 'RegularExpression', service: '.*' } }])).toBe('')
    expect(shown([{ method: { method: 'Pay' } }])).toBe('')
    expect(shown([{ method: { service: 'shop.Cart', method: 'Pay' } }, { method: { service: 'shop.Cart' } }]))
      .toMatchInlineSnapshot(`
      "apiVersion: gateway.networking.k8s.io/v1
      kind: HTTPRoute
      metadata:
        namespace: shop
        name: rpc
      spec:
        parentRefs:
          - group: gateway.networking.k8s.io
            kind: Gateway
            namespace: infra
            name: edge
        rules:
          - name: rule-1
            matches:
              - path:
                  type: Exact
                  value: /shop.Cart/Pay
                method: POST
              - path:
                  type: PathPrefix
                  value: /shop.Cart
                method: POST
            filters:
              - type: ExternalAuth
                externalAuth:
                  protocol: HTTP
                  backendRef:
                    name: gatehouse
                    namespace: gatehouse
                    port: 9002
                  http:
                    path: /v1/check/shop/rpc/rule-1/-
                    allowedResponseHeaders:
                      - x-gatehouse
            backendRefs:
              - name: rpc
                port: 1
      "
    `)
  })
})

/** The last spelling of each name. */
const lowest = (names: readonly string[]): readonly string[] => [
  ...new Map(names.map((name) => [name.toLowerCase(), name])).values(),
]
