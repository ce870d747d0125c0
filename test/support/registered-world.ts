/* Objects for tests of registration on a real API server: each with what such a test is about, and nothing else. */

export const gatewayGroup = 'gateway.networking.k8s.io'

export const namespace = (name: string, labels: Readonly<Record<string, string>> = {}) => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels },
})

export const service = (name = 'gatehouse', at = 'gatehouse') => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { namespace: at, name },
  spec: {
    ports: [
      { name: 'grpc', port: 9001 },
      { name: 'http', port: 9002 },
    ],
  },
})

export const gateway = (name = 'edge', at = 'shop') => ({
  apiVersion: `${gatewayGroup}/v1`,
  kind: 'Gateway',
  metadata: { namespace: at, name },
  spec: { gatewayClassName: 'any', listeners: [{ name: 'web', port: 80, protocol: 'HTTP' }] },
})

/** A route with one rule, `pay`, whose filter asks us. */
export const route = (name = 'cart', at = 'shop') => ({
  apiVersion: `${gatewayGroup}/v1`,
  kind: 'HTTPRoute',
  metadata: { namespace: at, name },
  spec: {
    parentRefs: [{ name: 'edge' }],
    rules: [
      {
        name: 'pay',
        matches: [{ path: { type: 'PathPrefix', value: '/pay' } }],
        filters: [
          {
            type: 'ExternalAuth',
            externalAuth: {
              protocol: 'HTTP',
              backendRef: { name: 'gatehouse', namespace: 'gatehouse', port: 9002 },
              http: { path: `/v1/check/${at}/${name}/pay/-`, allowedResponseHeaders: ['x-user'] },
            },
          },
        ],
      },
    ],
  },
})

/** What a gateway's controller writes when it takes the route. */
export const acceptance = (gatewayName = 'edge') => ({
  status: {
    parents: [
      {
        parentRef: { group: gatewayGroup, kind: 'Gateway', name: gatewayName },
        controllerName: 'example.com/gateway',
        conditions: ['Accepted', 'ResolvedRefs'].map((type) => ({
          type,
          status: 'True',
          reason: type,
          message: '',
          lastTransitionTime: '2026-11-01T00:00:00Z',
        })),
      },
    ],
  },
})

export const policy = (name = 'pay', at = 'shop', spec: object = {}) => ({
  apiVersion: 'gatehouse.dev/v1alpha1',
  kind: 'AuthPolicy',
  metadata: { namespace: at, name },
  spec: {
    targetRefs: [{ group: gatewayGroup, kind: 'HTTPRoute', name: 'cart', sectionName: 'pay' }],
    guest: { subject: 'visitor' },
    authorization: [{ cel: "request.method == 'GET'" }],
    ...spec,
  },
})
