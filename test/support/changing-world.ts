import fc from 'fast-check'
import type { Manifest } from '../../src/policy/manifest.ts'

/* Small worlds of everything that bears on everything else, and edits of them: what is kept between two states is held against what is made anew. */

export const us = { namespace: 'infra', name: 'gatehouse', ports: { grpc: 9001, http: 9002, matching: 9003 } }
const group = 'gateway.networking.k8s.io'

type Fields = Readonly<Record<string, unknown>>

/** A place in the world: what stands there may be changed, broken, taken away and put back. */
interface Slot {
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly content: fc.Arbitrary<Fields>
}

const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined })
const some = <T>(...all: readonly T[]): fc.Arbitrary<T[]> => fc.subarray([...all])
const defined = (fields: Fields): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

const parents = [
  { namespace: 'infra', name: 'edge' },
  { namespace: 'infra', name: 'edge', sectionName: 'web' },
  { namespace: 'shop', name: 'own' },
  { namespace: 'shop', name: 'away' },
  { kind: 'ListenerSet', namespace: 'shop', name: 'more' },
  { group: '', kind: 'Service', namespace: 'shop', name: 'backend' },
]

const keys = ['shop/r1/one', 'shop/r2/two', 'team/r1/one', 'shop/r1/_', 'infra/r1/one', 'shop/gone/one']

const filter = fc.oneof(
  fc.constant([]),
  fc
    .record({
      port: fc.constantFrom(9001, 9002, 9003, 7000),
      path: maybe(fc.constantFrom(...keys.map((key) => `/v1/check/${key}/-`), '/v1/ngf/shop/r1/one', '/other')),
      sends: some('x-user', 'content-length'),
      reads: some('x-tenant', 'cookie'),
      service: fc.constantFrom('gatehouse', 'gatehouse', 'gatehouse', 'another'),
    })
    .map(({ port, path, sends, reads, service }) => [
      {
        type: 'ExternalAuth',
        externalAuth: {
          protocol: port === 9001 ? 'GRPC' : 'HTTP',
          backendRef: { namespace: 'infra', name: service, port },
          ...(port === 9001
            ? { grpc: { allowedHeaders: reads } }
            : { http: defined({ path, allowedHeaders: reads, allowedResponseHeaders: sends }) }),
        },
      },
    ]),
)

const match = fc
  .record({
    path: maybe(
      fc.constantFrom(
        { type: 'PathPrefix', value: '/' },
        { type: 'PathPrefix', value: '/a' },
        { type: 'PathPrefix', value: '/a/b' },
        { type: 'Exact', value: '/a' },
        { type: 'RegularExpression', value: '/a.*' },
        { type: 'RegularExpression', value: '/(?=a)' },
      ),
    ),
    method: maybe(fc.constantFrom('GET', 'POST')),
    headers: maybe(fc.constant([{ name: 'x-tenant', value: 'one' }])),
  })
  .map(defined)

const rule = fc
  .record({
    name: maybe(fc.constantFrom('one', 'two', 'three')),
    matches: maybe(fc.array(match, { maxLength: 2 })),
    filters: filter,
    backendRefs: fc.constant([{ name: 'backend', port: 80 }]),
    // A misspelt key.
    match: maybe(fc.constant([])),
  })
  .map(defined)

const status = fc
  .array(
    fc.record({
      parentRef: fc.constantFrom(...parents),
      controllerName: fc.constantFrom('example.com/one', 'gateway.nginx.org/nginx-gateway-controller'),
      conditions: fc.constantFrom('True', 'False').map((said) => [
        { type: 'Accepted', status: said, reason: 'Accepted' },
        { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs' },
      ]),
    }),
    { maxLength: 3 },
  )
  .map((answers) => ({ parents: answers }))

const route = fc
  .record({
    parentRefs: some(...parents),
    useDefaultGateways: maybe(fc.constant('All')),
    hostnames: some('a.test', 'b.test', '*.test'),
    rules: fc.array(rule, { minLength: 1, maxLength: 3 }),
  })
  .chain((spec) => maybe(status).map((said) => defined({ spec: defined(spec), status: said })))

const listener = fc
  .record({
    name: fc.constantFrom('web', 'other'),
    port: fc.constantFrom(80, 443),
    protocol: fc.constantFrom('HTTP', 'HTTPS'),
    hostname: maybe(fc.constantFrom('a.test', '*.test')),
    allowedRoutes: maybe(fc.constantFrom('All', 'Same').map((from) => ({ namespaces: { from } }))),
  })
  .map(defined)
const listeners = fc.array(listener, { maxLength: 2 })

const gateway = fc
  .record({
    gatewayClassName: fc.constantFrom('edge', 'none'),
    defaultScope: maybe(fc.constant('All')),
    listeners,
    allowedListeners: maybe(fc.constantFrom('All', 'Same', 'None').map((from) => ({ namespaces: { from } }))),
  })
  // Its status changes with every route.
  .chain((spec) => fc.nat(3).map((count) => ({ spec: defined(spec), status: { addresses: [], listeners: [count] } })))

const listenerSet = listeners.map((all) => ({
  spec: { parentRef: { namespace: 'infra', name: 'edge' }, listeners: all },
}))

const target = fc
  .record({
    kind: fc.constantFrom('HTTPRoute', 'HTTPRoute', 'Gateway'),
    name: fc.constantFrom('r1', 'r2', 'edge', 'own', 'away', 'gone'),
    sectionName: maybe(fc.constantFrom('one', 'two', 'web', 'nothing')),
  })
  .map((one) => defined({ group, ...one }))

const policy = fc
  .record({
    targetRefs: fc.array(target, { minLength: 1, maxLength: 2 }),
    strategy: maybe(fc.constant('Overrides')),
    mode: maybe(fc.constant('Shadow')),
    guest: fc.constantFrom('visitor', 'stranger').map((subject) => ({ subject })),
    authentication: maybe(fc.constant([{ name: 'keys', apiKey: { keysRef: { name: 'keys' } } }])),
    authorization: maybe(fc.constantFrom([{ cel: "request.method == 'GET'" }], [{ cel: 'nonsense(' }])),
    response: maybe(
      fc.constantFrom('x-user', 'x-tenant').map((name) => ({ headers: [{ name, value: { text: 'a' } }] })),
    ),
  })
  .map((spec) => ({ spec: defined(spec) }))

const secret = fc
  .constantFrom('a-key-of-the-first-kind-0001', 'a-key-of-the-second-kind-002')
  .map((key) => ({ stringData: { one: key } }))

const grant = some('shop', 'team').map((namespaces) => ({
  spec: {
    from: namespaces.map((namespace) => ({ group, kind: 'HTTPRoute', namespace })),
    to: [{ group: '', kind: 'Service', name: 'gatehouse' }],
  },
}))

const nothing = fc.constant({})
const slot = (kind: string, place: string, content: fc.Arbitrary<Fields>): Slot => {
  const [namespace = '', name = ''] = place.split('/')
  return { kind, namespace, name, content }
}

const slots: readonly Slot[] = [
  slot('AuthPolicy', 'shop/p1', policy),
  slot('AuthPolicy', 'shop/p2', policy),
  slot('AuthPolicy', 'infra/p1', policy),
  slot('AuthPolicy', 'team/p1', policy),
  slot('HTTPRoute', 'shop/r1', route),
  slot('HTTPRoute', 'shop/r2', route),
  slot('HTTPRoute', 'team/r1', route),
  slot('HTTPRoute', 'infra/r1', route),
  // Second ones of a name.
  slot('HTTPRoute', 'shop/r1', route),
  slot('AuthPolicy', 'shop/p1', policy),
  slot('HTTPRout', 'team/r2', route),
  slot('Gateway', 'infra/edge', gateway),
  slot('Gateway', 'shop/own', gateway),
  slot('ListenerSet', 'shop/more', listenerSet),
  slot('Secret', 'shop/keys', secret),
  slot('Secret', 'team/keys', secret),
  slot(
    'GatewayClass',
    '/edge',
    fc
      .constantFrom('example.com/one', 'projectcontour.io/gateway-controller')
      .map((controllerName) => ({ spec: { controllerName } })),
  ),
  slot('ReferenceGrant', 'infra/grant', grant),
  slot(
    'Service',
    'infra/gatehouse',
    fc.constantFrom(9001, 9002).map((port) => ({ spec: { ports: [{ name: 'any', port }] } })),
  ),
  slot('Namespace', '/shop', nothing),
  slot('Namespace', '/team', nothing),
  slot('GRPCRoute', 'shop/g1', fc.constant({ spec: { parentRefs: [{ namespace: 'infra', name: 'edge' }] } })),
  // What may be anything, somewhere or anywhere.
  slot('', 'team/', nothing),
  slot('', '/', nothing),
]

/** Seldom there: each alone puts most of the world in doubt. */
const seldom = new Set(
  slots.filter(
    ({ kind, name }, at) =>
      kind === '' ||
      kind === 'HTTPRout' ||
      slots.findIndex((one) => one.kind === kind && one.name === name && one.namespace === slots[at]?.namespace) < at,
  ),
)

/** `good` is what it says; `shapeless` breaks the schema of its kind; `unread` could not even be read. */
type Way = 'good' | 'shapeless' | 'unread' | 'absent'

/** One edit: what a slot becomes. */
export interface Edit {
  readonly at: number
  readonly way: Way
  readonly content: Fields
}

const ways = (mayBreak: boolean): fc.Arbitrary<Way> =>
  fc.oneof(
    { weight: 8, arbitrary: fc.constant<Way>('good') },
    { weight: 2, arbitrary: fc.constant<Way>('absent') },
    { weight: mayBreak ? 1 : 0, arbitrary: fc.constantFrom<Way>('shapeless', 'unread') },
  )

const edit = (mayBreak: boolean): fc.Arbitrary<Edit> =>
  fc.nat(slots.length - 1).chain((at) => {
    const one = slots[at]
    return fc.record({
      at: fc.constant(at),
      way: one !== undefined && seldom.has(one) ? fc.constantFrom<Way>('absent', 'absent', 'good') : ways(mayBreak),
      content: one?.content ?? nothing,
    })
  })

const line = (): undefined => undefined

function manifestOf({ at, way, content }: Edit, version: number): readonly Manifest[] {
  const one = slots[at]
  if (one === undefined || way === 'absent') return []
  const { kind, namespace, name } = one
  const apiVersion =
    kind === 'AuthPolicy'
      ? 'gatehouse.dev/v1alpha1'
      : ['Secret', 'Service', 'Namespace'].includes(kind)
        ? 'v1'
        : `${group}/v1`
  const metadata = {
    namespace,
    name,
    uid: `uid-${at}`,
    generation: version,
    creationTimestamp: `2026-01-0${(at % 3) + 1}T00:00:00Z`,
  }
  const object = {
    apiVersion,
    kind,
    metadata,
    ...(way === 'shapeless' ? { spec: { rules: 7, listeners: 7 } } : content),
  }
  const broken = way === 'unread' || kind === ''
  return [{ apiVersion, kind, namespace, name, object, line, ...(broken ? { broken } : {}) }]
}

/** The manifests after each of some edits: what was not edited is the very same object as before. */
export const histories = (mayBreak: boolean): fc.Arbitrary<readonly (readonly Manifest[])[]> =>
  fc
    .tuple(
      fc.tuple(...slots.map((one) => fc.tuple(seldom.has(one) ? fc.constant(false) : fc.boolean(), one.content))),
      fc.array(fc.array(edit(mayBreak), { minLength: 1, maxLength: 2 }), { minLength: 1, maxLength: 8 }),
    )
    .map(([first, steps]) => {
      const state = first.map(([there, content], at) => manifestOf({ at, way: there ? 'good' : 'absent', content }, 1))
      return [
        state.flat(),
        ...steps.map((edits, step) => {
          for (const one of edits) state[one.at] = manifestOf(one, step + 2)
          return state.flat()
        }),
      ]
    })

/** The same manifests, and nothing in them that anybody has seen before. */
export const strange = (manifests: readonly Manifest[]): readonly Manifest[] =>
  manifests.map((one) => ({ ...one, object: structuredClone(one.object) }))
