import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { apiServer, describeOnKubernetes, gatewayApiVersions } from '../support/api-server.ts'
import type { ApiServer, GatewayApiVersion } from '../support/api-server.ts'

/*
 * What the API server says to Gateway API objects, version by version. What it accepts is for us to judge: a row that
 * moves from one table to the other with a new version changes what Gatehouse has to look after.
 */

const gateway = 'gateway.networking.k8s.io'
const experimental = 'gateway.networking.x-k8s.io'

/** `[kind, group, versions served]` */
const served: Readonly<Record<GatewayApiVersion, readonly (readonly [string, string, readonly string[]])[]>> = {
  'v1.4.1': [
    ['GatewayClass', gateway, ['v1', 'v1beta1']],
    ['Gateway', gateway, ['v1', 'v1beta1']],
    ['HTTPRoute', gateway, ['v1', 'v1beta1']],
    ['BackendTLSPolicy', gateway, ['v1', 'v1alpha3']],
    ['ReferenceGrant', gateway, ['v1beta1']],
    ['GRPCRoute', gateway, ['v1']],
    ['ListenerSet', gateway, []],
    ['XListenerSet', experimental, ['v1alpha1']],
    ['XMesh', experimental, ['v1alpha1']],
    ['XBackendTrafficPolicy', experimental, ['v1alpha1']],
    ['XBackend', experimental, []],
    ['XTelemetryPolicy', experimental, []],
  ],
  'v1.7.0': [
    ['GatewayClass', gateway, ['v1', 'v1beta1']],
    ['Gateway', gateway, ['v1', 'v1beta1']],
    ['HTTPRoute', gateway, ['v1', 'v1beta1']],
    ['BackendTLSPolicy', gateway, ['v1', 'v1alpha3']],
    ['ReferenceGrant', gateway, ['v1', 'v1beta1']],
    ['GRPCRoute', gateway, ['v1']],
    ['ListenerSet', gateway, ['v1']],
    ['XListenerSet', experimental, []],
    ['XMesh', experimental, ['v1alpha1']],
    ['XBackendTrafficPolicy', experimental, ['v1alpha1']],
    ['XBackend', experimental, ['v1alpha1']],
    ['XTelemetryPolicy', experimental, ['v1alpha1']],
  ],
}

const backendRef = { name: 'auth-service', port: 9003 }
const http = { protocol: 'HTTP', backendRef, http: {} }
const grpc = { protocol: 'GRPC', backendRef, grpc: {} }
const filter = (externalAuth: object): object => ({ type: 'ExternalAuth', externalAuth })
const route = (name: string, ...rules: readonly object[]): object => ({
  apiVersion: `${gateway}/v1`,
  kind: 'HTTPRoute',
  metadata: { name, namespace: 'default' },
  spec: { parentRefs: [{ name: 'edge' }], rules },
})
const withPath = (path: string): object => ({ filters: [filter({ ...http, http: { path } })] })
const withHeaders = (...allowedHeaders: readonly string[]): object => ({
  filters: [filter({ ...http, http: { allowedHeaders } })],
})

/** `[what, rule, what is said]` */
const refused: readonly (readonly [string, object, RegExp])[] = [
  [
    'HTTP without http',
    { filters: [filter({ protocol: 'HTTP', backendRef })] },
    /http must be specified when protocol/,
  ],
  [
    'GRPC without grpc',
    { filters: [filter({ protocol: 'GRPC', backendRef })] },
    /grpc must be specified when protocol/,
  ],
  ['grpc beside HTTP', { filters: [filter({ ...http, grpc: {} })] }, /protocol must be 'GRPC' when grpc is set/],
  ['http beside GRPC', { filters: [filter({ ...grpc, http: {} })] }, /protocol must be 'HTTP' when http is set/],
  ['externalAuth missing', { filters: [{ type: 'ExternalAuth' }] }, /filter.externalAuth must be specified/],
  [
    'externalAuth beside another type',
    { filters: [{ type: 'RequestHeaderModifier', requestHeaderModifier: {}, externalAuth: http }] },
    /filter.externalAuth must be nil/,
  ],
  ['another protocol', { filters: [filter({ ...http, protocol: 'HTTPS' })] }, /Unsupported value: "HTTPS"/],
  [
    'a Service without a port',
    { filters: [filter({ ...http, backendRef: { name: 'auth-service' } })] },
    /Must have port for Service reference/,
  ],
  ['a space in http.path', withPath('/a b'), /http\.path/],
  ['a query in http.path', withPath('/a?b'), /http\.path/],
  ['an unknown field', { filters: [filter({ ...http, failOpen: true })] }, /failOpen: field not declared in schema/],
  ['a header name twice', withHeaders('cookie', 'cookie'), /duplicate entries/],
]

/** `[what, rule]` */
const accepted: readonly (readonly [string, object])[] = [
  ['HTTP with an empty http', { filters: [filter(http)] }],
  ['GRPC with an empty grpc', { filters: [filter(grpc)] }],
  ['http.path without a leading slash', withPath('v1/check')],
  ['http.path with ..', withPath('/v1/../v2')],
  ['http.path with %2F', withPath('/v1%2Fcheck')],
  ['two ExternalAuth filters in one rule', { filters: [filter(http), filter(grpc)] }],
  ['the filter on a backendRef', { backendRefs: [{ name: 'admin', port: 80, filters: [filter(http)] }] }],
  [
    'a backendRef into another namespace without a grant',
    { filters: [filter({ ...http, backendRef: { ...backendRef, namespace: 'elsewhere' } })] },
  ],
  [
    'a backendRef of another kind',
    { filters: [filter({ ...http, backendRef: { group: 'example.org', kind: 'Checker', name: 'c' } })] },
  ],
  ['maxSize 65535', { filters: [filter({ ...http, forwardBody: { maxSize: 65_535 } })] }],
  ['maxSize 65536', { filters: [filter({ ...http, forwardBody: { maxSize: 65_536 } })] }],
  ['a rule with a name', { name: 'admin', filters: [filter(http)] }],
]

/** The example of the announcement of the filter, with the two corrections that it needs to apply. */
const announced = (type: string, port: string): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: require-auth, namespace: default }
spec:
  parentRefs: [ { name: your-gateway-here } ]
  rules:
    - matches: [ { path: { type: ${type}, value: /admin } } ]
      filters:
        - type: ExternalAuth
          externalAuth:
            protocol: HTTP
            backendRef: { name: auth-service${port} }
            http: { allowedHeaders: [Host, Method, Path, Content-Length, Authorization] }
      backendRefs: [ { name: admin-backend, port: 8080 } ]
`

const gatewayOf = (spec: object): object => ({
  apiVersion: `${gateway}/v1`,
  kind: 'Gateway',
  metadata: { name: 'edge', namespace: 'default' },
  spec: { gatewayClassName: 'c', listeners: [{ name: 'web', port: 80, protocol: 'HTTP' }], ...spec },
})
const validation = { caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'clients' }] }
const backendTls = (validation: object): object => ({
  apiVersion: `${gateway}/v1`,
  kind: 'BackendTLSPolicy',
  metadata: { name: 'auth-service', namespace: 'default' },
  spec: { targetRefs: [{ group: '', kind: 'Service', name: 'auth-service' }], validation },
})

/** Experimental fields that registration and the doctor live on: `[what, object]` */
const experiments: readonly (readonly [string, object])[] = [
  ['a default Gateway', gatewayOf({ defaultScope: 'All' })],
  [
    'frontend validation, for all ports and for one',
    gatewayOf({
      listeners: [{ name: 'tls', port: 443, protocol: 'HTTPS', tls: { certificateRefs: [{ name: 'edge' }] } }],
      tls: { frontend: { default: { validation }, perPort: [{ port: 443, tls: { validation } }] } },
    }),
  ],
  ['a client certificate for backends', gatewayOf({ tls: { backend: { clientCertificateRef: { name: 'edge' } } } })],
  [
    'a route of the default Gateways',
    {
      apiVersion: `${gateway}/v1`,
      kind: 'HTTPRoute',
      metadata: { name: 'by-default' },
      spec: { useDefaultGateways: 'All', rules: [{ name: 'one' }] },
    },
  ],
  [
    'a mesh',
    {
      apiVersion: `${experimental}/v1alpha1`,
      kind: 'XMesh',
      metadata: { name: 'mesh' },
      spec: { controllerName: 'example.org/mesh' },
    },
  ],
  ['TLS to a backend', backendTls({ hostname: 'auth-service.default.svc', wellKnownCACertificates: 'System' })],
]

for (const version of gatewayApiVersions)
  await describeOnKubernetes(`Gateway API ${version}`, () => {
    let api: ApiServer

    beforeAll(async () => {
      api = await apiServer({ crds: version })
    }, 120_000)

    afterAll(() => api.stop())

    it.each(served[version])('serves %s of %s as %j', async (kind, group, versions) => {
      const { body } = await api.request<{ readonly versions: readonly { readonly version: string }[] }>(
        'GET',
        `/apis/${group}`,
      )
      const found: string[] = []
      for (const one of body.versions) {
        const list = await api.request<{ readonly resources: readonly { readonly kind: string }[] }>(
          'GET',
          `/apis/${group}/${one.version}`,
        )
        if (list.body.resources.some((resource) => resource.kind === kind)) found.push(one.version)
      }
      expect(found.sort()).toEqual([...versions].sort())
    })

    it.each(refused)('refuses a rule: %s', async (_, rule, said) => {
      await expect(api.apply(route('refused', rule))).rejects.toThrow(said)
    })

    it.each(accepted)('accepts a rule: %s', async (what, rule) => {
      const [made] = await api.apply(route('accepted', rule))
      expect(made?.['spec'], what).toMatchObject({ rules: [rule] })
    })

    describe("the announcement's example", () => {
      it.each([
        ['path type Prefix', 'Prefix', ', port: 9003', /Unsupported value: "Prefix"/],
        ['no port', 'PathPrefix', '', /Must have port for Service reference/],
      ])('is refused with %s', async (_, type, port, said) => {
        await expect(api.apply(announced(type, port))).rejects.toThrow(said)
      })

      it('applies with both put right', async () => {
        const [made] = await api.apply(announced('PathPrefix', ', port: 9003'))
        expect(made?.metadata).toMatchObject({ name: 'require-auth', generation: 1 })
      })
    })

    it.each(experiments)('has %s', async (_, object) => {
      const [made] = await api.apply(object)
      expect(made).toMatchObject(object)
    })

    it('refuses TLS to a backend without a host name', async () => {
      const without = backendTls({ wellKnownCACertificates: 'System' })
      await expect(api.apply(without)).rejects.toThrow(/validation\.hostname: Required value/)
    })

    it('lists supported features by name, and refuses plain strings', async () => {
      const gatewayClass = {
        apiVersion: `${gateway}/v1`,
        kind: 'GatewayClass',
        metadata: { name: 'c' },
        spec: { controllerName: 'example.org/gateway' },
      }
      const [made] = await api.apply(gatewayClass)
      const path = `/apis/${gateway}/v1/gatewayclasses/c/status?fieldManager=gateway`
      const write = (supportedFeatures: readonly unknown[]): Promise<unknown> =>
        api.request('PUT', path, { ...made, status: { supportedFeatures } }).then(({ status }) => status)
      expect(await write(['HTTPRouteExternalAuth'])).toBe(422)
      expect(await write([{ name: 'HTTPRouteExternalAuth' }])).toBe(200)
    })
  })

await describeOnKubernetes('Gateway API after v1.4', () => {
  let api: ApiServer

  beforeAll(async () => {
    api = await apiServer({ crds: 'v1.7.0', controllers: false })
  }, 120_000)

  afterAll(() => api.stop())

  it('does not go back to v1.4.1, so that each version needs a server of its own', async () => {
    // Which of the definitions is refused first is a race: by Gateway API's admission policy, or for a stored version.
    await expect(api.install('v1.4.1')).rejects.toThrow(/v1\.5\+ is prohibited|missing from spec\.versions/)
  })
})
