import { readFileSync, readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { Agent, request } from 'undici'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { crdYaml } from '../../src/command/crd.ts'
import { authPolicy } from '../../src/policy/document.ts'
import { apiServer, describeOnKubernetes } from '../support/api-server.ts'
import type { ApiServer } from '../support/api-server.ts'
import type { KubeObject } from '../support/kube-client.ts'

const policies = resolve(import.meta.dirname, '../../policies')

const manifests = readdirSync(policies, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .flatMap(({ name }) =>
    parseAllDocuments(readFileSync(resolve(policies, name, 'policy.yaml'), 'utf8')).map((document) => ({
      scenario: name,
      object: document.toJS() as KubeObject,
    })),
  )

const policy = (spec: object, name = 'p'): object => ({
  apiVersion: 'gatehouse.dev/v1alpha1',
  kind: 'AuthPolicy',
  metadata: { namespace: 'default', name },
  spec: { targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: 'r' }], ...spec },
})
const guest = { guest: { subject: 'visitor' } }
const method = (kind: string, block: object): object => ({ authentication: [{ [kind]: block }] })
const condition = (entry: object): object => ({ ...guest, authorization: [entry] })
const jwt = (some: object): object =>
  method('jwt', { issuer: 'https://idp.example', audiences: ['a'], jwks: { discovery: true }, ...some })
const introspection = (some: object): object =>
  method('introspection', {
    endpoint: 'https://idp.example/introspect',
    client: { id: 'g', secretRef: { name: 's' } },
    audiences: ['a'],
    ...some,
  })

/** `[what, spec, what the API server says]` */
const refused: readonly (readonly [string, object, RegExp])[] = [
  ['no target', { targetRefs: [], ...guest }, /targetRefs.*at least 1/],
  [
    'too many targets',
    {
      targetRefs: Array.from({ length: 17 }, (_, n) => ({
        group: 'gateway.networking.k8s.io',
        kind: 'HTTPRoute',
        name: `r${n}`,
      })),
      ...guest,
    },
    /at most 16/,
  ],
  [
    'a target of another kind',
    { targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'GRPCRoute', name: 'r' }], ...guest },
    /Unsupported value: "GRPCRoute"/,
  ],
  [
    'a target of another group',
    { targetRefs: [{ group: '', kind: 'HTTPRoute', name: 'r' }], ...guest },
    /Unsupported value/,
  ],
  [
    'a target without a name',
    { targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute' }], ...guest },
    /name: Required/,
  ],
  ['nobody who could pass', {}, /nobody could ever pass/],
  ['nobody who could pass, said aloud', { authentication: [] }, /nobody could ever pass/],
  ['wrong type', { ...guest, mode: 7 }, /mode: expected string/],
  ['a mode that there is not', { ...guest, mode: 'Off' }, /Unsupported value: "Off"/],
  ['a strategy that there is not', { ...guest, strategy: 'Merge' }, /Unsupported value: "Merge"/],
  ['an entry of no method', { authentication: [{ name: 'staff' }] }, /has exactly one of basic, jwt/],
  ['a misspelt method', { authentication: [{ jwtt: {} }] }, /has exactly one of basic, jwt/],
  [
    'an entry of two methods',
    { authentication: [{ basic: { usersRef: { name: 'u' } }, apiKey: { keysRef: { name: 'k' } } }] },
    /has exactly one of basic, jwt/,
  ],
  [
    'two entries of one name',
    {
      authentication: [
        { name: 'a', basic: { usersRef: { name: 'u' } } },
        { name: 'a', basic: { usersRef: { name: 'v' } } },
      ],
    },
    /a name of its own/,
  ],
  ['a realm with a quote', method('basic', { realm: 'a"b', usersRef: { name: 'u' } }), /realm/],
  ['no users', method('basic', {}), /usersRef: Required/],
  ['users in a Deployment', method('basic', { usersRef: { kind: 'Deployment', name: 'u' } }), /Unsupported value/],
  ['a JWT without an issuer', method('jwt', { audiences: ['a'], jwks: { discovery: true } }), /issuer: Required/],
  ['a JWT without audiences', method('jwt', { issuer: 'i', jwks: { discovery: true } }), /audiences: Required/],
  ['empty audiences', jwt({ audiences: [] }), /audiences.*at least 1/],
  ['keys from nowhere', jwt({ jwks: {} }), /has exactly one of discovery, uri, ref/],
  [
    'keys from two places',
    jwt({ jwks: { discovery: true, uri: 'https://a.example' } }),
    /has exactly one of discovery, uri, ref/,
  ],
  ['discovery: false', jwt({ jwks: { discovery: false } }), /Unsupported value/],
  ['algorithm none', jwt({ algorithms: ['none'] }), /Unsupported value: "none"/],
  [
    'a credential in two places',
    jwt({ credential: [{ header: 'x-a', cookie: 'a' }] }),
    /has exactly one of header, cookie, query/,
  ],
  ['a credential nowhere', jwt({ credential: [{}] }), /has exactly one of header, cookie, query/],
  [
    'a scheme without a header',
    jwt({ credential: [{ cookie: 'a', scheme: 'Bearer' }] }),
    /has a scheme only with a header/,
  ],
  ['clocks an hour apart', jwt({ clockSkewSeconds: 3600 }), /clockSkewSeconds/],
  ['introspection nowhere', introspection({ endpoint: undefined }), /has endpoint or issuer/],
  [
    'signed answers of nobody',
    introspection({ signed: { jwks: { uri: 'https://a.example' } } }),
    /has issuer where answers are signed/,
  ],
  [
    'a client with two names',
    introspection({ client: { id: 'a', idRef: { name: 'b' }, secretRef: { name: 's' } } }),
    /has exactly one of id, idRef/,
  ],
  [
    'a client with a key for Basic',
    introspection({ client: { id: 'a', keyRef: { name: 'k' } } }),
    /has keyRef with method/,
  ],
  [
    'a client that signs without a key',
    introspection({ client: { id: 'a', method: 'private_key_jwt' } }),
    /has keyRef with method/,
  ],
  [
    'a client with a secret that signs',
    introspection({ client: { id: 'a', method: 'private_key_jwt', keyRef: { name: 'k' }, secretRef: { name: 's' } } }),
    /has secretRef with/,
  ],
  [
    'API keys in two places',
    method('apiKey', { keysRef: { name: 'k', selector: { a: 'b' } } }),
    /has exactly one of name, selector/,
  ],
  ['API keys by no label', method('apiKey', { keysRef: { selector: {} } }), /selector.*at least 1/],
  [
    'an API key in header and credential',
    method('apiKey', { header: 'x-a', credential: [{ cookie: 'a' }], keysRef: { name: 'k' } }),
    /header or credential, not both/,
  ],
  ['a condition of no kind', condition({}), /has exactly one of scopes, claims, cel/],
  ['a condition of two kinds', condition({ scopes: ['a'], cel: 'true' }), /has exactly one of scopes, claims, cel/],
  ['a claim that is not tested', condition({ claims: [{ path: ['a'] }] }), /claims\[0\].*oneOf/],
  [
    'a claim that is tested twice',
    condition({ claims: [{ path: ['a'], exists: true, equals: 1 }] }),
    /claims\[0\].*oneOf/,
  ],
  ['a claim without a path', condition({ claims: [{ path: [], exists: true }] }), /path.*at least 1/],
  ['a CEL expression of 5,000 characters', condition({ cel: 'a'.repeat(5000) }), /Too long|may not be more than 4096/],
  [
    'a header of no value',
    { ...guest, response: { headers: [{ name: 'x-a', value: {} }] } },
    /has exactly one of claim, cel, text/,
  ],
  [
    'a header of two values',
    { ...guest, response: { headers: [{ name: 'x-a', value: { text: 'a', cel: "'a'" } }] } },
    /has exactly one of claim, cel, text/,
  ],
  [
    'a redirect nowhere',
    { ...guest, unauthenticated: { respond: 'Redirect' } },
    /location goes with respond: Redirect/,
  ],
  [
    'a location without a redirect',
    { ...guest, unauthenticated: { respond: 'Challenge', location: 'https://a.example' } },
    /location goes with respond: Redirect/,
  ],
  [
    'a location that is a script',
    { ...guest, unauthenticated: { respond: 'Redirect', location: 'javascript:alert(1)' } },
    /location/,
  ],
  ['a media type that is none', { ...guest, denied: { contentType: 'html' } }, /contentType/],
  ['a guest without a name', { guest: {} }, /subject: Required/],
  ['CFG-05 a number where text is meant', { guest: { subject: 1e3 } }, /subject: expected string/],
]

/** What the API server cannot see; the compiler refuses it and the status says so. `[what, spec]` */
const admitted: readonly (readonly [string, object])[] = [
  ['CFG-01 an unknown key is kept, so that it can be refused', { ...guest, autorization: [{ scopes: ['a'] }] }],
  ['an unknown key in a method', method('basic', { usersRef: { name: 'u' }, allowDes: true })],
  ['a claim compared with an object', condition({ claims: [{ path: ['a'], equals: { b: 1 } }] })],
  ['a header that carries no credential', jwt({ credential: [{ header: 'content-length' }] })],
]

const crd = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/authpolicies.gatehouse.dev'

await describeOnKubernetes('the CRD on a real API server', () => {
  let server: ApiServer
  beforeAll(async () => {
    server = await apiServer({ crds: 'v1.4.1' })
    await server.apply(crdYaml())
    const namespaces = new Set(manifests.map(({ object }) => object.metadata.namespace ?? 'default'))
    for (const name of namespaces) await server.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  }, 240_000)
  afterAll(() => server?.stop())

  it('is structural, established, and names nothing that it could not do', async () => {
    await vi.waitFor(async () => {
      const { body } = await server.request<{ status: { conditions: { type: string; status: string }[] } }>('GET', crd)
      const status = Object.fromEntries(body.status.conditions.map((one) => [one.type, one.status]))
      // A schema that is not structural would have a condition NonStructuralSchema.
      expect(status).toEqual({ NamesAccepted: 'True', Established: 'True' })
    }, 10_000)
  })

  it.each(manifests)('takes $object.kind $object.metadata.name of policies/$scenario', async ({ object }) => {
    const [applied] = await server.apply(object)
    expect(applied?.metadata.name).toBe(object.metadata.name)
  })

  it('fills in no default that the compiler would refuse', async () => {
    for (const { object } of manifests.filter(({ object: { kind } }) => kind === 'AuthPolicy')) {
      const [applied] = await server.apply(object)
      expect(authPolicy.safeParse(applied).error?.issues ?? []).toEqual([])
    }
  })

  it.each(refused)('refuses %s', async (_, spec, says) => {
    expect(authPolicyErrors(spec)).toBeGreaterThan(0)
    await expect(server.apply(policy(spec))).rejects.toThrow(says)
  })

  it.each(admitted)('%s', async (_, spec) => {
    const [applied] = await server.apply(policy(spec, 'admitted'))
    expect(authPolicy.safeParse(applied).success).toBe(false)
  })

  it('is found by category and under the GEP-713 label', async () => {
    const { body } = await server.request<{ spec: { names: object }; metadata: { labels: object } }>('GET', crd)
    expect(body.spec.names).toMatchObject({ categories: ['gateway-api'], shortNames: ['authp'] })
    expect(body.metadata.labels).toMatchObject({ 'gateway.networking.k8s.io/policy': 'Inherited' })
  })

  it('shows in `kubectl get` what matters, of the ancestor that is first', async () => {
    await server.apply(policy(guest, 'shown'))
    const condition = (type: string, status: string, reason: string): object => ({
      type,
      status,
      reason,
      message: 'x',
      observedGeneration: 1,
      lastTransitionTime: '2026-11-01T00:00:00Z',
    })
    const ancestor = (name: string, enforced: string, reason: string): object => ({
      ancestorRef: { group: 'gateway.networking.k8s.io', kind: 'Gateway', namespace: 'default', name },
      controllerName: 'gatehouse.dev/gatehouse',
      conditions: [condition('Accepted', 'True', 'Accepted'), condition('Enforced', enforced, reason)],
    })
    const path = '/apis/gatehouse.dev/v1alpha1/namespaces/default/authpolicies/shown'
    const status = { ancestors: [ancestor('a', 'Unknown', 'NoCheckSeen'), ancestor('b', 'True', 'Enforced')] }
    const { status: code } = await server.request('PATCH', `${path}/status`, { status }, 'application/merge-patch+json')
    expect(code).toBe(200)
    const shown = await cells(server, path)
    expect(shown).toMatchObject({
      Name: 'shown',
      Target: 'r',
      Accepted: 'True',
      Enforced: 'Unknown',
      Why: 'NoCheckSeen',
    })
  })
})

interface Table {
  readonly columnDefinitions: readonly { readonly name: string }[]
  readonly rows: readonly { readonly cells: readonly unknown[] }[]
}

/** The columns of an object as kubectl asks for them. */
async function cells({ server, ca, token }: ApiServer, path: string): Promise<Record<string, unknown>> {
  const dispatcher = new Agent({ connect: { ca } })
  const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io'
  const answer = await request(`${server}${path}`, {
    dispatcher,
    headers: { authorization: `Bearer ${token}`, accept },
  })
  const { columnDefinitions, rows } = (await answer.body.json()) as Table
  await dispatcher.close()
  return Object.fromEntries(columnDefinitions.map(({ name }, index) => [name, rows[0]?.cells[index]]))
}

/** Faults by the document's own account; what only the compiler knows counts as one. */
function authPolicyErrors(spec: object): number {
  const read = authPolicy.safeParse(policy(spec))
  if (!read.success) return read.error.issues.length
  const { authentication, guest: visitor } = read.data.spec
  const names = authentication.map(({ name }) => name)
  return Number(authentication.length === 0 && visitor === undefined) + Number(new Set(names).size < names.length)
}
