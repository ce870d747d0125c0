import { createHash } from 'node:crypto'
import { ciliumController } from './cilium-gateway.ts'
import type { ClusterPorts } from './cluster-gatehouse.ts'
import { basic } from './send.ts'

/* The objects of the tests in a cluster. Each site is a namespace of its own, with a host of its own. */

const gatewayApi = 'gateway.networking.k8s.io/v1'

/** What marks a request that must never arrive at a backend. */
export const mark = ['X-Anonymous', 'yes'] as const
/** A password file. */
export const passwordFile = (lines: Readonly<Record<string, string>>): string =>
  Object.entries(lines)
    .map(([user, password]) => `${user}:{SHA}${createHash('sha1').update(password).digest('base64')}\n`)
    .join('')
/** The header of a user with a password. */
export const credential = (user: string, password: string) => ['Authorization', basic(user, password)] as const
/** Who is in the password file of every site. */
export const ada = credential('ada', 'notes')
/** What lets Gatehouse read a Secret or ConfigMap. */
export const labels = { 'gatehouse.dev/credentials': 'true' }

export const namespace = (name: string) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
/** A Secret that Gatehouse reads. */
export const secret = (namespace: string, name: string, stringData: object) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { namespace, name, labels },
  stringData,
})
/** An AuthPolicy for a route, or for one rule of it. */
export const policy = (
  namespace: string,
  name: string,
  route: string,
  sectionName: string | undefined,
  spec: object,
) => ({
  apiVersion: 'gatehouse.dev/v1alpha1',
  kind: 'AuthPolicy',
  metadata: { namespace, name },
  spec: {
    targetRefs: [
      { group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: route, ...(sectionName ? { sectionName } : {}) },
    ],
    ...spec,
  },
})
/** A policy that takes whoever is in the password file. */
export const staff = {
  authentication: [{ basic: { realm: 'Site', usersRef: { name: 'users', key: '.htpasswd' } } }],
  response: { headers: [{ name: 'x-user', value: { cel: 'identity.subject' } }] },
}

/** A rule of a route, as far as tests differ in it. */
export interface RuleShape {
  readonly name?: string
  readonly path?: string
  readonly type?: 'Exact' | 'PathPrefix'
  /** The ExternalAuth filter's service port and `http.path`; without it the rule has no filter. */
  readonly ask?: { readonly port: number; readonly path?: string }
  readonly grpc?: number
  readonly filters?: readonly object[]
}

/** A route of one host at the tests' Gateway. */
export const route = (namespace: string, name: string, host: string, rules: readonly RuleShape[]) => ({
  apiVersion: gatewayApi,
  kind: 'HTTPRoute',
  metadata: { namespace, name },
  spec: {
    parentRefs: [{ name: 'your-gateway-here', namespace: 'default' }],
    hostnames: [host],
    rules: rules.map(({ name: ruleName, path = '/', type = 'PathPrefix', ask, grpc, filters = [] }) => ({
      ...(ruleName === undefined ? {} : { name: ruleName }),
      matches: [{ path: { type, value: path } }],
      filters: [...(ask ? [overHttp(ask)] : []), ...(grpc === undefined ? [] : [overGrpc(grpc)]), ...filters],
      backendRefs: [{ name: 'site', port: 80 }],
    })),
  },
})
const authService = (port: number) => ({ name: 'auth-service', namespace: 'default', port })
const overHttp = ({ port, path }: { readonly port: number; readonly path?: string }) => ({
  type: 'ExternalAuth',
  externalAuth: {
    protocol: 'HTTP',
    backendRef: authService(port),
    http: {
      allowedHeaders: ['origin', 'access-control-request-method'],
      allowedResponseHeaders: ['x-user'],
      ...(path === undefined ? {} : { path }),
    },
  },
})
const overGrpc = (port: number) => ({
  type: 'ExternalAuth',
  externalAuth: { protocol: 'GRPC', backendRef: authService(port), grpc: {} },
})

/** A namespace with a backend and a password file, which may ask the authorization service in another namespace. */
export const site = (name: string, backendPort: number) => [
  namespace(name),
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: name, name: 'site' },
    spec: { ports: [{ port: 80, targetPort: backendPort }] },
  },
  secret(name, 'users', { '.htpasswd': passwordFile({ ada: 'notes' }) }),
  grant(name),
]

/** Lets routes of a namespace refer to the authorization service. */
export const grant = (from: string) => ({
  apiVersion: 'gateway.networking.k8s.io/v1beta1',
  kind: 'ReferenceGrant',
  metadata: { namespace: 'default', name: `from-${from}` },
  spec: {
    from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: from }],
    to: [{ group: '', kind: 'Service', name: 'auth-service' }],
  },
})

/** The Gateway and its class. */
export const gatewayAt = (port: number) => [
  {
    apiVersion: gatewayApi,
    kind: 'GatewayClass',
    metadata: { name: 'cilium' },
    spec: { controllerName: ciliumController },
  },
  {
    apiVersion: gatewayApi,
    kind: 'Gateway',
    metadata: { namespace: 'default', name: 'your-gateway-here' },
    spec: {
      gatewayClassName: 'cilium',
      listeners: [{ name: 'http', protocol: 'HTTP', port, allowedRoutes: { namespaces: { from: 'All' } } }],
    },
  },
]

/** Gatehouse's own Service. */
export const authServiceAt = ({ grpc, http, matching }: Pick<ClusterPorts, 'grpc' | 'http' | 'matching'>) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { namespace: 'default', name: 'auth-service' },
  spec: {
    ports: [
      { name: 'grpc', port: grpc, appProtocol: 'kubernetes.io/h2c' },
      { name: 'http', port: http },
      { name: 'matching', port: matching },
    ],
  },
})
