import { hashSync } from '@node-rs/bcrypt'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createKeyedDigest } from '../../src/authn/keyed-digest.ts'
import { claims as claimsCondition } from '../../src/authz/claims.ts'
import { createServices } from '../../src/services.ts'
import type { OwnedServices } from '../../src/services.ts'
import { line } from '../../src/log.ts'
import { compileHeaders } from '../../src/policy/response-headers.ts'
import { gatehouse } from '../support/gatehouse.ts'
import type { TestGatehouse } from '../support/gatehouse.ts'
import { rawToken, testKey } from '../support/jwt-bench.ts'
import { identity, request } from '../support/make.ts'
import { until } from '../support/program.ts'
import { basic, send } from '../support/send.ts'
import { attributes, checker } from '../transport/grpc/serving.ts'
import { byKey, check, guest, metric, pause, policy, rightKey, secret } from './child.ts'

const key = testKey('k1')
const jwks = (...some: readonly (typeof key)[]): string => JSON.stringify({ keys: some.map(({ jwk }) => jwk) })
const issuer = 'https://idp.example.com'
const token = (claims: object = {}): string =>
  rawToken(
    { alg: key.alg, kid: key.kid },
    { iss: issuer, aud: 'cart', sub: 'ada', exp: 4_000_000_000, ...claims },
    key.key,
  )
const bearer = (text: string): [string, string][] => [['authorization', `Bearer ${text}`]]
const jwtEntry = `authentication: [{ jwt: { issuer: "${issuer}", audiences: [cart], algorithms: [ES256], jwks: { ref: { name: jwks } } } }]`
const mcp = `authentication: [{ jwt: { issuer: "${issuer}", audiences: ["https://mcp.example.com/tools", "https://mcp.example.com/tools/"], algorithms: [ES256], profile: AccessToken, jwks: { ref: { name: jwks } } } }]`
const visitor = 'guest: { subject: visitor }'

const route = (rules: readonly object[]): string =>
  `---\n${JSON.stringify({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { namespace: 'shop', name: 'site' },
    spec: { parentRefs: [{ name: 'gate' }], hostnames: ['shop.example'], rules },
  })}\n`
const filters = [
  {
    type: 'ExternalAuth',
    externalAuth: {
      protocol: 'HTTP',
      backendRef: { name: 'gatehouse', port: 9003 },
      http: { allowedResponseHeaders: ['x-user'] },
    },
  },
]
const pathRule = (name: string, type: string, value: string): object => ({
  name,
  matches: [{ path: { type, value } }],
  filters,
})
const sitePolicy = (section: string, spec: string): string =>
  policy(`site-${section}`, spec).replace(
    `name: site-${section}, sectionName: pay`,
    `name: site, sectionName: ${section}`,
  )

describe('paths', () => {
  let guard: TestGatehouse
  let grpc: ReturnType<typeof checker>
  beforeAll(async () => {
    const site =
      route([
        pathRule('admin', 'PathPrefix', '/admin'),
        pathRule('item', 'RegularExpression', '/item/[^/]+/edit'),
        pathRule('rest', 'PathPrefix', '/open'),
      ]) +
      sitePolicy('admin', 'authentication: [{ apiKey: { keysRef: { name: keys } } }]') +
      sitePolicy('item', 'authentication: [{ apiKey: { keysRef: { name: keys } } }]') +
      sitePolicy('rest', visitor)
    guard = await gatehouse({ files: { 'site.yaml': site, 'keys.yaml': byKey('cart') } })
    grpc = checker(`127.0.0.1:${guard.grpcPort}`)
  })
  afterAll(async () => {
    grpc.close()
    await guard.close()
  })
  const ask = async (
    path: string,
    headers: readonly (readonly [string, string])[] = [],
  ): Promise<readonly unknown[]> => {
    const { status } = await send({ port: guard.matchingPort, path, host: 'shop.example', headers })
    return [status, guard.records.at(-1)?.rule]
  }

  it.each([
    ['/admin/*', 'shop/site/admin'],
    ['/admin/*x', 'shop/site/admin'],
    ['/admin/**/x', 'shop/site/admin'],
    ['/admin/a*b/c', 'shop/site/admin'],
    ['/admin/%2A', 'shop/site/admin'],
    ['/item/*/edit', 'shop/site/item'],
    ['/item/*x*/edit', 'shop/site/item'],
  ])('NRM-19 an asterisk takes nothing out of its rule: %s', async (path, rule) => {
    expect(await ask(path)).toEqual([403, rule])
    expect(await ask(path, [['x-api-key', rightKey]])).toEqual([200, rule])
  })
  it('NRM-19 nor does it get into a rule: /admin* is beside the prefix, and beside is nothing open', async () => {
    expect(await ask('/open/*')).toEqual([200, 'shop/site/rest'])
    expect(await ask('/admin*')).toEqual([403, undefined])
  })

  const rewritten = [
    ['before the gateway rewrites', '/shop/v1/cart'],
    ['after it', '/cart'],
    ['to the root', '/'],
    ['to a prefix that belongs to another rule', '/open/cart'],
  ] as const
  it.each(rewritten)('NRM-29 a keyed rule is judged alike %s', async (_, path) => {
    const keyed = { context_extensions: { namespace: 'shop', route: 'cart', rule: 'pay' } }
    const over = async (headers: Record<string, string>): Promise<number> =>
      (await grpc.check(attributes({ path, host: 'a.example', headers }, keyed))).status?.code ?? 0
    expect(await over({})).not.toBe(0)
    expect(await over({ 'x-api-key': rightKey })).toBe(0)
    const http = (headers: [string, string][]): Promise<number> =>
      send({ port: guard.httpPort, path: `/v1/check/shop/cart/pay/-${path}`, headers }).then(({ status }) => status)
    expect(await http([])).toBe(403)
    expect(await http([['x-api-key', rightKey]])).toBe(200)
  })
})

describe('answers', () => {
  let guard: TestGatehouse
  beforeAll(async () => {
    const challenge = 'unauthenticated: { respond: Challenge }'
    guard = await gatehouse({
      files: {
        'all.yaml': [
          secret('jwks', { 'jwks.json': jwks(key) }),
          policy('plain', jwtEntry),
          policy('challenged', `${jwtEntry}\n${challenge}`),
          policy('scoped', `${jwtEntry}\n${challenge}\nauthorization: [{ scopes: [cart.write] }]`),
          policy('stripped', `${jwtEntry}\nresponse: { remove: [authorization] }`),
          policy('open', visitor),
          policy('mcp', `${mcp}\n${challenge}\nresponse: { remove: [authorization] }`),
        ].join(''),
      },
    })
    expect(guard.problems().filter(({ severity }) => severity === 'error')).toEqual([])
  })
  afterAll(() => guard.close())
  const ask = (name: string, headers: readonly (readonly [string, string])[] = []) =>
    send({ port: guard.httpPort, path: `/v1/check/shop/${name}/pay/-/`, headers })

  it.each([
    ['challenged', [], 401],
    ['challenged', bearer('nonsense'), 401],
    ['scoped', bearer(token()), 403],
  ] as const)('CHL-13 a deny with a challenge is never stored: %s, %j', async (name, headers, status) => {
    const answer = await ask(name, headers)
    expect(answer.status).toBe(status)
    expect(answer.all('www-authenticate')).toHaveLength(1)
    expect(answer.all('cache-control')).toEqual(['no-store'])
  })
  it('CHL-13 the same over gRPC', async () => {
    const grpc = checker(`127.0.0.1:${guard.grpcPort}`)
    const keyed = { context_extensions: { namespace: 'shop', route: 'challenged', rule: 'pay' } }
    const answer = await grpc.check(attributes({ headers: {} }, keyed))
    grpc.close()
    const headers = answer.denied_response?.headers?.map(({ header }) => [header.key, header.value])
    expect(headers).toContainEqual(['cache-control', 'no-store'])
  })
  it('HDR-14 in part: a token for us goes on to the backend only where the policy does not take it off', async () => {
    const removed = async (name: string): Promise<string> =>
      (await ask(name, bearer(token()))).all('x-envoy-auth-headers-to-remove').join()
    expect((await ask('plain', bearer(token()))).status).toBe(200)
    expect(await removed('plain')).not.toContain('authorization')
    expect(await removed('stripped')).toContain('authorization')
    // A token for another audience is not passed on, because it is not passed at all.
    expect((await ask('plain', bearer(token({ aud: 'other' })))).status).toBe(403)
  })
  it('CHL-10 in part: a resource server of the Model Context Protocol, of what a policy can say today', async () => {
    const typed = (typ: string, claims: object): string =>
      rawToken(
        { alg: key.alg, kid: key.kid, typ },
        { iss: issuer, sub: 'ada', client_id: 'c', jti: 'j', iat: 1, exp: 4_000_000_000, ...claims },
        key.key,
      )
    const own = 'https://mcp.example.com/tools'
    const good = await ask('mcp', bearer(typed('at+jwt', { aud: own })))
    expect(good.status).toBe(200)
    expect(good.all('x-envoy-auth-headers-to-remove').join(), 'never passed on').toContain('authorization')
    expect((await ask('mcp', bearer(typed('at+jwt', { aud: `${own}/` })))).status, 'with its slash').toBe(200)
    for (const [name, text] of [
      ['for somebody else', typed('at+jwt', { aud: 'https://other.example.com/' })],
      ['an ID token', typed('JWT', { aud: own, nonce: 'n', at_hash: 'x' })],
      ['of no type', typed('JWT', { aud: own })],
    ] as const) {
      const answer = await ask('mcp', bearer(text))
      expect([name, answer.status]).toEqual([name, 401])
      expect(answer.all('www-authenticate').join()).toContain('error="invalid_token"')
    }
    const path = `/v1/check/shop/mcp/pay/-/?access_token=${typed('at+jwt', { aud: own })}`
    expect((await send({ port: guard.httpPort, path })).status, 'in the query it is no credential').toBe(401)
  })
  it('OBS-13 a request that nobody had to authenticate for is counted, and marked as a guest', async () => {
    const before = await metric(guard.adminPort, 'gatehouse_decisions_total')
    expect(await check(guard.httpPort, 'open')).toBe(200)
    const record = guard.records.at(-1)
    expect(record).toMatchObject({ method: 'guest', decision: { kind: 'allow' } })
    expect(record === undefined ? {} : line(record, createKeyedDigest())).toMatchObject({ authentication: 'guest' })
    expect(await metric(guard.adminPort, 'gatehouse_decisions_total')).toBe(before + 1)
  })
})

describe('CFG-22 strings of tenants are data wherever they come to lie', () => {
  const hostile = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 64 }),
    fc.constantFrom(
      '.*',
      '$&',
      '$1',
      '${sub}',
      '{{sub}}',
      "' || true || '",
      '%s%n',
      '*',
      '\r\nx-admin: 1',
      '[0].sub',
      'a\n.*',
    ),
  )
  const subject = (claims: Readonly<Record<string, unknown>>) => ({
    request: request(),
    identity: identity({ claims }),
    rule: { namespace: 'shop', route: 'cart', rule: 'pay' },
  })
  it('a text of a header is said as it stands', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const made = compileHeaders([{ name: 'x-a', value: { text } }])
        if (!made.ok) return true
        const list = made.value(subject({ sub: 'ada', '1': 'ada' }))
        return list === undefined || list.length === 0 || list[0]?.[1] === text.trim()
      }),
    )
  })
  it('a claim becomes a header that reads back as exactly itself, or the request is refused', () => {
    const made = compileHeaders([{ name: 'x-a', value: { claim: ['name'] } }])
    if (!made.ok) throw new Error('no headers')
    fc.assert(
      fc.property(hostile, (name) => {
        const list = made.value(subject({ name }))
        if (list === undefined) return !name.isWellFormed()
        if (list.length === 0) return name === ''
        const [[header, value] = ['', '']] = list
        return (
          list.length === 1 &&
          header === 'x-a' &&
          /^[\x21-\x7e][\x20-\x7e]*$/.test(value) &&
          decodeURIComponent(value) === name
        )
      }),
    )
  })
  it('a claim is no pattern, and a value to equal is none either', () => {
    const compile = (test: object) => {
      const made = claimsCondition.compile([{ path: ['name'], ...test }] as Parameters<
        typeof claimsCondition.compile
      >[0])
      if (!made.ok) throw new Error('no condition')
      return made.value
    }
    const equals = (value: string) => compile({ equals: value })
    const matches = compile({ matches: '[a-z]+' })
    const verdict = (condition: ReturnType<typeof equals>, name: string) => condition(subject({ name }))
    fc.assert(
      fc.property(hostile, hostile, (one, other) => {
        const same = verdict(equals(one), other)
        const fits = verdict(matches, other)
        return (same.kind === 'true') === (one === other) && (fits.kind === 'true') === /^[a-z]+$(?!\n)/.test(other)
      }),
    )
  })
  it('a path of claims is a list of names: a name with dots and brackets is a name', () => {
    const made = compileHeaders([{ name: 'x-a', value: { claim: ['a.b[0]'] } }])
    if (!made.ok) throw new Error('no headers')
    expect(made.value(subject({ a: { b: ['no'] }, 'a.b[0]': 'yes' }))).toEqual([['x-a', 'yes']])
    expect(made.value(subject({ a: { b: ['no'] } }))).toEqual([])
  })
  it('keys of caches and tables part their parts: no two lists of parts are one key', () => {
    const digest = createKeyedDigest()
    fc.assert(
      fc.property(
        fc.array(hostile, { minLength: 1, maxLength: 4 }),
        fc.array(hostile, { minLength: 1, maxLength: 4 }),
        (one, other) => {
          const same = one.length === other.length && one.every((part, index) => part === other[index])
          return (digest(...(one as [string])) === digest(...(other as [string]))) === same
        },
      ),
    )
    expect(digest('a', 'bc')).not.toBe(digest('ab', 'c'))
    expect(digest('a', '')).not.toBe(digest('a'))
  })
})

describe('policies that go bad', () => {
  const bad = policy('cart', 'authentication: [{ apiKey: { keysRef: { nmae: keys } } }]')
  const good = policy('cart', 'authentication: [{ apiKey: { keysRef: { name: keys } } }]')
  const files = { 'cart.yaml': good, 'keys.yaml': secret('keys', { ada: rightKey }), 'other.yaml': guest('other') }
  const key = [['x-api-key', rightKey]] as const

  it('CFG-16 after a restart the rule of a bad policy denies, and Gatehouse is ready for the others', async () => {
    const first = await gatehouse({ files })
    await first.write({ 'cart.yaml': bad })
    await until(
      () => first.problems().length > 0,
      () => 'the problem was not seen',
    )
    expect(await check(first.httpPort, 'cart', key)).toBe(200) // the last good version, kept in memory
    const second = await gatehouse({ directory: first.directory })
    try {
      expect((await send({ port: second.adminPort, path: '/readyz' })).status).toBe(200)
      expect(await check(second.httpPort, 'cart', key)).toBe(403)
      expect(second.records.at(-1)?.decision).toMatchObject({
        reason: expect.stringMatching(/broken-policy|unknown-rule/),
      })
      expect(await check(second.httpPort, 'other')).toBe(200)
      expect(second.problems().map(({ code }) => code)).toContain('unknown-key')
    } finally {
      await second.close()
      await first.close()
    }
  })

  it('REL-16 pushed bad and mended, again and again: others never change, the state follows within two seconds', async () => {
    const guard = await gatehouse({ files })
    const seen = new Set<string>()
    let done = false
    const load = (async () => {
      while (!done) {
        const [right, wrong, other] = await Promise.all([
          check(guard.httpPort, 'cart', key),
          check(guard.httpPort, 'cart', [['x-api-key', 'wrong']]),
          check(guard.httpPort, 'other'),
        ])
        seen.add(`${right} ${wrong} ${other}`)
        await pause(5)
      }
    })()
    let slowest = 0
    try {
      for (let turn = 0; turn < 50; turn += 1) {
        const wanted = turn % 2 === 0 ? 1 : 0
        const started = performance.now()
        await guard.write({ 'cart.yaml': wanted === 1 ? bad : good })
        const errors = (): number => guard.problems().filter(({ severity }) => severity === 'error').length
        await until(
          () => errors() > 0 === (wanted === 1),
          () => `turn ${turn}: ${errors()} problems`,
        )
        slowest = Math.max(slowest, performance.now() - started)
      }
    } finally {
      done = true
      await load
      await guard.close()
    }
    expect([...seen]).toEqual(['200 403 200'])
    expect(slowest).toBeLessThan(2000)
  }, 60_000)
})

describe('REL-25 clocks that step', () => {
  let wall = Date.parse('2026-11-24T12:00:00Z')
  let ticks = 1000
  let services: OwnedServices
  let guard: TestGatehouse
  const start = wall
  beforeAll(async () => {
    services = createServices({ clock: { now: () => wall, ticks: () => ticks } })
    const users = `ada:${hashSync('analytical-engine', 10)}`
    guard = await gatehouse({
      services,
      files: {
        'all.yaml': [
          secret('jwks', { 'jwks.json': jwks(key) }),
          secret('users', { '.htpasswd': users }),
          policy('cart', jwtEntry),
          policy('staff', 'authentication: [{ basic: { usersRef: { name: users } } }]'),
        ].join(''),
      },
    })
  })
  afterAll(() => guard.close())
  const now = Math.floor(start / 1000)
  const second = 1000

  it.each([
    ['+60 s, still the skew', 60, { exp: now + 31 }, 200],
    ['+60 s, past the skew', 60, { exp: now + 30 }, 403],
    ['+10 min', 600, { exp: now + 570 }, 403],
    ['+10 min, one second before', 600, { exp: now + 571 }, 200],
    ['-60 s, issued too far ahead', -60, { exp: now + 600, iat: now - 29 }, 403],
    ['-60 s, still the skew', -60, { exp: now + 600, iat: now - 30 }, 200],
    ['-10 min, not yet valid', -600, { exp: now + 900, nbf: now }, 403],
    ['-1 h, a token that lives', -3600, { exp: now + 60 }, 200],
  ])('skew is exact after a step of %s', async (_, step, claims, status) => {
    wall = start + step * second
    // Twice: what a cache remembers of a signature says nothing of time.
    for (const _ of [1, 2]) expect(await check(guard.httpPort, 'cart', bearer(token(claims)))).toBe(status)
  })
  it('a token that is remembered ends when it ends, and a step back gives it no more than it had', async () => {
    const text = token({ exp: now + 100 })
    wall = start
    expect(await check(guard.httpPort, 'cart', bearer(text))).toBe(200)
    wall = start + 131 * second
    expect(await check(guard.httpPort, 'cart', bearer(text))).toBe(403)
    wall = start + 129 * second
    expect(await check(guard.httpPort, 'cart', bearer(text))).toBe(200)
  })
  it('a password is remembered by the clock that never steps: an hour back makes no memory immortal', async () => {
    const ada = [['authorization', basic('ada', 'analytical-engine')]] as const
    const cache = async (): Promise<string | undefined> => {
      expect(await check(guard.httpPort, 'staff', ada)).toBe(200)
      return guard.records.at(-1)?.cache
    }
    wall = start
    expect(await cache()).toBe('miss')
    wall = start - 3600 * second
    expect(await cache()).toBe('hit')
    ticks += 60_001
    expect(await cache()).toBe('miss')
    wall = start + 86_400 * second
    expect(await cache()).toBe('hit')
  })
  it('a lock-out neither ends by a step forward nor lasts by a step back', async () => {
    const wrong = [['authorization', basic('ada', 'guess')]] as const
    wall = start
    ticks += 1_000_000
    for (let count = 0; count < 5; count += 1) await check(guard.httpPort, 'staff', wrong)
    const right = [['authorization', basic('ada', 'analytical-engine')]] as const
    wall = start + 3600 * second
    expect(await check(guard.httpPort, 'staff', right)).toBe(403)
    wall = start - 3600 * second
    ticks += 300_001
    expect(await check(guard.httpPort, 'staff', right)).toBe(200)
  })
})
