import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { apiKeySecret, audience, issuer, passwordFile } from './credentials.ts'

/* Directories of policies that the subjects run on. */

export interface WorldParts {
  readonly folder: string
  readonly jwks: string
  readonly introspection: string
  readonly users: number
  readonly keys: number
}

const gateway = 'gateway.networking.k8s.io'

const policy = (namespace: string, route: string, rule: string | undefined, spec: object): object => ({
  apiVersion: 'gatehouse.dev/v1alpha1',
  kind: 'AuthPolicy',
  metadata: { namespace, name: rule === undefined ? route : `${route}-${rule}` },
  spec: {
    targetRefs: [
      { group: gateway, kind: 'HTTPRoute', name: route, ...(rule === undefined ? {} : { sectionName: rule }) },
    ],
    ...spec,
  },
})

const configMap = (namespace: string, name: string, data: object): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { namespace, name },
  data,
})

const secret = (namespace: string, name: string, stringData: object): object => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { namespace, name },
  stringData,
})

/** Four headers: from the subject, from claims, and a text. */
const withClaims = {
  headers: [
    { name: 'x-user', value: { cel: 'identity.subject' } },
    { name: 'x-client', value: { claim: ['client_id'] } },
    { name: 'x-tenant', value: { claim: ['tenant'] } },
    { name: 'x-edge', value: { text: 'gatehouse' } },
  ],
  remove: ['authorization'],
}

const withSubject = {
  headers: [
    { name: 'x-user', value: { cel: 'identity.subject' } },
    { name: 'x-edge', value: { text: 'gatehouse' } },
  ],
}

const tokens = {
  name: 'corp',
  jwt: {
    issuer,
    audiences: [audience],
    algorithms: ['ES256', 'RS256'],
    jwks: { ref: { kind: 'ConfigMap', name: 'corp-keys', key: 'jwks.json' } },
  },
}
const jwtPolicy = { authentication: [tokens], response: withClaims }

/** One rule for each method, in the route `cart` of the namespace `shop`, known by its key alone. */
export function methodsWorld({ folder, jwks, introspection, users, keys }: WorldParts): string {
  const rule = (name: string, spec: object): object => policy('shop', 'cart', name, spec)
  return write(folder, 'methods', [
    rule('jwt', jwtPolicy),
    rule('basic', {
      authentication: [{ name: 'staff', basic: { realm: 'Bench', usersRef: { name: 'staff', key: '.htpasswd' } } }],
      response: { ...withSubject, remove: ['authorization'] },
    }),
    rule('key', {
      authentication: [{ name: 'partner', apiKey: { keysRef: { name: 'keys' } } }],
      response: { ...withSubject, remove: ['x-api-key'] },
    }),
    rule('opaque', {
      authentication: [
        {
          name: 'opaque',
          introspection: {
            endpoint: introspection,
            client: { id: 'gatehouse', secretRef: { name: 'client', key: 'secret' }, method: 'client_secret_basic' },
            audiences: [audience],
            cache: { seconds: 300 },
          },
        },
      ],
      response: withClaims,
    }),
    rule('guest', { authentication: [tokens], guest: { subject: 'visitor' }, response: withSubject }),
    configMap('shop', 'corp-keys', { 'jwks.json': jwks }),
    secret('shop', 'staff', { '.htpasswd': passwordFile(users) }),
    secret('shop', 'keys', apiKeySecret(keys)),
    secret('shop', 'client', { secret: 'a-client-secret-for-the-bench-only' }),
  ])
}

/** Rules of an HTTPRoute, as many as the Gateway API lets one have. */
const rulesOfRoute = 16

const matchedRule = (route: string, index: number): object => ({
  name: `rule-${index}`,
  matches: [{ path: { type: 'PathPrefix', value: `/${route}/part-${index}` } }],
  filters: [
    {
      type: 'ExternalAuth',
      externalAuth: { protocol: 'HTTP', backendRef: { name: 'gatehouse', namespace: 'gatehouse', port: 9003 } },
    },
  ],
  backendRefs: [{ name: 'backend', port: 8080 }],
})

/** Where in a world for matching a request goes. */
export interface MatchedPlace {
  readonly directory: string
  readonly host: string
  readonly path: string
}

/** So many rules behind so many hosts, each with a prefix of its own; the place is that of the last rule. */
export function matchingWorld({ folder, jwks }: WorldParts, rules: number, hosts: number): MatchedPlace {
  const routes = Array.from(
    { length: Math.ceil(rules / Math.min(rulesOfRoute, Math.ceil(rules / hosts))) },
    (_, index) => index,
  )
  const size = Math.ceil(rules / routes.length)
  const host = (route: number): string => `host-${route % hosts}.example`
  const manifests = routes.flatMap((route) => {
    const name = `route-${route}`
    const count = Math.min(size, rules - route * size)
    return [
      {
        apiVersion: `${gateway}/v1`,
        kind: 'HTTPRoute',
        metadata: { namespace: 'shop', name },
        spec: {
          parentRefs: [{ name: 'edge' }],
          hostnames: [host(route)],
          rules: Array.from({ length: count }, (_, index) => matchedRule(name, index)),
        },
      },
      policy('shop', name, undefined, jwtPolicy),
    ]
  })
  const last = routes.length - 1
  return {
    directory: write(
      folder,
      `matching-${rules}-${hosts}`,
      [configMap('shop', 'corp-keys', { 'jwks.json': jwks }), ...manifests],
      inJson,
    ),
    host: host(last),
    path: `/route-${last}/part-${rules - last * size - 1}`,
  }
}

/** So many policies for as many routes, each known by its key. */
export function policiesWorld({ folder, jwks }: WorldParts, count: number): string {
  const policies = Array.from({ length: count }, (_, index) => policy('shop', `route-${index}`, 'all', jwtPolicy))
  return write(folder, `policies-${count}`, [configMap('shop', 'corp-keys', { 'jwks.json': jwks }), ...policies])
}

const manifestsOfFile = 100

/** Writes manifests to files of a new directory and gives its path; as people write them, unless that takes too long. */
function write(folder: string, name: string, manifests: readonly object[], written = inBlocks): string {
  const directory = join(folder, name)
  mkdirSync(directory)
  for (let at = 0; at < manifests.length; at += manifestsOfFile) {
    const texts = manifests.slice(at, at + manifestsOfFile).map(written)
    writeFileSync(join(directory, `part-${at / manifestsOfFile}.yaml`), texts.join('\n---\n'))
  }
  return directory
}

const inBlocks = (manifest: object): string => stringify(manifest)

/** YAML in its JSON form: ten thousand rules take seconds to lay out in blocks. */
const inJson = (manifest: object): string => JSON.stringify(manifest)
