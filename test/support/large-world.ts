import type { Manifest } from '../../src/policy/manifest.ts'

/* A large cluster in manifests: what one change in it costs must not depend on how large it is. */

export const us = { namespace: 'gatehouse', name: 'gatehouse', ports: { grpc: 9001, http: 9002, matching: 9003 } }
const group = 'gateway.networking.k8s.io'
const perNamespace = 100
const line = (): undefined => undefined

type Fields = Readonly<Record<string, unknown>>

export function manifest(apiVersion: string, kind: string, place: string, { status, ...rest }: Fields): Manifest {
  const [namespace = '', name = ''] = place.split('/')
  const metadata = { namespace, name, uid: `${kind} ${place}`, generation: 1 }
  const object = { apiVersion, kind, metadata, ...rest, ...(status === undefined ? {} : { status }) }
  return { apiVersion, kind, namespace, name, object, line }
}

export const spaceOf = (at: number): string => `team-${Math.floor(at / perNamespace)}`

/** A route of four rules, the last of them open; the first covers some of the others' paths. */
export function route(at: number, host = `r${at}.test`): Manifest {
  const place = `${spaceOf(at)}/route-${at}`
  const ask = (rule: string) => ({
    type: 'ExternalAuth',
    externalAuth: {
      protocol: 'HTTP',
      backendRef: { name: us.name, namespace: us.namespace, port: us.ports.http },
      http: { path: `/v1/check/${place}/${rule}/-`, allowedResponseHeaders: ['x-user'] },
    },
  })
  const rules = ['one', 'two', 'three', 'open'].map((name) => ({
    name,
    matches: [{ path: { type: 'PathPrefix', value: `/${name}` } }],
    filters: name === 'open' ? [] : [ask(name)],
    backendRefs: [{ name: 'web', port: 80 }],
  }))
  const said = ['Accepted', 'ResolvedRefs'].map((type) => ({ type, status: 'True', reason: type }))
  const parentRef = { group, kind: 'Gateway', namespace: 'infra', name: 'edge' }
  return manifest(`${group}/v1`, 'HTTPRoute', place, {
    spec: { parentRefs: [{ namespace: 'infra', name: 'edge' }], hostnames: [host], rules },
    status: { parents: [{ parentRef, controllerName: 'example.com/gateway', conditions: said }] },
  })
}

/** A policy for one of the routes of its namespace: one route in five has one. */
export function policy(at: number, spec: Fields = {}): Manifest {
  const target = at * 5
  return manifest('gatehouse.dev/v1alpha1', 'AuthPolicy', `${spaceOf(target)}/policy-${at}`, {
    spec: {
      targetRefs: [{ group, kind: 'HTTPRoute', name: `route-${target}` }],
      authentication: [{ name: 'keys', apiKey: { keysRef: { name: 'keys' } } }],
      response: { headers: [{ name: 'x-user', value: { text: 'a' } }] },
      ...spec,
    },
  })
}

export const gateway = (routes: number): Manifest =>
  manifest(`${group}/v1`, 'Gateway', 'infra/edge', {
    spec: {
      gatewayClassName: 'edge',
      listeners: [{ name: 'web', port: 80, protocol: 'HTTP', allowedRoutes: { namespaces: { from: 'All' } } }],
    },
    status: { listeners: [{ name: 'web', attachedRoutes: routes }] },
  })

export const secret = (namespace: string, key = 'a-key-that-nobody-has-guessed'): Manifest =>
  manifest('v1', 'Secret', `${namespace}/keys`, { stringData: { one: key } })

/** So many routes of four rules, a policy for one in five of them, and all that they refer to. */
export function largeWorld(routes: number): readonly Manifest[] {
  const spaces = Array.from({ length: Math.ceil(routes / perNamespace) }, (_, at) => `team-${at}`)
  return [
    ...Array.from({ length: Math.floor(routes / 5) }, (_, at) => policy(at)),
    ...Array.from({ length: routes }, (_, at) => route(at)),
    gateway(routes),
    manifest(`${group}/v1`, 'GatewayClass', '/edge', { spec: { controllerName: 'example.com/gateway' } }),
    manifest('v1', 'Service', `${us.namespace}/${us.name}`, {
      spec: { ports: [{ name: 'http', port: us.ports.http }] },
    }),
    ...spaces.map((name) => secret(name)),
    ...[us.namespace, 'infra', ...spaces].map((name) => manifest('v1', 'Namespace', `/${name}`, {})),
  ]
}

/** The world with other objects in the place of those of their names. */
export function withThese(world: readonly Manifest[], ...others: readonly Manifest[]): readonly Manifest[] {
  const nameOf = ({ kind, namespace, name }: Manifest): string => `${kind} ${namespace}/${name}`
  const byName = new Map(others.map((one) => [nameOf(one), one]))
  return world.map((one) => byName.get(nameOf(one)) ?? one)
}
