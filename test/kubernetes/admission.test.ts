import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { apiServer, describeOnKubernetes } from '../support/api-server.ts'
import type { ApiServer } from '../support/api-server.ts'
import { kustomized } from '../support/kustomize.ts'
import { until } from '../support/program.ts'

/* The two ValidatingAdmissionPolicies of deploy/base, judged by the API server that will judge them. */

interface Auth {
  readonly protocol?: 'HTTP' | 'GRPC'
  readonly backendRef?: object
  readonly http?: object | undefined
  readonly grpc?: object
}

const us = { namespace: 'gatehouse', name: 'gatehouse', port: 9002 }
const keyed = { path: '/v1/check/shop/cart/pay/-', allowedResponseHeaders: ['x-user'] }
const filter = ({ protocol = 'HTTP', backendRef = us, http = keyed, grpc }: Auth = {}) => ({
  type: 'ExternalAuth',
  externalAuth: { protocol, backendRef, ...(protocol === 'HTTP' ? { http } : { grpc: grpc ?? {} }) },
})
const rule = (more: object = {}) => ({ name: 'pay', filters: [filter()], ...more })
const other = { name: 'free', matches: [{ path: { type: 'PathPrefix', value: '/free' } }] }
const route = (...rules: readonly object[]) => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { namespace: 'shop', name: 'cart' },
  spec: { parentRefs: [{ name: 'edge' }], rules },
})
const asks = (auth: Auth) => route(rule({ filters: [filter(auth)] }))

/** `[what, the route, a part of the refusal; nothing where it is admitted]` */
type Case = readonly [say: string, given: object, refusal?: string]
const routes: readonly Case[] = [
  ['a keyed filter', route(rule())],
  ['a keyed filter beside an open rule', route(other, rule())],
  ['the key for NGINX Gateway Fabric', asks({ http: { ...keyed, path: '/v1/ngf/shop/cart/pay' } })],
  [
    'the matching port without http.path',
    asks({ backendRef: { ...us, port: 9003 }, http: { ...keyed, path: undefined } }),
  ],
  ['gRPC', asks({ protocol: 'GRPC', backendRef: { ...us, port: 9001 } })],
  ['a filter that asks somebody else', asks({ backendRef: { name: 'other', port: 80 }, http: {} })],
  ['a Service of our name elsewhere', asks({ backendRef: { name: 'gatehouse', port: 80 }, http: {} })],
  ['no filter, no name', route({ matches: other.matches })],

  ['no rule name', route(rule({ name: undefined })), 'has no name to be known by'],
  [
    'no rule name, gRPC',
    route({ filters: [filter({ protocol: 'GRPC', backendRef: { ...us, port: 9001 } })] }),
    'has no name',
  ],
  ['no allowedResponseHeaders', asks({ http: { path: keyed.path } }), 'rule pay: allowedResponseHeaders is empty'],
  [
    'empty allowedResponseHeaders',
    asks({ http: { ...keyed, allowedResponseHeaders: [] } }),
    'rule pay: allowedResponseHeaders',
  ],
  ['nothing under http', asks({ backendRef: { ...us, port: 9003 }, http: {} }), 'allowedResponseHeaders is empty'],
  [
    'the second rule has none',
    route(rule(), { name: 'ship', filters: [filter({ http: { path: '/v1/check/shop/cart/ship/-' } })] }),
    'rule ship: allowedResponseHeaders',
  ],
  [
    'the key of another rule',
    asks({ http: { ...keyed, path: '/v1/check/shop/cart/free/-' } }),
    'rule pay has /v1/check/shop/cart/RULE/-',
  ],
  [
    'the key of another route',
    asks({ http: { ...keyed, path: '/v1/check/shop/wiki/pay/-' } }),
    'not the key of its rule',
  ],
  [
    'the key of another namespace',
    asks({ http: { ...keyed, path: '/v1/check/bank/cart/pay/-' } }),
    'not the key of its rule',
  ],
  ['a key without its end', asks({ http: { ...keyed, path: '/v1/check/shop/cart/pay' } }), 'not the key of its rule'],
  ['a key with more', asks({ http: { ...keyed, path: '/v1/check/shop/cart/pay/-/x' } }), 'not the key of its rule'],
  ['a key with dots', asks({ http: { ...keyed, path: '/v1/check/shop/x/../cart/pay/-' } }), 'not the key of its rule'],
  ['a forwarded dialect', asks({ http: { ...keyed, path: '/v1/traefik/shop/cart/pay' } }), 'not the key of its rule'],
  ['the keyed port without http.path', asks({ http: { ...keyed, path: undefined } }), 'http.path goes with port 9002'],
  ['the matching port with http.path', asks({ backendRef: { ...us, port: 9003 } }), 'http.path goes with port 9002'],
  [
    'HTTP to the gRPC port',
    asks({ backendRef: { ...us, port: 9001 }, http: { allowedResponseHeaders: ['x'] } }),
    'wrong port',
  ],
  ['gRPC to the HTTP port', asks({ protocol: 'GRPC' }), 'wrong port'],
  ['two filters', route(rule({ filters: [filter(), filter()] })), 'several ExternalAuth filters'],
  [
    'a filter of a backend',
    route({ name: 'pay', backendRefs: [{ name: 'cart', port: 80, filters: [filter()] }] }),
    'serve the backend unprotected',
  ],
]

const why = 'gatehouse.dev/lets-everybody-in'
const policy = (spec: object, annotations: object = {}) => ({
  apiVersion: 'gatehouse.dev/v1alpha1',
  kind: 'AuthPolicy',
  metadata: { namespace: 'shop', name: 'cart-pay', annotations },
  spec: { targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: 'cart' }], ...spec },
})
const basic = { authentication: [{ basic: { realm: 'Staff', usersRef: { name: 'staff', key: '.htpasswd' } } }] }
const guest = { guest: { subject: 'anonymous' } }
const get = { authorization: [{ cel: "request.method == 'GET'" }] }

const policies: readonly Case[] = [
  ['passwords', policy(basic)],
  ['guests under a condition', policy({ ...guest, ...get })],
  ['guests beside passwords, under a condition', policy({ ...basic, ...guest, ...get })],
  ['guests, said so', policy(guest, { [why]: 'the login page' })],
  ['Shadow, said so', policy({ ...basic, mode: 'Shadow' }, { [why]: 'dry run until June' })],

  ['guests without a condition', policy(guest), 'guest without authorization lets everybody in'],
  ['guests beside passwords', policy({ ...basic, ...guest }), 'guest without authorization lets everybody in'],
  [
    'guests and an empty list',
    policy({ ...guest, authorization: [] }),
    'guest without authorization lets everybody in',
  ],
  ['Shadow', policy({ ...basic, mode: 'Shadow' }), 'mode Shadow decides and lets everybody in'],
  ['an annotation that says nothing', policy(guest, { [why]: '  ' }), 'guest without authorization lets everybody in'],
]

const named = (cases: readonly Case[]) => cases.map(([what, given, refusal]) => ({ what, given, refusal }))

await describeOnKubernetes('admission', () => {
  let api: ApiServer
  const collections = {
    HTTPRoute: '/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes',
    AuthPolicy: '/apis/gatehouse.dev/v1alpha1/namespaces/shop/authpolicies',
  }
  type Refusal = { readonly message?: string }
  const create = (kind: keyof typeof collections, body: object, query = '?dryRun=All') =>
    api.request<Refusal>('POST', `${collections[kind]}${query}`, body)

  beforeAll(async () => {
    api = await apiServer({ crds: 'v1.4.1' })
    await api.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } })
    const objects = await kustomized('deploy/base')
    await api.apply(...objects.filter(({ kind }) => kind === 'CustomResourceDefinition'))
    // What stands before Gatehouse comes is not in the way of anything.
    const old = asks({ http: { path: keyed.path } })
    await api.apply({ ...old, metadata: { ...old.metadata, name: 'old' } })
    await api.apply({ ...policy(guest), metadata: { namespace: 'shop', name: 'old' } })
    await api.apply(...objects.filter(({ kind }) => kind.startsWith('ValidatingAdmission')))
    await until(
      async () => {
        const answers = [await create('HTTPRoute', asks({ http: {} })), await create('AuthPolicy', policy(guest))]
        return answers.every(({ status }) => status === 422)
      },
      () => 'the admission policies did not come into force',
      20_000,
    )
  })
  afterAll(() => api.stop())

  it.each(named(routes))('HTTPRoute: $what', async ({ given, refusal }) => {
    const { status, body } = await create('HTTPRoute', given)
    expect([status, body.message]).toEqual(
      refusal === undefined ? [201, undefined] : [422, expect.stringContaining(refusal)],
    )
  })

  it.each(named(policies))('AuthPolicy: $what', async ({ given, refusal }) => {
    const { status, body } = await create('AuthPolicy', given)
    expect([status, body.message]).toEqual(
      refusal === undefined ? [201, undefined] : [422, expect.stringContaining(refusal)],
    )
  })

  it('a route written as v1beta1 is judged the same', async () => {
    const path = collections.HTTPRoute.replace('/v1/', '/v1beta1/')
    const body = { ...asks({ http: {} }), apiVersion: 'gateway.networking.k8s.io/v1beta1' }
    const answer = await api.request<Refusal>('POST', `${path}?dryRun=All`, body)
    expect([answer.status, answer.body.message]).toEqual([
      422,
      expect.stringContaining('allowedResponseHeaders is empty'),
    ])
  })

  it('the worst route that the API admits is judged within the cost limit', async () => {
    const filters = Array.from({ length: 15 }, (_, at) => ({
      type: 'RequestMirror',
      requestMirror: { backendRef: { name: `m${at}`, port: 80 } },
    }))
    const matches = Array.from({ length: 8 }, (_, at) => ({ path: { type: 'Exact', value: `/${at}` } }))
    const rules = Array.from({ length: 16 }, (_, at) => {
      const own = filter({ http: { ...keyed, path: `/v1/check/shop/cart/r${at}/-` } })
      const backendRefs = Array.from({ length: 16 }, (__, to) => ({ name: `b${to}`, port: 80, filters }))
      return { name: `r${at}`, matches, filters: [...filters, own], backendRefs }
    })
    const { status, body } = await create('HTTPRoute', route(...rules))
    expect([status, body.message]).toEqual([201, undefined])
  })

  describe('objects from before', () => {
    const patch = (path: string, body: object) =>
      api.request<Refusal>('PATCH', path, body, 'application/merge-patch+json')
    const finalizers = { metadata: { finalizers: ['example.com/x'], labels: { x: 'y' } } }

    it('gain labels and lose finalizers as ever', async () => {
      for (const collection of Object.values(collections)) {
        expect((await patch(`${collection}/old`, finalizers)).status).toBe(200)
        expect((await patch(`${collection}/old`, { metadata: { finalizers: [] } })).status).toBe(200)
      }
    })

    it('are judged when their spec changes', async () => {
      expect((await patch(`${collections.HTTPRoute}/old`, { spec: { hostnames: ['a.example'] } })).status).toBe(422)
      expect((await patch(`${collections.AuthPolicy}/old`, { spec: { preflight: 'Allow' } })).status).toBe(422)
    })

    it('do not lose the annotation that they were admitted for', async () => {
      await create('AuthPolicy', policy(guest, { [why]: 'the login page' }), '')
      const gone = { metadata: { annotations: { [why]: null } } }
      expect((await patch(`${collections.AuthPolicy}/cart-pay`, gone)).status).toBe(422)
    })
  })

  it('the overlay dev admits and warns', async () => {
    const objects = await kustomized('deploy/overlays/dev')
    const bindings = objects.filter(({ kind }) => kind === 'ValidatingAdmissionPolicyBinding')
    await api.apply(...bindings)
    await until(
      async () => (await create('HTTPRoute', asks({ http: {} }))).status === 201,
      () => 'the admission policies did not go',
      20_000,
    )
  })
})
