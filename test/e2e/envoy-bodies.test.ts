import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:http2'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startBackend, valuesOf } from '../support/backend.ts'
import type { Backend, Seen } from '../support/backend.ts'
import { describeWith } from '../support/describe-with.ts'
import { startEnvoy } from '../support/envoy.ts'
import type { Envoy } from '../support/envoy.ts'
import { gatehouse } from '../support/gatehouse.ts'
import type { TestGatehouse } from '../support/gatehouse.ts'
import { guardOf } from '../support/scenarios.ts'
import { basic } from '../support/send.ts'

/*
 * A real Envoy that copies every header of our answer to the client's request, as gateways have it do for a filter without
 * `allowedResponseHeaders`: `content-length: 0` among them, after which a body is a second request that nobody checked.
 */

const filter = (http: string): string => `
        - type: ExternalAuth
          externalAuth: { protocol: HTTP, backendRef: { name: gatehouse, port: 9002 }, http: ${http} }`

const files = {
  'routes.yaml': `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { namespace: shop, name: cart }
spec:
  parentRefs: [{ name: edge }]
  rules:
    - name: pay
      matches: [{ path: { type: PathPrefix, value: /pay } }]
      filters:${filter('{ path: /v1/check/shop/cart/pay/- }')}
      backendRefs: [{ name: site, port: 80 }]
    - name: named
      matches: [{ path: { type: PathPrefix, value: /named } }]
      filters:${filter('{ path: /v1/check/shop/cart/named/-, allowedResponseHeaders: [X-User, Content-Length] }')}
      backendRefs: [{ name: site, port: 80 }]
    - matches: [{ path: { type: PathPrefix, value: /admin } }]
      filters:${filter('{}')}
      backendRefs: [{ name: site, port: 80 }]
---
apiVersion: gatehouse.dev/v1alpha1
kind: AuthPolicy
metadata: { namespace: shop, name: cart }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: cart }]
  authentication: [{ name: staff, basic: { realm: Site, usersRef: { name: users, key: .htpasswd } } }]
  response: { headers: [{ name: x-user, value: { cel: identity.subject } }] }
---
apiVersion: v1
kind: Secret
metadata: { namespace: shop, name: users }
stringData:
  .htpasswd: |
    margaret:$2b$10$KYD6pvzx5Ob1UZIMLRKgdOlDvNZpP/iwcI9kKu1VsSdcdkslmtDcS
`,
}

const guards = ['match', 'shop/cart/pay', 'shop/cart/named'] as const
const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n'
const authorization = basic('margaret', 'moon-landing')

interface Body {
  readonly method: string
  /** Written one after the other. */
  readonly pieces: readonly string[]
  /** Whether the length is told in advance. */
  readonly length: boolean
}

const bodies: readonly (readonly [string, Body])[] = [
  ['a body of known length', { method: 'POST', pieces: [smuggled], length: true }],
  ['a body of unknown length', { method: 'POST', pieces: [smuggled, smuggled], length: false }],
  ['a large body', { method: 'PUT', pieces: [smuggled, 'x'.repeat(300_000), smuggled], length: true }],
  ['a GET with a body', { method: 'GET', pieces: [smuggled], length: true }],
  ['an empty body', { method: 'POST', pieces: [], length: true }],
  ['an empty body of unknown length', { method: 'POST', pieces: [''], length: false }],
  ['no body at all', { method: 'GET', pieces: [], length: false }],
]

type Client = (port: number, path: string, body: Body) => Promise<number>

const headersOf = ({ pieces, length }: Body): Record<string, string> => ({
  authorization,
  ...(length ? { 'content-length': String(pieces.join('').length) } : {}),
})

const overHttp1: Client = async (port, path, body) => {
  const chunked: Record<string, string> =
    body.length || body.pieces.length === 0 ? {} : { 'transfer-encoding': 'chunked' }
  const ask = request({ port, path, method: body.method, agent: false, headers: { ...headersOf(body), ...chunked } })
  for (const piece of body.pieces) ask.write(piece)
  ask.end()
  const [answer] = (await once(ask, 'response')) as [import('node:http').IncomingMessage]
  await text(answer)
  return answer.statusCode ?? 0
}

const overHttp2: Client = async (port, path, body) => {
  const session = connect(`http://127.0.0.1:${port}`)
  try {
    const endStream = body.pieces.length === 0
    const stream = session.request({ ':method': body.method, ':path': path, ...headersOf(body) }, { endStream })
    const answered = once(stream, 'response') as Promise<[Record<string, unknown>]>
    for (const piece of body.pieces) stream.write(piece)
    if (!endStream) stream.end()
    const [headers] = await answered
    await text(stream)
    return Number(headers[':status'])
  } finally {
    session.close()
  }
}

await describeWith(['envoy'], 'Envoy that copies every header of the answer', () => {
  let gate: TestGatehouse
  let backend: Backend
  let envoy: Envoy

  beforeAll(async () => {
    gate = await gatehouse({ files })
    backend = await startBackend()
    envoy = await startEnvoy({
      protocol: 'http',
      guards: guards.map(guardOf),
      httpPort: gate.httpPort,
      matchingPort: gate.matchingPort,
      backendPort: backend.port,
      allowedResponseHeaders: 'every',
    })
  })

  afterAll(async () => {
    await envoy?.stop()
    await backend?.close()
    await gate?.close()
  })

  /** What arrived of one request, with time for another one that it hid. */
  async function arrived(client: Client, guard: number, path: string, body: Body): Promise<readonly Seen[]> {
    const before = backend.requests()
    expect(await client(envoy.ports[guard] ?? 0, path, body)).toBe(200)
    await new Promise((done) => setTimeout(done, 50))
    return backend.seen.slice(before)
  }

  for (const [version, client] of [
    ['HTTP/1.1', overHttp1],
    ['HTTP/2', overHttp2],
  ] as const) {
    it.each(bodies)(
      `DOS-10 brings %s over ${version} to the backend as it was, and nothing beside it`,
      async (_, body) => {
        for (const [guard, path] of ['/admin/form', '/pay/form', '/named/form'].entries()) {
          const seen = await arrived(client, guard, path, body)
          expect(seen.map((one) => [one.method, one.url, one.body.length])).toEqual([
            [body.method, path, body.pieces.join('').length],
          ])
          const [only] = seen
          expect(only?.body).toBe(body.pieces.join(''))
          expect(valuesOf(only, 'x-user')).toEqual(['margaret'])
          expect(valuesOf(only, 'x-envoy-auth-headers-to-remove')).toEqual([])
          const framing = [...valuesOf(only, 'content-length'), ...valuesOf(only, 'transfer-encoding')]
          expect(framing.length).toBeLessThanOrEqual(1)
        }
      },
    )
  }
})
