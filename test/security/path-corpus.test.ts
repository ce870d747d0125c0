import { Agent } from 'node:http'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { gatehouse } from '../support/gatehouse.ts'
import type { TestGatehouse } from '../support/gatehouse.ts'
import { below, canonical, pathCorpus, readings } from '../support/path-corpus.ts'
import { send } from '../support/send.ts'

/* Everything is for guests but one prefix: a path that anybody could take for a guarded one must not pass as one of the others. */

const rule = (name: string, prefix: string): string => `
    - name: ${name}
      matches: [{ path: { type: PathPrefix, value: ${prefix} } }]
      filters:
        - type: ExternalAuth
          externalAuth: { protocol: HTTP, backendRef: { name: gatehouse, port: 9003 }, http: { allowedResponseHeaders: [x-user] } }`
const policy = (name: string, route: string, spec: string): string => `
---
apiVersion: gatehouse.dev/v1alpha1
kind: AuthPolicy
metadata: { namespace: shop, name: ${name} }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: ${route}, sectionName: ${name} }]
  ${spec}`
const world = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { namespace: shop, name: site }
spec:
  parentRefs: [{ name: edge }]
  rules:${rule('rest', '/')}${rule('console', '/console')}
${policy('rest', 'site', 'guest: { subject: anybody }')}
${policy('console', 'site', 'authentication: [{ apiKey: { keysRef: { name: keys } } }]')}
${policy('all', 'plain', `guest: { subject: anybody }\n  authorization: [{ cel: "!request.path.startsWith('/console')" }]`)}
---
apiVersion: v1
kind: Secret
metadata: { namespace: shop, name: keys }
stringData: { ada: the-right-key-of-ada-0123456789 }
`

let gate: TestGatehouse
const agent = new Agent({ keepAlive: true, maxSockets: 4 })
beforeAll(async () => {
  gate = await gatehouse({ files: { 'world.yaml': world } })
})
afterAll(async () => {
  agent.destroy()
  await gate.close()
})

const corpus = [
  ...pathCorpus({ open: 'open', guarded: 'console' }),
  '/%63onsole/secret',
  '/c%6Fnsole',
  '/%43onsole',
  '/%63%6f%6e%73%6f%6c%65/x',
]

it.each([
  ['found by matching', (path: string) => ({ port: gate.matchingPort, path })],
  ['judged by a condition', (path: string) => ({ port: gate.httpPort, path: `/v1/check/shop/plain/all/-${path}` })],
])('NRM-01 NRM-02 NRM-03 NRM-04 no guest reaches what is guarded, %s', { timeout: 120_000 }, async (_, ask) => {
  const allowed: string[] = []
  for (const path of corpus) {
    const answer = await send({ ...ask(path), host: 'shop.example', agent }).catch(() => undefined)
    if (answer?.status === 200) allowed.push(path)
  }
  const wrong = allowed.filter((path) => [canonical(path), ...readings(path)].some((one) => below(one, '/console')))
  expect(corpus.length).toBeGreaterThan(6000)
  expect(wrong).toEqual([])
  expect((await send({ ...ask('/open/page?x=/../console'), host: 'shop.example', agent })).status).toBe(200)
})
