import type { RequestListener, ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Authenticator } from '../../src/authn/method.ts'
import { bearer, ask, jwtBench, rawToken, settle, testKey, verdict } from '../support/jwt-bench.ts'
import type { Bench, TestKey } from '../support/jwt-bench.ts'
import { httpServer, sendJson } from '../support/local-server.ts'
import type { LocalServer } from '../support/local-server.ts'

const minute = 60_000
const issuer = 'https://idp.example.com'
const keys = Array.from({ length: 4 }, (_, index) => testKey(`k${index}`))
const [first, second, third, fourth] = keys as [TestKey, TestKey, TestKey, TestKey]
const rsa = testKey('k0', 'RS256')

const setOf = (...some: readonly TestKey[]): object => ({ keys: some.map(({ jwk }) => jwk) })
const json =
  (value: unknown, status = 200): RequestListener =>
  (_, response) =>
    sendJson(response, value, status)

let bench: Bench
let server: LocalServer
let answer: RequestListener
const open: ServerResponse[] = []

beforeEach(async () => {
  bench = jwtBench()
  answer = json(setOf(first))
  server = await httpServer((request, response) => answer(request, response))
})
afterEach(async () => {
  open.splice(0).forEach((response) => response.destroy())
  await bench.close()
  await server.close()
})

const token = (key: TestKey, claims: object = {}): string =>
  rawToken(
    { alg: key.alg, kid: key.kid },
    { iss: issuer, aud: 'cart', sub: 'alice', exp: bench.now() + 1_000_000, ...claims },
    key.key,
  )
const block = (): object => ({ issuer, audiences: ['cart'], jwks: { uri: `${server.url}/jwks` } })
const judge = (by: Authenticator, key: TestKey): Promise<string> => verdict(by, bearer(token(key)))
const hang: RequestListener = (_, response) => open.push(response)

/** Of many tries, because the machine is shared: one that waits for the network would wait every time. */
const median = (times: readonly number[]): number => times.toSorted((a, b) => a - b)[times.length >> 1] ?? Infinity

async function timed<T>(work: () => Promise<T>): Promise<readonly [T, number]> {
  const started = performance.now()
  const value = await work()
  return [value, performance.now() - started]
}

describe('keys from an address', () => {
  it('waits for the first set, and never asks again for what is known', async () => {
    const corp = bench.authenticator(block())
    expect(await judge(corp, first)).toBe('ok')
    for (let n = 0; n < 20; n += 1) expect(await verdict(corp, bearer(token(first, { n })))).toBe('ok')
    expect(server.requests()).toBe(1)
  })

  it('refreshes every five minutes ± 20 %, and not sooner', async () => {
    const corp = bench.authenticator(block())
    await settle(bench.counts)
    await bench.advance(5 * minute - 1000)
    expect(server.requests()).toBe(1)
    await bench.advance(1000)
    expect(server.requests()).toBe(2)
    expect(await judge(corp, first)).toBe('ok')
  })

  it.each([
    [0, 4 * minute],
    [0.999_999, 6 * minute],
  ])('jitter of %d', async (random, due) => {
    await bench.close()
    bench = jwtBench({ random: () => random })
    bench.authenticator(block())
    await settle(bench.counts)
    await bench.advance(due - 100)
    expect(server.requests()).toBe(1)
    await bench.advance(200)
    expect(server.requests()).toBe(2)
  })

  it('is shared among policies, and ends with the last of them', async () => {
    const [one, two] = [bench.authenticator(block()), bench.authenticator({ ...block(), audiences: ['cart', 'x'] })]
    expect([await judge(one, first), await judge(two, first)]).toEqual(['ok', 'ok'])
    expect(server.requests()).toBe(1)
    bench.release()
    await bench.advance(60 * minute)
    expect(server.requests()).toBe(1)
  })

  it('goes on over a reload: the new snapshot takes the keys over before the old one lets go', async () => {
    const store = bench.services.jwks
    const location = { kind: 'uri', uri: `${server.url}/jwks` } as const
    const old = store.acquire(location)
    await settle(bench.counts)
    const next = store.acquire(location)
    old.release()
    old.release() // twice is once
    expect(next.generation()).toBe(old.generation())
    expect(await next.find('k0', 'ES256', new AbortController().signal)).toMatchObject({ kind: 'keys' })
    expect(server.requests()).toBe(1)
  })
})

describe('at most one fetch of a URL in 30 s', () => {
  const signal = new AbortController().signal
  const again = async (): Promise<string> => {
    bench.release()
    const outcome = await judge(bench.authenticator(block()), first)
    await new Promise(setImmediate) // for the upkeep to learn that it may not ask yet
    return outcome
  }

  it('also where the policy is removed and added again, with the keys it had', async () => {
    expect(await judge(bench.authenticator(block()), first)).toBe('ok')
    for (let time = 0; time < 29; time += 1) {
      await bench.advance(1000)
      expect(await again()).toBe('ok')
    }
    expect(server.requests()).toBe(1)
    await bench.advance(1000)
    expect(await again()).toBe('ok') // the known key does not wait for the fetch
    await expect.poll(() => server.requests()).toBe(2)
  })

  it('also where the last one failed: good keys of before stay, and the next attempt is due when it was', async () => {
    expect(await judge(bench.authenticator(block()), first)).toBe('ok')
    answer = json({}, 503)
    await bench.advance(5 * minute)
    expect(server.requests()).toBe(2)
    await bench.advance(20_000)
    expect(await again()).toBe('ok')
    expect(server.requests()).toBe(2)
    answer = json(setOf(second))
    await bench.advance(9_999)
    expect(server.requests()).toBe(2)
    await bench.advance(1)
    expect(server.requests()).toBe(3)
    expect(await judge(bench.authenticator(block()), second)).toBe('ok')
  })

  it('also where it never succeeded', async () => {
    answer = json({}, 503)
    for (let time = 0; time < 10; time += 1) expect(await again()).toBe('issuer-unavailable')
    expect(server.requests()).toBe(1)
  })

  it('forgets keys that nobody used for longer', async () => {
    expect(await judge(bench.authenticator(block()), first)).toBe('ok')
    bench.release()
    await bench.advance(30_000)
    answer = json({}, 503)
    expect(await judge(bench.authenticator(block()), first)).toBe('issuer-unavailable')
    expect(server.requests()).toBe(2)
  })

  it('also where one policy finds by discovery what another names, and the one waits for the other', async () => {
    const asked: string[] = []
    answer = (request, response) => {
      asked.push(request.url ?? '')
      if (request.url === '/jwks') setTimeout(() => sendJson(response, setOf(first)), 30)
      else sendJson(response, { issuer: server.url, jwks_uri: `${server.url}/jwks` })
    }
    const store = bench.services.jwks
    const named = store.acquire({ kind: 'uri', uri: `${server.url}/jwks` })
    const found = store.acquire({ kind: 'discovery', issuer: server.url })
    expect(await named.find('k0', 'ES256', signal)).toMatchObject({ kind: 'keys' })
    expect(await found.find('k0', 'ES256', signal)).toMatchObject({ kind: 'keys' })
    expect(asked.toSorted()).toEqual(['/.well-known/openid-configuration', '/jwks'])
    expect(await found.find('k1', 'ES256', signal)).toMatchObject({ kind: 'unknown-key' })
    expect(asked).toHaveLength(2)
  })

  it('one that goes away does not break off what another waits for', async () => {
    answer = (_, response) => setTimeout(() => sendJson(response, setOf(first)), 50)
    const location = { kind: 'uri', uri: `${server.url}/jwks` } as const
    const gone = bench.services.jwks.acquire(location)
    gone.release()
    const next = bench.services.jwks.acquire(location)
    expect(await next.find('k0', 'ES256', signal)).toMatchObject({ kind: 'keys' })
    expect(server.requests()).toBe(1)
  })

  it('a kid that another’s recent set lacked is asked for once it may be', async () => {
    const location = { kind: 'uri', uri: `${server.url}/jwks` } as const
    bench.services.jwks.acquire(location)
    await settle(bench.counts)
    await bench.advance(10_000)
    answer = (request, response) =>
      sendJson(
        response,
        request.url === '/jwks' ? setOf(first, second) : { issuer: server.url, jwks_uri: `${server.url}/jwks` },
      )
    const found = bench.services.jwks.acquire({ kind: 'discovery', issuer: server.url })
    expect(await found.find('k1', 'ES256', signal)).toMatchObject({ kind: 'unknown-key' })
    await bench.advance(30_000)
    expect(await found.find('k1', 'ES256', signal)).toMatchObject({ kind: 'keys' })
  })
})

describe('outages', () => {
  const impatient = async (): Promise<void> => {
    await bench.close()
    bench = jwtBench({ times: { timeout: 300 } })
  }

  it('REL-01 unreachable at the start: denied at once, and well again within 30 s of the return', async () => {
    answer = json({}, 503)
    const corp = bench.authenticator(block())
    await settle(bench.counts)
    const times: number[] = []
    for (let n = 0; n < 21; n += 1) {
      const [outcome, took] = await timed(() => judge(corp, first))
      expect(outcome).toBe('issuer-unavailable')
      times.push(took)
    }
    expect(median(times)).toBeLessThan(5)
    answer = json(setOf(first))
    await bench.advance(30_000)
    expect(await judge(corp, first)).toBe('ok')
  })

  it('an hour of outage: known keys go on, one attempt every 30 s, nothing waits', async () => {
    const corp = bench.authenticator(block())
    expect(await judge(corp, first)).toBe('ok')
    answer = json('down', 500)
    const times: number[] = []
    for (let half = 0; half < 120; half += 1) {
      await bench.advance(30_000)
      const [outcome, took] = await timed(() => ask(corp, bearer(token(first, { half }))))
      expect(outcome.kind).toBe('authenticated')
      times.push(took)
    }
    expect(median(times)).toBeLessThan(5)
    expect(server.requests()).toBeGreaterThan(100)
    expect(server.requests()).toBeLessThanOrEqual(121)
    expect(await ask(corp, bearer(token(first, { jti: 'stale' })))).toMatchObject({ cache: 'stale' })
    expect(bench.levels.get('jwks-age-seconds')).toBeGreaterThan(3500)
  })

  it('REL-03 an unknown kid in an outage: denied within 5 ms', async () => {
    await impatient()
    const corp = bench.authenticator(block())
    await settle(bench.counts)
    answer = hang
    await bench.advance(5 * minute) // the refresh hangs, and is given up
    expect(bench.counts.get('jwks-fetch-failed')).toBe(1)
    await verdict(corp, bearer(token(second)))
    const times: number[] = []
    for (let n = 0; n < 21; n += 1) {
      const [outcome, took] = await timed(() => judge(corp, second))
      expect(outcome).toBe('issuer-unavailable')
      times.push(took)
    }
    expect(median(times)).toBeLessThan(5)
    expect(await judge(corp, first)).toBe('ok')
  })

  it('REL-04 down past the stale window: denied, cached tokens too, and the age tells', async () => {
    await bench.close()
    bench = jwtBench({ times: { stale: 10 * minute } })
    const corp = bench.authenticator(block())
    const text = token(first)
    expect(await verdict(corp, bearer(text))).toBe('ok')
    answer = json({}, 500)
    await bench.advance(10 * minute)
    expect(await verdict(corp, bearer(text))).toBe('ok')
    await bench.advance(1)
    expect(await verdict(corp, bearer(text))).toBe('issuer-unavailable')
    expect(bench.levels.get('jwks-age-seconds')).toBeGreaterThanOrEqual(570)
    answer = json(setOf(first))
    await bench.advance(30_000)
    expect(await verdict(corp, bearer(text))).toBe('ok')
  })

  it('REL-04 the usual window is 24 hours', async () => {
    const corp = bench.authenticator(block())
    const text = token(first)
    await verdict(corp, bearer(text))
    await server.close()
    bench.release() // no upkeep any more: only time passes
    await bench.advance(24 * 60 * minute)
    expect(await verdict(corp, bearer(text))).toBe('ok')
    await bench.advance(1)
    expect(await verdict(corp, bearer(text))).toBe('issuer-unavailable')
  })

  it.each<[string, RequestListener]>([
    ['404', json({}, 404)],
    ['500', json({}, 500)],
    ['HTML', (_, response) => response.end('<html>login</html>')],
    ['an empty set', json({ keys: [] })],
    ['keys that are no list', json({ keys: { a: 1 } })],
    ['no keys', json({})],
    ['only unfit keys', json({ keys: [{ ...first.jwk, use: 'enc' }] })],
    ['JSON with duplicate members', (_, response) => response.end('{"keys":[],"keys":[]}')],
    ['10 MB', (_, response) => response.end('x'.repeat(10_000_000))],
    ['101 keys', json({ keys: Array.from({ length: 101 }, () => first.jwk) })],
    ['a redirect', (_, response) => response.writeHead(302, { location: '/other' }).end()],
    ['a reset', (request) => request.destroy()],
    ['gzip', (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('x')],
    ['204', (_, response) => response.writeHead(204).end()],
  ])('REL-05, JWT-33 %s: never a fallback, and the last good set stays', async (_name, bad) => {
    const corp = bench.authenticator(block())
    expect(await judge(corp, first)).toBe('ok')
    answer = bad
    await bench.advance(5 * minute)
    expect(bench.counts.get('jwks-fetch-failed')).toBe(1)
    expect(await judge(corp, first)).toBe('ok')
    expect(await judge(corp, second)).toBe('issuer-unavailable')

    const fresh = jwtBench()
    const cold = fresh.authenticator(block())
    expect(await verdict(cold, bearer(token(first)))).toBe('issuer-unavailable')
    await fresh.close()
  })

  it('JWT-33 one byte at a time: given up when the time for the document is over', async () => {
    await impatient()
    const corp = bench.authenticator(block())
    expect(await judge(corp, first)).toBe('ok')
    answer = (_, response) => {
      const drip = setInterval(() => response.write(' '), 50)
      response
        .on('close', () => clearInterval(drip))
        .writeHead(200)
        .write('{')
    }
    const [, took] = await timed(() => bench.advance(5 * minute))
    expect(bench.counts.get('jwks-fetch-failed')).toBe(1)
    expect(took).toBeLessThan(1000)
    expect(await judge(corp, first)).toBe('ok')
  })

  it('a hanging issuer holds no request longer than the patience, nor past its own signal', async () => {
    answer = hang
    const corp = bench.authenticator(block())
    const [late, took] = await timed(() => verdict(corp, bearer(token(first)), AbortSignal.timeout(50)))
    expect(late).toBe('issuer-unavailable')
    expect(took).toBeLessThan(200)
    const [given, patience] = await timed(() => judge(corp, first))
    expect(given).toBe('issuer-unavailable')
    expect(patience).toBeLessThan(1200)
  })
})

describe('rotation', () => {
  it('REL-06 a new kid is fetched by its first use, within a second, and wrong kids never more than once in 30 s', async () => {
    const corp = bench.authenticator(block())
    await settle(bench.counts)
    answer = json(setOf(first, second))
    await bench.advance(30_000)
    const [outcome, took] = await timed(() => judge(corp, second))
    expect([outcome, took < 1000]).toEqual(['ok', true])
    expect(server.requests()).toBe(2)
    const flood = Array.from({ length: 200 }, (_, n) => rawToken({ alg: 'ES256', kid: `x${n}` }, good(), third.key))
    const verdicts = await Promise.all(flood.map((text) => verdict(corp, bearer(text))))
    expect(new Set(verdicts)).toEqual(new Set(['unknown-key']))
    expect(server.requests()).toBe(2)
    await bench.advance(30_000)
    await Promise.all(flood.map((text) => verdict(corp, bearer(text))))
    expect(server.requests()).toBe(3)
  })

  const good = (): object => ({ iss: issuer, aud: 'cart', sub: 'a', exp: bench.now() + 600 })

  it('REL-06 100 rotations with overlap: no wrong denial', async () => {
    const corp = bench.authenticator(block())
    let old = first
    expect(await judge(corp, old)).toBe('ok')
    for (let round = 0; round < 100; round += 1) {
      const next = testKey(`r${round}`)
      answer = json(setOf(old, next))
      await bench.advance(30_000)
      expect([await judge(corp, next), await judge(corp, old)]).toEqual(['ok', 'ok'])
      old = next
    }
  })

  it('REL-07, JWT-45 a withdrawn key: its tokens are denied within the refresh period, cached ones too', async () => {
    const corp = bench.authenticator(block())
    const text = token(first)
    expect(await verdict(corp, bearer(text))).toBe('ok')
    answer = json(setOf(second))
    await bench.advance(5 * minute - 1)
    expect(await ask(corp, bearer(text))).toMatchObject({ cache: 'hit' })
    await bench.advance(1)
    expect(await verdict(corp, bearer(text))).toBe('unknown-key')
    expect(await judge(corp, second)).toBe('ok')
  })

  it('JWT-45 a refresh that changes nothing keeps verified tokens', async () => {
    const corp = bench.authenticator(block())
    const text = token(first)
    await verdict(corp, bearer(text))
    await bench.advance(5 * minute)
    expect(bench.counts.get('jwks-fetch-ok')).toBe(2)
    expect(await ask(corp, bearer(text))).toMatchObject({ cache: 'hit' })
  })

  it.each<[string, TestKey]>([
    ['another key', { ...fourth, kid: 'k0', jwk: { ...fourth.jwk, kid: 'k0' } }],
    ['a key of another type', rsa],
  ])('JWT-46 a kid given to %s: the new one counts, the old one no more', async (_name, next) => {
    const corp = bench.authenticator(block())
    const text = token(first)
    expect(await verdict(corp, bearer(text))).toBe('ok')
    answer = json(setOf(next))
    await bench.advance(5 * minute)
    expect(await judge(corp, next)).toBe('ok')
    expect(await verdict(corp, bearer(text))).not.toBe('ok')
  })

  it('JWT-46 a signature that fails under a known kid asks for a refresh, in the background', async () => {
    const next: TestKey = { ...fourth, kid: 'k0', jwk: { ...fourth.jwk, kid: 'k0' } }
    const corp = bench.authenticator(block())
    await settle(bench.counts)
    answer = json(setOf(next))
    await bench.advance(30_000)
    const fetched = settle(bench.counts)
    expect(await judge(corp, next)).toBe('bad-credential')
    await fetched
    expect(await judge(corp, next)).toBe('ok')
    expect(server.requests()).toBe(2)
  })

  it('a kid that a fresh set lacks is not asked for again for a minute', async () => {
    const corp = bench.authenticator(block())
    await settle(bench.counts)
    await bench.advance(30_000)
    expect(await judge(corp, second)).toBe('unknown-key')
    expect(server.requests()).toBe(2)
    await bench.advance(59_000)
    expect(await judge(corp, second)).toBe('unknown-key')
    expect(server.requests()).toBe(2)
    await bench.advance(1000)
    expect(await judge(corp, second)).toBe('unknown-key')
    expect(server.requests()).toBe(3)
  })
})

describe('published sets', () => {
  it('JWT-32 a private key is left out and counted, the others work', async () => {
    answer = json({ keys: [{ ...second.jwk, d: 'AAAA' }, { kty: 'oct', kid: 'h', k: 'A'.repeat(43) }, first.jwk] })
    const corp = bench.authenticator(block())
    expect([await judge(corp, first), await judge(corp, second)]).toEqual(['ok', 'unknown-key'])
    expect(bench.counts.get('jwks-private-key')).toBe(2)
  })
})

describe('discovery', () => {
  const at =
    (path: string, document: () => unknown): RequestListener =>
    (request, response) => {
      if (request.url === '/jwks') sendJson(response, setOf(first))
      else if (request.url === path) sendJson(response, document())
      else sendJson(response, {}, 404)
    }
  const found = (iss: string): Authenticator =>
    bench.authenticator({ issuer: iss, audiences: ['cart'], jwks: { discovery: true } })
  const by = (iss: string): ReturnType<typeof bearer> => bearer(token(first, { iss }))

  it.each([
    ['', '/.well-known/openid-configuration'],
    ['/', '/.well-known/openid-configuration'],
    ['/realms/shop', '/realms/shop/.well-known/openid-configuration'],
    ['/realms/shop', '/.well-known/oauth-authorization-server/realms/shop'],
  ])('issuer path "%s": found at %s', async (path, wellKnown) => {
    const iss = server.url + path
    answer = at(wellKnown, () => ({ issuer: iss, jwks_uri: `${server.url}/jwks` }))
    expect(await verdict(found(iss), by(iss))).toBe('ok')
  })

  it.each<[string, (url: string) => object]>([
    ['another issuer', (url) => ({ issuer: `${url}/`, jwks_uri: `${url}/jwks` })],
    ['no issuer', (url) => ({ jwks_uri: `${url}/jwks` })],
    ['no jwks_uri', (url) => ({ issuer: url })],
    ['a jwks_uri that may not be called', (url) => ({ issuer: url, jwks_uri: 'http://idp.example.com/jwks' })],
    ['a jwks_uri into the cloud', (url) => ({ issuer: url, jwks_uri: 'https://169.254.169.254/jwks' })],
    ['a list', () => []],
  ])('metadata with %s: not used', async (_name, document) => {
    answer = at('/.well-known/openid-configuration', () => document(server.url))
    expect(await verdict(found(server.url), by(server.url))).toBe('issuer-unavailable')
  })
})

describe('blocks that cannot be used', () => {
  const base = { issuer, audiences: ['cart'] }
  it.each<[string, object, string]>([
    ['plain http', { ...base, jwks: { uri: 'http://idp.example.com/jwks' } }, 'insecure-url'],
    ['not an address', { ...base, jwks: { uri: 'keys' } }, 'insecure-url'],
    [
      'discovery at plain http',
      { ...base, issuer: 'http://idp.example.com', jwks: { discovery: true } },
      'insecure-url',
    ],
    ['discovery at a name', { ...base, issuer: 'corp', jwks: { discovery: true } }, 'insecure-url'],
    ['an issuer with a query', { ...base, issuer: `${issuer}/?a=b`, jwks: { discovery: true } }, 'bad-value'],
    ['HS256 with an address', { ...base, jwks: { uri: `${issuer}/jwks` }, algorithms: ['HS256'] }, 'bad-value'],
    ['a missing Secret', { ...base, jwks: { ref: { name: 'none' } } }, 'missing-reference'],
    ['two places for keys', { ...base, jwks: { discovery: true, uri: `${issuer}/jwks` } }, 'bad-value'],
    ['no place for keys', { ...base, jwks: {} }, 'bad-value'],
    ['no audience', { ...base, audiences: [], jwks: { discovery: true } }, 'bad-value'],
    ['no issuer', { audiences: ['cart'], jwks: { discovery: true } }, 'bad-value'],
    ['alg none', { ...base, algorithms: ['none'], jwks: { discovery: true } }, 'bad-value'],
    ['an unknown key', { ...base, jwks: { discovery: true }, audience: 'cart' }, 'bad-value'],
    ['a framing header', { ...base, jwks: { discovery: true }, credential: [{ header: 'Host' }] }, 'bad-value'],
    [
      'two places in one',
      { ...base, jwks: { discovery: true }, credential: [{ header: 'A', cookie: 'b' }] },
      'bad-value',
    ],
    ['a realm with a quote', { ...base, jwks: { discovery: true }, realm: 'a"b' }, 'bad-value'],
  ])('%s', (_name, given, code) => {
    expect(bench.compile(given)).toMatchObject({ ok: false, findings: [{ code }] })
  })

  it.each<[string, string, string]>([
    ['not JSON', 'keys', 'bad-reference'],
    ['no set', '{"kty":"EC"}', 'bad-reference'],
    ['an empty set', '{"keys":[]}', 'bad-key'],
  ])('a local set that is %s', (_name, text, code) => {
    const given = { ...base, jwks: { ref: { name: 'keys' } } }
    expect(bench.compile(given, { 'jwks.json': text })).toMatchObject({ ok: false, findings: [{ code }] })
  })
})
