import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { gatehouse } from '../support/gatehouse.ts'
import type { TestGatehouse } from '../support/gatehouse.ts'
import { send } from '../support/send.ts'

/* What Envoy's routes and ours could read differently is refused in matching: Envoy routes each line of a header and an undecoded query. */

const filter = `filters: [{ type: ExternalAuth, externalAuth: { protocol: HTTP, backendRef: { name: gatehouse, port: 9003 }, http: { allowedHeaders: [x-env], allowedResponseHeaders: [x-user] } } }]`
const policy = (route: string, rule: string, spec: string): string => `---
apiVersion: gatehouse.dev/v1alpha1
kind: AuthPolicy
metadata: { namespace: shop, name: ${route}-${rule} }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: ${route}, sectionName: ${rule} }]
  ${spec}
`
const route = (name: string, hosts: string, one: string, match: string): string => `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { namespace: shop, name: ${name} }
spec:
  parentRefs: [{ name: edge }]
  hostnames: ${hosts}
  rules:
    - { name: ${one}, matches: [${match}], ${filter} }
    - { name: rest, ${filter} }
`
const guest = 'guest: { subject: visitor }'
const key = 'authentication: [{ apiKey: { keysRef: { name: keys } } }]'
const world = [
  route('env', '[env.example]', 'admin', '{ headers: [{ name: x-env, value: admin }] }'),
  policy('env', 'admin', key),
  policy('env', 'rest', guest),
  route('query', '[query.example]', 'preview', '{ queryParams: [{ name: preview, value: "1" }] }'),
  policy('query', 'preview', guest),
  policy('query', 'rest', key),
  route('public', '[public.example]', 'all', '{ path: { type: PathPrefix, value: / } }'),
  policy('public', 'all', guest),
  policy('public', 'rest', key),
  '---\napiVersion: v1\nkind: Secret\nmetadata: { namespace: shop, name: keys }\nstringData: { ada: the-right-key-of-ada-0123456789 }\n',
].join('')

let gate: TestGatehouse
beforeAll(async () => {
  gate = await gatehouse({ files: { 'world.yaml': world } })
})
afterAll(() => gate.close())

const ask = async (host: string, path = '/', env?: string): Promise<readonly [number, string]> => {
  const headers = env === undefined ? [] : [['x-env', env] as const]
  const { status } = await send({ port: gate.matchingPort, path, host, headers })
  const decision = gate.records.at(-1)?.decision
  return [status, decision?.kind === 'deny' ? decision.reason : (gate.records.at(-1)?.rule ?? '')]
}

describe('matching', () => {
  it.each<[string, Parameters<typeof ask>, number, string]>([
    ['NRM-18 the header', ['env.example', '/', 'admin'], 403, 'no-credential'],
    ['NRM-18 another header', ['env.example', '/', 'test'], 200, 'shop/env/rest'],
    ['NRM-18 one of two lines that Envoy joined', ['env.example', '/', 'zzz,admin'], 403, 'ambiguous-match'],
    ['NRM-18 the first of two', ['env.example', '/', 'admin,zzz'], 403, 'ambiguous-match'],
    ['NRM-18 two lines that match in no case', ['env.example', '/', 'a,b'], 200, 'shop/env/rest'],
    ['NRM-18 a comma of the value itself', ['env.example', '/', 'a, admin'], 200, 'shop/env/rest'],
    ['NRM-24 the parameter', ['query.example', '/?preview=1'], 200, 'shop/query/preview'],
    ['NRM-24 no parameter', ['query.example', '/'], 403, 'no-credential'],
    ['NRM-24 its name escaped', ['query.example', '/?prev%69ew=1'], 403, 'ambiguous-match'],
    ['NRM-24 its value escaped', ['query.example', '/?preview=%31'], 403, 'ambiguous-match'],
    ['NRM-15 a host', ['public.example'], 200, 'shop/public/all'],
    ['NRM-15 a host with the dot of the root', ['public.example.'], 403, 'ambiguous-match'],
  ])('%s', async (_, given, status, told) => {
    expect(await ask(...given)).toEqual([status, told])
  })
})
