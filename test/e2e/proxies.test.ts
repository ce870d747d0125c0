import { Agent } from 'node:http'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startBackend, valuesOf } from '../support/backend.ts'
import type { Backend, Seen } from '../support/backend.ts'
import { describeWith } from '../support/describe-with.ts'
import { gatehouse } from '../support/gatehouse.ts'
import type { TestGatehouse } from '../support/gatehouse.ts'
import { httpServer } from '../support/local-server.ts'
import { below, canonical, pathCorpus } from '../support/path-corpus.ts'
import { freePorts } from '../support/program.ts'
import { proxies, startProxy } from '../support/proxy.ts'
import type { Proxy, ProxyName } from '../support/proxy.ts'
import { scenarioFiles, scenarios } from '../support/scenarios.ts'
import { basic, send } from '../support/send.ts'
import type { Received, Sent } from '../support/send.ts'

/*
 * One suite for every proxy, each with its example configuration from deploy/proxies and the policies of policies/ in
 * force: /console is ops/console/all, /wiki is intranet/wiki/pages, /open is nobody's.
 */

/** What differs from proxy to proxy: a new one does not compile until it is described here. */
interface Manner {
  /** Two Authorization lines. Each proxy or Gatehouse refuses them, with this. */
  readonly repeatedCredential: number
  /** Challenges that reach the client of the two that the policy offers. */
  readonly challenges: number
  /** No answer from Gatehouse. */
  readonly outage: readonly number[]
  /** Gives up waiting for Gatehouse by itself within seconds. */
  readonly impatient: boolean
  /** Spellings of x-user that the example takes away beside those with underscores. */
  readonly drops: readonly string[]
}

const manners: Readonly<Record<ProxyName, Manner>> = {
  'envoy-grpc': { repeatedCredential: 400, challenges: 2, outage: [403], impatient: true, drops: [] },
  'envoy-http': { repeatedCredential: 400, challenges: 2, outage: [403], impatient: true, drops: [] },
  // nginx before 1.23 passes one WWW-Authenticate on.
  nginx: { repeatedCredential: 400, challenges: 1, outage: [500], impatient: true, drops: ['X.User'] },
  haproxy: { repeatedCredential: 400, challenges: 2, outage: [403], impatient: true, drops: ['X.User'] },
  caddy: { repeatedCredential: 400, challenges: 2, outage: [502, 504], impatient: true, drops: ['X.User'] },
  traefik: { repeatedCredential: 400, challenges: 2, outage: [500], impatient: false, drops: ['X.User'] },
}

const margaret = ['Authorization', basic('margaret', 'moon-landing')] as const
const ada = ['Authorization', basic('ada', 'analytical-engine')] as const

async function tokenOf(say: string): Promise<readonly [string, string]> {
  const all = (await scenarios()).flatMap(({ requests }) => requests)
  const found = all.find((one) => one.say === say)?.request.headers['authorization']
  if (found === undefined) throw new Error(`no request "${say}"`)
  return ['Authorization', found]
}

const operator = await tokenOf('the pipeline with a token')
const visitor = await tokenOf('a token of the wrong group')

for (const name of Object.keys(proxies) as ProxyName[]) {
  await describeWith([proxies[name].tool], name, () => suite(name, manners[name]))
}

function suite(name: ProxyName, manner: Manner): void {
  let gate: TestGatehouse
  let backend: Backend
  let proxy: Proxy
  let ports: { readonly grpc: number; readonly http: number }

  const start = (): Promise<TestGatehouse> => {
    const on = (port: number) => ({ kind: 'on', host: '127.0.0.1', port }) as const
    return scenarioFiles().then((files) =>
      gatehouse({ files, settings: { grpcListen: on(ports.grpc), httpListen: on(ports.http) } }),
    )
  }

  beforeAll(async () => {
    const [grpc = 0, http = 0] = await freePorts(2)
    ports = { grpc, http }
    gate = await start()
    backend = await startBackend()
    proxy = await startProxy(name, { grpcPort: gate.grpcPort, httpPort: gate.httpPort, backendPort: backend.port })
  })

  afterAll(async () => {
    await proxy?.stop()
    await backend?.close()
    await gate?.close()
  })

  /** Sends through the proxy; `seen` is what the backend got of it, if anything. */
  async function through(sent: Omit<Sent, 'port'>): Promise<Received & { readonly seen: Seen | undefined }> {
    const before = backend.requests()
    const received = await send({ port: proxy.port, ...sent })
    return { ...received, seen: backend.seen.slice(before).at(-1) }
  }

  const refused = async (sent: Omit<Sent, 'port'>, status: number): Promise<Received> => {
    const received = await through(sent)
    expect(received.seen).toBeUndefined()
    expect(received.status).toBe(status)
    return received
  }

  it('lets a password in, untouched target and all', async () => {
    const { status, seen } = await through({ path: '/console/jobs/%407?q=1&q=%20&b', headers: [margaret] })
    expect(status).toBe(200)
    expect(seen?.url).toBe(
      '/console/jobs/%407?q=1&q=%20&b'.replace('%40', seen?.url.includes('@') === true ? '@' : '%40'),
    )
    expect(valuesOf(seen, 'x-user')).toEqual(['margaret'])
    expect(valuesOf(seen, 'x-method')).toEqual(['people'])
    expect(valuesOf(seen, 'authorization')).toEqual([margaret[1]])
  })

  it('lets a token in', async () => {
    const { status, seen } = await through({ path: '/console', headers: [operator] })
    expect(status).toBe(200)
    expect(valuesOf(seen, 'x-user')).toEqual(['linus'])
    expect(valuesOf(seen, 'x-method')).toEqual(['pipeline'])
  })

  it('refuses without a credential, with the challenges of RFC 9110', async () => {
    const { all } = await refused({ path: '/console/jobs' }, 401)
    const challenges = all('www-authenticate')
    expect(challenges).toHaveLength(manner.challenges)
    expect(challenges.join('\n')).toContain('Basic realm="Console"')
  })

  it('refuses a wrong password', () =>
    refused({ path: '/console', headers: [['Authorization', basic('margaret', 'moon')]] }, 401))

  it('refuses a token that lacks the group', () => refused({ path: '/console', headers: [visitor] }, 403))

  it('refuses two credentials, in two lines', () =>
    refused({ path: '/console', headers: [margaret, operator] }, manner.repeatedCredential))

  it('refuses credentials in the query or in a header of another spelling', async () => {
    await refused({ path: `/console?access_token=${operator[1].slice(7)}`, headers: [] }, 401)
    const { seen } = await through({ path: '/console', headers: [['X-Authorization', margaret[1]]] })
    expect(seen).toBeUndefined()
  })

  it('HDR-01 takes the client’s own identity headers away', async () => {
    const { status, seen } = await through({
      path: '/console',
      headers: [margaret, ['X-User', 'root'], ['X-METHOD', 'none']],
    })
    expect(status).toBe(200)
    expect(valuesOf(seen, 'x-user')).toEqual(['margaret'])
    expect(valuesOf(seen, 'x-method')).toEqual(['people'])
  })

  it('HDR-04 leaves one value of three', async () => {
    const spoofs = [
      ['X-User', 'root'],
      ['x-user', 'admin'],
      ['X-USER', ''],
    ] as const
    const { status, seen } = await through({ path: '/console', headers: [...spoofs, margaret, ['X-User', 'last']] })
    expect(status).toBe(200)
    expect(valuesOf(seen, 'x-user')).toEqual(['margaret'])
  })

  it('HDR-01 lets no other spelling of an identity header through', async () => {
    const spoofs = ['X_User', 'x_user', 'X_METHOD', ...manner.drops].map((one) => [one, 'root'] as const)
    const { status, seen } = await through({ path: '/console', headers: [margaret, ...spoofs] })
    expect(status).toBe(200)
    expect(seen?.rawHeaders.filter((one) => one === 'root')).toEqual([])
    expect(valuesOf(seen, 'x-user')).toEqual(['margaret'])
  })

  it('HDR-12 is not talked out of a header by Connection', async () => {
    const nominating = ['Connection', 'close, X-User, X-Method, Authorization'] as const
    const { status, seen } = await through({ path: '/console', headers: [margaret, ['X-User', 'root'], nominating] })
    // RFC 9110 §7.6.1 has a proxy take nominated fields off: the credential may be gone, an identity of the client's never stays.
    expect([200, 401]).toContain(status)
    expect(valuesOf(seen, 'x-user')).toEqual(status === 200 ? ['margaret'] : [])
  })

  it('takes off what the policy removes', async () => {
    const { status, seen } = await through({ path: '/wiki/start', headers: [ada] })
    expect(status).toBe(200)
    expect(valuesOf(seen, 'x-user')).toEqual(['ada'])
    expect(valuesOf(seen, 'authorization')).toEqual([])
  })

  it('keeps rules apart: a user of one is nobody in the other', async () => {
    await refused({ path: '/wiki', headers: [margaret] }, 401)
    await refused({ path: '/console', headers: [ada] }, 401)
  })

  it('judges the request, not what the client says about it', async () => {
    const said = [
      ['X-Original-URI', '/open'],
      ['X-Original-URL', '/open'],
      ['X-Original-Method', 'TRACE'],
      ['X-Forwarded-Uri', '/open'],
      ['X-Forwarded-Method', 'TRACE'],
      ['X-Forwarded-Host', 'elsewhere.example'],
      ['X-Envoy-Original-Path', '/open'],
      ['Path', '/open'],
      ['Method', 'TRACE'],
    ] as const
    await refused({ path: '/console/y', headers: said }, 401)
    const count = gate.records.length
    const { status } = await through({ path: '/console/x', headers: [margaret, ...said] })
    expect(status).toBe(200)
    const judged = gate.records.slice(count).map(({ request }) => [request.method, request.target.raw, request.host])
    expect(judged).toEqual([['GET', '/console/x', 'localhost']])
  })

  it('is not misled by other spellings of what it knows the request by', async () => {
    const said = ['X_Original_URI', 'X_Original_Method', 'X_Forwarded_Uri', 'X_Forwarded_Method', 'X_Forwarded_Host']
    const count = gate.records.length
    const { status } = await through({
      path: '/console/x',
      headers: [margaret, ...said.map((one) => [one, '/open'] as const)],
    })
    // Either the proxy drops them, or the check that carries them is refused as contradictory.
    expect([200, 400, 403]).toContain(status)
    for (const { request, decision } of gate.records.slice(count))
      expect([request.target.raw, decision.kind === 'deny' && decision.reason]).toEqual([
        '/console/x',
        status === 200 ? false : 'contradictory-headers',
      ])
  })

  it.for(['POST', 'PUT', 'PATCH', 'DELETE'])('brings a %s body to the backend whole', async (method) => {
    const body = `${method} `.repeat(30_000)
    const { status, seen } = await through({ method, path: '/console', headers: [margaret], body })
    expect(status).toBe(200)
    expect(seen?.method).toBe(method)
    expect(seen?.body === body).toBe(true)
    expect(gate.records.at(-1)?.request.method).toBe(method)
  })

  it('keeps the body of a refused request from the backend', () =>
    refused({ method: 'POST', path: '/console', body: 'x'.repeat(50_000) }, 401))

  it('answers HEAD', async () => {
    const { status, body, seen } = await through({ method: 'HEAD', path: '/console', headers: [margaret] })
    expect([status, body, seen?.method]).toEqual([200, '', 'HEAD'])
    await refused({ method: 'HEAD', path: '/console' }, 401)
  })

  it('judges OPTIONS like any method, preflight or not', async () => {
    await refused({ method: 'OPTIONS', path: '/console' }, 401)
    const preflight = [
      ['Origin', 'https://app.example'],
      ['Access-Control-Request-Method', 'PUT'],
    ] as const
    await refused({ method: 'OPTIONS', path: '/console', headers: preflight }, 401)
    const { status, seen } = await through({ method: 'OPTIONS', path: '/console', headers: [margaret] })
    expect([status, seen?.method]).toEqual([200, 'OPTIONS'])
  })

  it('leaves open paths open, and nothing else', async () => {
    expect((await through({ path: '/open/page' })).status).toBe(200)
    const { seen } = await through({ path: '/consoles' })
    expect(seen).toBeUndefined()
  })

  it('NRM-02 NRM-03 NRM-04 NRM-09 lets no trick of writing a path reach the guarded one without a credential', async () => {
    const corpus = pathCorpus({ open: 'open', guarded: 'console' }).filter((_, index) => index % 7 === 0)
    const reached = new Set<string>()
    const agent = new Agent({ keepAlive: true })
    for (const path of corpus) {
      const { seen } = await through({ path, agent }).catch(() => ({ seen: undefined }))
      if (seen !== undefined && below(canonical(seen.url), '/console')) reached.add(`${path} arrived as ${seen.url}`)
    }
    agent.destroy()
    expect(corpus.length).toBeGreaterThan(900)
    expect([...reached]).toEqual([])
  })

  it('gives each of many at once its own answer', async () => {
    const people = [
      [margaret, 200, ['margaret']],
      [operator, 200, ['linus']],
      [visitor, 403, []],
      [['Authorization', 'Bearer nonsense'], 401, []],
    ] as const
    const answers = await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        const [credential, status, user] = people[index % people.length] ?? people[0]
        const received = await send({ port: proxy.port, path: `/console/${index}`, headers: [credential] })
        const seen = received.status === 200 ? (JSON.parse(received.body) as Seen) : undefined
        return { got: [received.status, valuesOf(seen, 'x-user')], expected: [status, [...user]] }
      }),
    )
    expect(answers.map(({ got }) => got)).toEqual(answers.map(({ expected }) => expected))
  })

  it('refuses while Gatehouse is away, and goes on when it is back', async () => {
    await gate.close()
    for (const headers of [[], [margaret], [operator]]) {
      const { status, seen } = await through({ path: '/console', headers })
      expect(seen).toBeUndefined()
      expect(manner.outage).toContain(status)
    }
    gate = await start()
    await expect
      .poll(async () => (await through({ path: '/console', headers: [margaret] })).status, {
        timeout: 15_000,
        interval: 200,
      })
      .toBe(200)
    await refused({ path: '/console' }, 401)
  })

  if (!manner.impatient) return
  it('refuses when Gatehouse hangs', { timeout: 20_000 }, async () => {
    await gate.close()
    const hanging = await httpServer(() => undefined, ports.http)
    try {
      const { seen, status } = await through({ path: '/console', headers: [margaret] })
      expect(seen).toBeUndefined()
      expect(manner.outage.concat(403, 504)).toContain(status)
    } finally {
      await hanging.close()
      gate = await start()
    }
  })
}
