import { Agent } from 'node:http'
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startBackend, valuesOf } from '../support/backend.ts'
import type { Backend } from '../support/backend.ts'
import { describeWith } from '../support/describe-with.ts'
import { startEnvoy } from '../support/envoy.ts'
import type { Envoy } from '../support/envoy.ts'
import { gatehouse } from '../support/gatehouse.ts'
import type { TestGatehouse } from '../support/gatehouse.ts'
import { below, pathCorpus, readings } from '../support/path-corpus.ts'
import { guardOf } from '../support/scenarios.ts'
import { basic, send } from '../support/send.ts'

/*
 * A real Envoy that leaves paths as they are (its default), and a backend that tells what arrived. /open is for guests,
 * /console takes a password; both are told apart by matching alone, which is where a path that is read in two ways would
 * get through. The keyed listener guards everything by one rule. Envoy lets through whatever it gets no answer for, so
 * that only explicit refusals count.
 */

const files = {
  'routes.yaml': `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { namespace: shop, name: site }
spec:
  parentRefs: [{ name: edge }]
  rules:
    - name: open
      matches: [{ path: { type: PathPrefix, value: /open } }]
      filters:
        - type: ExternalAuth
          externalAuth:
            protocol: HTTP
            backendRef: { name: gatehouse, port: 9003 }
            http: { allowedResponseHeaders: [x-user] }
      backendRefs: [{ name: site, port: 80 }]
    - name: console
      matches: [{ path: { type: PathPrefix, value: /console } }]
      filters:
        - type: ExternalAuth
          externalAuth:
            protocol: HTTP
            backendRef: { name: gatehouse, port: 9003 }
            http: { allowedResponseHeaders: [x-user] }
      backendRefs: [{ name: site, port: 80 }]
---
apiVersion: gatehouse.dev/v1alpha1
kind: AuthPolicy
metadata: { namespace: shop, name: open }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: site, sectionName: open }]
  authentication: [{ name: staff, basic: { realm: Site, usersRef: { name: users, key: .htpasswd } } }]
  guest: { subject: anybody }
  response: { headers: [{ name: x-user, value: { cel: identity.subject } }] }
---
apiVersion: gatehouse.dev/v1alpha1
kind: AuthPolicy
metadata: { namespace: shop, name: console }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: site, sectionName: console }]
  authentication: [{ name: staff, basic: { realm: Site, usersRef: { name: users, key: .htpasswd } } }]
  response: { headers: [{ name: x-user, value: { cel: identity.subject } }] }
---
apiVersion: gatehouse.dev/v1alpha1
kind: AuthPolicy
metadata: { namespace: shop, name: keyed }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: plain, sectionName: all }]
  authentication: [{ name: staff, basic: { realm: Site, usersRef: { name: users, key: .htpasswd } } }]
  response:
    headers:
      - { name: x-user, value: { cel: identity.subject } }
      - { name: x-remote-user-name, value: { cel: identity.subject } }
      - { name: x-tenant, value: { claim: [tenant] } }
  unauthenticated: { respond: Challenge }
---
apiVersion: gatehouse.dev/v1alpha1
kind: AuthPolicy
metadata: { namespace: shop, name: query }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: plain, sectionName: query }]
  authentication: [{ apiKey: { keysRef: { name: partners }, credential: [{ query: api_key }, { header: Authorization, scheme: Key }] } }]
  response: { headers: [{ name: x-user, value: { cel: identity.subject } }], removeQuery: [api_key] }
---
apiVersion: v1
kind: Secret
metadata: { namespace: shop, name: partners }
stringData: { acme: a-key-of-acme-that-nobody-guesses }
---
apiVersion: v1
kind: Secret
metadata: { namespace: shop, name: users }
stringData:
  .htpasswd: |
    margaret:$2b$10$KYD6pvzx5Ob1UZIMLRKgdOlDvNZpP/iwcI9kKu1VsSdcdkslmtDcS
`,
}

const margaret = ['Authorization', basic('margaret', 'moon-landing')] as const
const guards = ['match', 'shop/plain/all', 'shop/plain/none', 'shop/plain/query'].map(guardOf)

for (const protocol of ['grpc', 'http'] as const)
  await describeWith(['envoy'], `Envoy, ext_authz over ${protocol}`, () => suite(protocol))

function suite(protocol: 'grpc' | 'http'): void {
  let gate: TestGatehouse
  let backend: Backend
  let envoy: Envoy
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  const matching = (): number => envoy.ports[0] ?? 0
  const keyed = (): number => envoy.ports[1] ?? 0
  const unknown = (): number => envoy.ports[2] ?? 0

  beforeAll(async () => {
    gate = await gatehouse({ files })
    backend = await startBackend()
    envoy = await startEnvoy({
      protocol,
      guards,
      grpcPorts: [gate.grpcPort],
      httpPort: gate.httpPort,
      matchingPort: gate.matchingPort,
      backendPort: backend.port,
      // Whatever is not an explicit refusal of ours would be let through.
      failureModeAllow: true,
      allowedResponseHeaders: ['x-user', 'x-remote-user-name', 'x-tenant'],
    })
  })

  afterAll(async () => {
    agent.destroy()
    await envoy?.stop()
    await backend?.close()
    await gate?.close()
  })

  it('HDR-13 a credential in the query does not reach the backend, however its name is spelled', async () => {
    const port = envoy.ports[3] ?? 0
    const arrived = async (target: string): Promise<readonly unknown[]> => {
      const before = backend.requests()
      const { status } = await send({ port, path: target, agent })
      return [status, ...backend.seen.slice(before).map(({ url }) => url)]
    }
    const key = 'a-key-of-acme-that-nobody-guesses'
    const gone = (url: string): readonly unknown[] => (protocol === 'grpc' ? [200, url] : [403])
    expect(await arrived(`/a?x=%31&api_key=${key}&y=2`)).toEqual(gone('/a?x=%31&y=2'))
    expect(await arrived(`/a?api%5Fkey=${key}`)).toEqual(gone('/a'))
    expect(await arrived(`/a?api_key=${key}&api%5fkey=${key}`)).toEqual([403])
    const before = backend.requests()
    const { status } = await send({ port, path: '/a?x=%31&y', headers: [['Authorization', `Key ${key}`]], agent })
    expect([status, backend.seen.slice(before).map(({ url }) => url)]).toEqual([200, ['/a?x=%31&y']])
  })

  it(
    'NRM-01 NRM-02 NRM-03 NRM-04 NRM-09 NRM-10 NRM-11 NRM-12 NRM-20 NRM-25 lets no path through that anybody could read as a guarded one',
    { timeout: 60_000 },
    async () => {
      const corpus = pathCorpus({ open: 'open', guarded: 'console' })
      const before = backend.requests()
      await inParallel(8, corpus, async (path) => {
        await send({ port: matching(), path, agent }).catch(() => undefined)
      })
      const arrived = backend.seen.slice(before).map(({ url }) => url)
      const wrong = arrived.filter((url) => readings(url).some((reading) => below(reading, '/console')))
      expect(corpus.length).toBeGreaterThan(2000)
      expect(wrong).toEqual([])
      // Some of it is odd but means one thing only: those are for guests.
      expect(arrived.length).toBeGreaterThan(3)
      // The corpus is not simply turned away at the door: guests do reach what is open.
      expect((await send({ port: matching(), path: '/open/page?x=/../console' })).status).toBe(200)
      expect((await send({ port: matching(), path: '/console/page', headers: [margaret] })).status).toBe(200)
      expect((await send({ port: matching(), path: '/console/page' })).status).toBe(403)
    },
  )

  it('keeps every path of the corpus within its keyed rule, whatever it climbs', { timeout: 60_000 }, async () => {
    const corpus = pathCorpus({ open: '../../../../shop/site/open/-', guarded: 'open' }).filter(
      (_, index) => index % 5 === 0,
    )
    const before = backend.requests()
    const judged = gate.records.length
    await inParallel(8, corpus, async (path) => {
      await send({ port: keyed(), path, agent }).catch(() => undefined)
    })
    const rules = new Set(gate.records.slice(judged).map(({ rule }) => rule ?? 'none'))
    expect(backend.requests()).toBe(before)
    expect([...rules]).toEqual(['shop/plain/all'])
  })

  it('HDR-01 HDR-04 lets no spelling and no number of identity headers through', async () => {
    const names = [
      'X-User',
      'x_user',
      'X_USER',
      'x-remote-user-name',
      'x_remote_user_name',
      'x-remote_user-name',
      'X-Remote_User_Name',
    ]
    const spoofs = names.flatMap(
      (name) =>
        [
          [name, 'root'],
          [name, 'root'],
          [name, ''],
        ] as const,
    )
    const { status } = await send({ port: keyed(), path: '/', headers: [...spoofs, margaret, ...spoofs] })
    const seen = backend.seen.at(-1)
    expect(status).toBe(200)
    expect(valuesOf(seen, 'x-user')).toEqual(['margaret'])
    expect(valuesOf(seen, 'x-remote-user-name')).toEqual(['margaret'])
    expect(seen?.rawHeaders.filter((one) => one === 'root')).toEqual([])
  })

  it('CTR-13 CTR-14 takes off an identity header that this user has no value for', async () => {
    const { status } = await send({
      port: keyed(),
      path: '/',
      headers: [margaret, ['X-Tenant', 'all'], ['x_tenant', 'all']],
    })
    expect(status).toBe(200)
    expect(valuesOf(backend.seen.at(-1), 'x-tenant').filter((value) => value !== '')).toEqual([])
    expect(backend.seen.at(-1)?.rawHeaders).not.toContain('all')
  })

  it('refuses CONNECT and opens no tunnel', async () => {
    const before = backend.requests()
    const answer = await raw(
      keyed(),
      `CONNECT 127.0.0.1:${backend.port} HTTP/1.1\r\nHost: 127.0.0.1:${backend.port}\r\n${margaret.join(': ')}\r\n\r\n`,
    )
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /)
    expect(backend.requests()).toBe(before)
  })

  it('NRM-16 refuses two Host lines and two Authorization lines', async () => {
    const before = backend.requests()
    const twoHosts = await raw(
      keyed(),
      `GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n${margaret.join(': ')}\r\nConnection: close\r\n\r\n`,
    )
    expect(twoHosts).toMatch(/^HTTP\/1\.1 400 /)
    const { status } = await send({ port: keyed(), path: '/', headers: [margaret, margaret] })
    expect(status).toBe(400)
    expect(backend.requests()).toBe(before)
  })

  it('brings a chunked body to the backend whole, and no second request out of it', async () => {
    const before = backend.requests()
    const inner = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n'
    const chunk = `${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n`
    const head = `POST / HTTP/1.1\r\nHost: localhost\r\n${margaret.join(': ')}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n`
    const answer = await raw(keyed(), head + chunk)
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
    expect(backend.seen.slice(before).map(({ method, url, body }) => [method, url, body])).toEqual([
      ['POST', '/', inner],
    ])
  })

  it('CTR-02 CTR-10 answers every refusal explicitly, so that a gateway that fails open does not', async () => {
    const before = backend.requests()
    const many = Array.from({ length: 60 }, (_, index) => [`x-${index}`, 'v'.repeat(900)] as const)
    const long = `/${'a'.repeat(40_000)}`
    const asks = [
      { port: unknown(), path: '/', headers: [margaret] },
      { port: keyed(), path: '/', headers: [['Authorization', `Basic ${'A'.repeat(20_000)}`]] },
      { port: keyed(), path: '/', headers: [['Authorization', 'Basic \u00ff']] },
      { port: keyed(), path: '/', headers: [margaret], host: 'a,b' },
      { port: keyed(), path: '/', headers: [margaret], host: 'user@shop.example' },
      { port: keyed(), path: long, headers: [margaret] },
      { port: keyed(), path: '/%', headers: [margaret] },
      { port: keyed(), path: '/', headers: [margaret, ['X-Big', 'v'.repeat(33_000)]] },
      { port: matching(), path: '/', headers: [margaret, ...many] },
      { port: keyed(), path: '/', headers: many },
    ] as const
    const statuses = await Promise.all(asks.map((one) => send(one).then(({ status }) => status)))
    expect(statuses.filter((status) => status < 400 || status > 499)).toEqual([])
    expect(backend.requests()).toBe(before)
  })

  it('judges what the client asks, not what it claims in headers that Envoy or others use', async () => {
    const claims = ['x-envoy-original-path', 'x-original-uri', 'x-forwarded-uri', 'path', 'x-rewrite-url'].map(
      (name) => [name, '/open'] as const,
    )
    const { status } = await send({ port: matching(), path: '/console', headers: claims })
    expect(status).toBe(403)
  })
}

async function inParallel<T>(width: number, all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const left = all.values()
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const one of left) await work(one)
    }),
  )
}

/** Bytes in, bytes out until the other side is silent or gone. */
const raw = (port: number, text: string): Promise<string> =>
  new Promise((done, fail) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(text, 'latin1'))
    socket.setTimeout(2000, () => socket.destroy())
    socket.on('data', (chunk) => (answer += chunk.toString('latin1')))
    socket.on('error', fail).on('close', () => done(answer))
  })
