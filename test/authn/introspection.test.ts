import { generateKeyPairSync } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { jwtVerify } from 'jose'
import { afterEach, describe, expect, it } from 'vitest'
import { createHttpClient } from '../../src/authn/http-client.ts'
import { introspection } from '../../src/authn/introspection.ts'
import { createIntrospector } from '../../src/authn/introspector.ts'
import type { Authenticator, ChallengeError, Outcome } from '../../src/authn/method.ts'
import type { Services } from '../../src/authn/services.ts'
import { createKeyedDigest } from '../../src/authn/keyed-digest.ts'
import { scriptedServer } from '../support/authorization-server.ts'
import type { ScriptedServer } from '../support/authorization-server.ts'
import { sendJson } from '../support/local-server.ts'
import {
  authenticatorOf,
  compiled,
  counting,
  methodContext,
  secretObject,
  testClock,
} from '../support/method-context.ts'
import type { ContextGiven, CoreObject } from '../support/method-context.ts'
import { request } from '../support/make.ts'
import type { RequestGiven } from '../support/make.ts'

const open: (() => unknown)[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((close) => close()))
})

const now = Date.parse('2026-11-24T12:00:00Z')
const seconds = now / 1000
const clientSecret = 'c4n4ry:s+cret%/&='

function services(): Services & { clock: ReturnType<typeof testClock>; telemetry: ReturnType<typeof counting> } {
  const [clock, telemetry, http] = [testClock(now), counting(), createHttpClient()]
  const introspector = createIntrospector({ http, clock, telemetry })
  open.push(introspector.close, http.close)
  return { clock, telemetry, http, introspector, digest: createKeyedDigest() } as never
}

const objects: readonly CoreObject[] = [
  secretObject('client', { 'client-id': 'gate house\n', 'client-secret': `${clientSecret}\n` }),
]
const usual = {
  client: { idRef: { name: 'client' }, secretRef: { name: 'client' } },
  audiences: ['cart', 'https://cart.example.com/'],
}

async function start(): Promise<ScriptedServer> {
  const server = await scriptedServer()
  open.push(server.close)
  return server
}

interface Scene {
  readonly server: ScriptedServer
  readonly services: ReturnType<typeof services>
  readonly one: Authenticator
  readonly ask: (token: string, given?: RequestGiven) => Promise<Outcome>
}

async function scene(block: object = {}, given: ContextGiven = {}): Promise<Scene> {
  const server = await start()
  const shared = services()
  const whole = { endpoint: `${server.url}/introspect`, ...usual, ...block }
  const one = authenticatorOf(introspection, whole, methodContext({ objects, services: shared, ...given }))
  return { server, services: shared, one, ask: asking(one) }
}

const asking =
  (one: Authenticator): Scene['ask'] =>
  async (token, given = { headers: { authorization: `Bearer ${token}` } }) =>
    one.authenticate(request(given), AbortSignal.timeout(3000))

const show = (outcome: Outcome): string =>
  outcome.kind === 'authenticated' ? outcome.identity.subject : 'reason' in outcome ? outcome.reason : outcome.kind

const active = (more: object = {}): Record<string, unknown> => ({
  active: true,
  sub: 'ada',
  aud: 'cart',
  exp: seconds + 60,
  ...more,
})

describe('an answer', () => {
  const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`c${index}`, 1]))
  const table: readonly (readonly [string, object, string])[] = [
    ['active', active(), 'ada'],
    ['INT-01 inactive, whatever else it says', { ...active(), active: false }, 'bad-credential'],
    ['active as text', active({ active: 'true' }), 'introspection-unavailable'],
    ['active as number', active({ active: 1 }), 'introspection-unavailable'],
    ['without active', { sub: 'ada', aud: 'cart' }, 'introspection-unavailable'],
    ['a list', [active()], 'introspection-unavailable'],
    ['INT-12 exp in the past', active({ exp: seconds - 1 }), 'expired-credential'],
    ['INT-12 exp now', active({ exp: seconds }), 'expired-credential'],
    ['exp in a second', active({ exp: seconds + 1 }), 'ada'],
    ['no exp', active({ exp: undefined }), 'ada'],
    ['INT-10 exp as text', active({ exp: '9999999999' }), 'bad-credential'],
    ['INT-10 exp null', active({ exp: null }), 'bad-credential'],
    ['INT-10 nbf in an hour', active({ nbf: seconds + 3600 }), 'expired-credential'],
    ['nbf a moment ahead', active({ nbf: seconds + 5 }), 'ada'],
    ['INT-10 nbf as text', active({ nbf: 'now' }), 'bad-credential'],
    ['INT-10 another aud', active({ aud: 'other' }), 'bad-credential'],
    ['INT-10 no aud', active({ aud: undefined }), 'bad-credential'],
    ['INT-10 aud a prefix of ours', active({ aud: 'car' }), 'bad-credential'],
    ['INT-10 aud in capitals', active({ aud: 'CART' }), 'bad-credential'],
    ['INT-10 aud without the slash', active({ aud: 'https://cart.example.com' }), 'bad-credential'],
    ['aud among others', active({ aud: ['other', 'cart'] }), 'ada'],
    ['INT-10 aud with a number', active({ aud: ['cart', 1] }), 'bad-credential'],
    ['INT-10 aud empty', active({ aud: [] }), 'bad-credential'],
    ['INT-10 aud an object', active({ aud: { cart: true } }), 'bad-credential'],
    ['INT-10 iss a number', active({ iss: 1 }), 'bad-credential'],
    ['INT-10 cnf: bound to a key', active({ cnf: { jkt: 'x' } }), 'bad-credential'],
    ['INT-10 scope a number', active({ scope: 1 }), 'bad-credential'],
    ['INT-11 token_type refresh_token', active({ token_type: 'refresh_token' }), 'bad-credential'],
    ['INT-11 token_type DPoP', active({ token_type: 'DPoP' }), 'bad-credential'],
    ['INT-11 token_use id', active({ token_use: 'id' }), 'bad-credential'],
    ['INT-11 typ Refresh', active({ typ: 'Refresh' }), 'bad-credential'],
    ['token_type Bearer', active({ token_type: 'Bearer' }), 'ada'],
    ['token_type bearer and token_use access', active({ token_type: 'bearer', token_use: 'access' }), 'ada'],
    ['subject from username', active({ sub: undefined, username: 'bob' }), 'bob'],
    ['subject from client_id', active({ sub: undefined, client_id: 'batch' }), 'batch'],
    ['no subject', active({ sub: undefined }), 'bad-credential'],
    ['an empty sub is not replaced', active({ sub: '', username: 'root' }), 'bad-credential'],
    ['a sub that is no text is not replaced', active({ sub: 7, username: 'root' }), 'bad-credential'],
    ['a sub with a newline', active({ sub: 'ada\nx-admin: 1' }), 'bad-credential'],
    ['a sub without end', active({ sub: 'a'.repeat(1025) }), 'bad-credential'],
    ['INT-23 10,000 claims', active(many), 'introspection-unavailable'],
  ]
  it.each(table)('%s', async (_, answer, expected) => {
    const { server, ask } = await scene()
    server.say(answer)
    expect(show(await ask('t'))).toBe(expected)
  })

  it('INT-23 gives own members only', async () => {
    const { server, ask } = await scene()
    server.say((response) =>
      response
        .setHeader('content-type', 'application/json')
        .end('{"active":true,"sub":"ada","aud":"cart","__proto__":{"admin":true},"constructor":1}'),
    )
    const outcome = await ask('t')
    const claims = outcome.kind === 'authenticated' ? outcome.identity.claims : {}
    expect(Object.getPrototypeOf(claims)).toBeNull()
    expect(claims['admin']).toBeUndefined()
    expect(Object.keys(claims)).toContain('__proto__')
  })

  it('INT-23 inherits nothing where members are missing', async () => {
    const { server, ask } = await scene()
    server.say((response) =>
      response
        .setHeader('content-type', 'application/json')
        .end('{"active":true,"__proto__":{"sub":"root","aud":"cart"}}'),
    )
    expect(show(await ask('t'))).toBe('bad-credential')
  })

  it('makes the identity', async () => {
    const { server, ask } = await scene({ scopesClaim: ['scp'], groupsClaim: ['realm', 'roles'] })
    server.say(active({ scp: 'cart.read  cart.write', realm: { roles: ['clerk'] }, iss: 'https://idp.example.com' }))
    expect(await ask('t')).toMatchObject({
      kind: 'authenticated',
      cache: 'miss',
      identity: {
        subject: 'ada',
        method: 'entry',
        issuer: 'https://idp.example.com',
        scopes: ['cart.read', 'cart.write'],
        groups: ['clerk'],
      },
    })
  })

  it.each([
    ['the same', 'https://idp.example.com', 'ada'],
    ['with a slash more', 'https://idp.example.com/', 'bad-credential'],
    ['another', 'https://evil.example.com', 'bad-credential'],
    ['none: the endpoint is the issuer’s own', undefined, 'ada'],
  ])('INT-10 iss, where the policy names one: %s', async (_, iss, expected) => {
    const { server, ask } = await scene({ issuer: 'https://idp.example.com' })
    server.say(active({ iss }))
    expect(show(await ask('t'))).toBe(expected)
  })

  it('never throws and never authenticates without the audience, whatever the members', async () => {
    const { server, ask } = await scene({ cache: { seconds: 0 } })
    const members = fc.record(
      { sub: fc.jsonValue(), exp: fc.jsonValue(), nbf: fc.jsonValue(), scope: fc.jsonValue(), cnf: fc.jsonValue() },
      { requiredKeys: [] },
    )
    await fc.assert(
      fc.asyncProperty(members, fc.jsonValue(), async (some, aud) => {
        server.say({ active: true, ...some, aud: { not: aud } })
        expect((await ask('t')).kind).not.toBe('authenticated')
      }),
      { numRuns: 50 },
    )
  })
})

describe('INT-03 INT-04 INT-05 a server that does not answer as it should', () => {
  const stops = ['INT-03 headers hang', 'INT-03 one byte at a time']
  const table: readonly (readonly [string, Parameters<ScriptedServer['say']>[0]])[] = [
    [stops[0] ?? '', () => undefined],
    [stops[1] ?? '', (response) => response.writeHead(200, { 'content-type': 'application/json' }).write('{')],
    ['INT-03 RST', (response) => response.socket?.resetAndDestroy()],
    ['500', (response) => sendJson(response, active(), 500)],
    ['204', (response) => response.writeHead(204).end()],
    ['201 with an answer', (response) => sendJson(response, active(), 201)],
    ['HTML', (response) => response.setHeader('content-type', 'text/html').end(JSON.stringify(active()))],
    ['no type', (response) => response.end(JSON.stringify(active()))],
    ['two types', (r) => r.setHeader('content-type', ['application/json', 'text/html']).end(JSON.stringify(active()))],
    ['not JSON', (response) => response.setHeader('content-type', 'application/json').end('active')],
    ['a member twice', (r) => r.setHeader('content-type', 'application/json').end('{"active":false,"active":true}')],
    ['a BOM', (r) => r.setHeader('content-type', 'application/json').end(`\ufeff${JSON.stringify(active())}`)],
    ['deep', (r) => r.setHeader('content-type', 'application/json').end(`{"active":true,"x":${'['.repeat(9999)}`)],
    ['INT-04 over 64 KiB', (response) => sendJson(response, active({ x: 'y'.repeat(65_536) }))],
    [
      'INT-04 gzip',
      (response) =>
        response
          .writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
          .end(gzipSync(JSON.stringify(active()))),
    ],
    ['400', (response) => sendJson(response, { error: 'invalid_request' }, 400)],
    ['401', (response) => sendJson(response, { error: 'invalid_client' }, 401)],
  ]
  it.each(table)('%s', async (_, script) => {
    const { server, one } = await scene()
    server.say(script)
    const started = performance.now()
    const outcome = await one.authenticate(
      request({ headers: { authorization: 'Bearer t' } }),
      AbortSignal.timeout(150),
    )
    expect(show(outcome)).toBe('introspection-unavailable')
    expect(performance.now() - started).toBeLessThan(1000)
  })

  it.each([301, 302, 303, 307, 308])('INT-05 %i: the other host hears nothing', async (status) => {
    const { server, ask } = await scene()
    const other = await start()
    server.say((response) => response.writeHead(status, { location: `${other.url}/introspect` }).end())
    expect(show(await ask('t'))).toBe('introspection-unavailable')
    expect([other.connections(), server.calls.length]).toEqual([0, 1])
  })

  it('INT-13 comes back without a restart', async () => {
    const { server, ask, services: shared } = await scene()
    server.say((response) => response.socket?.destroy())
    for (let call = 0; call < 8; call += 1) expect(show(await ask(`t${call}`))).toBe('introspection-unavailable')
    expect(server.calls.length).toBe(10) // five, each once more because the connection broke
    server.say(active())
    expect(show(await ask('t'))).toBe('introspection-unavailable')
    shared.clock.forward(5000)
    expect(show(await ask('t'))).toBe('ada')
    expect(server.calls.length).toBe(11)
  })

  it('asks once more where an idle connection was given up by the server', async () => {
    const { server, ask } = await scene()
    server.say(active())
    await ask('first')
    let dropped = 0
    server.say((response) => {
      server.say(active())
      dropped += 1
      response.socket?.destroy()
    })
    expect([show(await ask('second')), dropped]).toEqual(['ada', 1])
  })

  it('INT-16 our own credentials are refused: counted apart; the new secret is used at once', async () => {
    const { server, ask, services: shared, one } = await scene()
    server.say((response, { headers }) =>
      headers.authorization === `Basic ${Buffer.from('gatehouse:new').toString('base64')}`
        ? sendJson(response, active())
        : sendJson(response, { error: 'invalid_client' }, 401),
    )
    for (let call = 0; call < 30; call += 1) expect(show(await ask(`t${call}`))).toBe('introspection-unavailable')
    expect(server.calls.length).toBe(5)
    expect(shared.telemetry.counted('introspection-refused')).toBe(5)
    expect(one.challenge({ kind: 'none' })).toBe('Bearer realm="gatehouse"')
    const renewed = authenticatorOf(
      introspection,
      { endpoint: `${server.url}/introspect`, ...usual },
      methodContext({
        objects: [secretObject('client', { 'client-id': 'gatehouse', 'client-secret': 'new' })],
        services: shared,
      }),
    )
    expect(show(await asking(renewed)('t'))).toBe('ada')
  })

  it.each([
    ['seconds', () => '20'],
    ['a date', () => new Date(now + 20_000).toUTCString()],
  ])('INT-17 429 with Retry-After in %s', async (_, value) => {
    const { server, ask, services: shared } = await scene()
    server.say((response) => response.writeHead(429, { 'retry-after': value() }).end())
    expect(show(await ask('a'))).toBe('introspection-unavailable')
    server.say(active())
    shared.clock.forward(19_999)
    expect(show(await ask('a'))).toBe('introspection-unavailable')
    expect(server.calls.length).toBe(1)
    shared.clock.forward(1)
    expect(show(await ask('a'))).toBe('ada')
  })

  it('INT-14 1,000 checks of one new token: one call, 1,000 right answers', async () => {
    const { server, ask } = await scene()
    server.say((response) => void setTimeout(() => sendJson(response, active()), 50))
    const outcomes = await Promise.all(Array.from({ length: 1000 }, () => ask('t')))
    expect(new Set(outcomes.map(show))).toEqual(new Set(['ada']))
    expect(server.calls.length).toBe(1)
  })
})

describe('INT-07 INT-08 the cache', () => {
  it('INT-07 never outlives exp, whatever the policy says', async () => {
    const { server, ask, services: shared } = await scene({ cache: { seconds: 60 } })
    server.say(active({ exp: seconds + 5 }))
    expect(await ask('t')).toMatchObject({ kind: 'authenticated', cache: 'miss' })
    shared.clock.forward(4999)
    expect(await ask('t')).toMatchObject({ kind: 'authenticated', cache: 'hit' })
    shared.clock.forward(1)
    expect(show(await ask('t'))).toBe('expired-credential')
    expect(server.calls.length).toBe(1)
  })

  it('INT-07 shows a revocation after its age', async () => {
    const { server, ask, services: shared } = await scene({ cache: { seconds: 30 } })
    server.say(active())
    await ask('t')
    server.say({ active: false })
    shared.clock.forward(29_999)
    expect(show(await ask('t'))).toBe('ada')
    shared.clock.forward(1)
    expect(show(await ask('t'))).toBe('bad-credential')
  })

  it('INT-08 is judged anew for each policy: audience, issuer, exp', async () => {
    const { server, services: shared, ask } = await scene()
    const policyOf = (block: object): Scene['ask'] =>
      asking(
        authenticatorOf(
          introspection,
          { endpoint: `${server.url}/introspect`, ...usual, ...block },
          methodContext({ objects, services: shared }),
        ),
      )
    server.say(active({ iss: 'https://idp.example.com' }))
    expect(show(await ask('t'))).toBe('ada')
    expect(show(await policyOf({ audiences: ['bank'] })('t'))).toBe('bad-credential')
    expect(await policyOf({})('t')).toMatchObject({ kind: 'authenticated', cache: 'hit' })
    expect(server.calls.length).toBe(1)
    expect(show(await policyOf({ issuer: 'https://other.example.com' })('t'))).toBe('bad-credential')
  })

  it('is not shared between endpoints, clients or credentials', async () => {
    const { server, services: shared, ask } = await scene()
    server.say(active())
    await ask('t')
    const others: readonly (readonly [object, string])[] = [
      [{ endpoint: `${server.url}/other` }, clientSecret],
      [{ client: { ...usual.client, idRef: undefined, id: 'another' } }, clientSecret],
      [{ client: { ...usual.client, method: 'client_secret_post' } }, clientSecret],
      [{}, 'a guessed secret'],
    ]
    for (const [block, secret] of others) {
      const context = methodContext({
        objects: [secretObject('client', { 'client-id': 'gate house', 'client-secret': secret })],
        services: shared,
      })
      const whole = { endpoint: `${server.url}/introspect`, ...usual, ...block }
      expect(await asking(authenticatorOf(introspection, whole, context))('t')).toMatchObject({ cache: 'miss' })
    }
    expect(server.calls.length).toBe(5)
  })
})

describe('a call', () => {
  it('posts the token form-encoded, with its hint and the client form-encoded in Basic (RFC 6749 §2.3.1)', async () => {
    const { server, ask } = await scene()
    await ask('abc')
    const [call] = server.calls
    expect(call?.body).toBe('token=abc&token_type_hint=access_token')
    expect(call?.headers).toMatchObject({
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
    })
    const pair = Buffer.from((call?.headers.authorization ?? '').replace('Basic ', ''), 'base64').toString()
    expect(pair).toBe('gate+house:c4n4ry%3As%2Bcret%25%2F%26%3D')
  })

  it('client_secret_post puts both into the form', async () => {
    const { server, ask } = await scene({ client: { ...usual.client, method: 'client_secret_post' } })
    await ask('abc')
    expect(Object.fromEntries(server.calls[0]?.form ?? [])).toEqual({
      token: 'abc',
      token_type_hint: 'access_token',
      client_id: 'gate house',
      client_secret: clientSecret,
    })
    expect(server.calls[0]?.headers.authorization).toBeUndefined()
  })

  it('INT-09 sends a token byte by byte, or not at all; it never becomes a parameter', async () => {
    const { server, ask } = await scene({ cache: { seconds: 0 } })
    const texts = fc.oneof(
      fc.string({ minLength: 1 }),
      fc.constantFrom('a&token_type_hint=x', 'a+b', '%26', 'a\nb', 'a\0b', 'ä', 'a=b', 'a&client_id=root', '+'),
    )
    await fc.assert(
      fc.asyncProperty(texts, async (token) => {
        server.calls.length = 0
        await ask(token)
        const [call] = server.calls
        if (call === undefined) return
        expect([...call.form.keys()]).toEqual(['token', 'token_type_hint'])
        expect(call.form.get('token')).toBe(token.replace(/^[ \t]+|[ \t]+$/g, ''))
        expect(call.form.get('token_type_hint')).toBe('access_token')
      }),
      { numRuns: 100 },
    )
  })

  it.each([
    ['newline', 'a\nb'],
    ['NUL', 'a\0b'],
    ['beyond ASCII', 'tökens'],
    ['a space', 'a b'],
    ['INT-21 over the limit', 'a'.repeat(16_385)],
  ])('is not made for a token with %s', async (_, token) => {
    const { server, ask } = await scene()
    expect(show(await ask(token))).toBe('malformed-credential')
    expect(server.connections()).toBe(0)
  })

  it.each([
    ['no header', {}, 'absent'],
    ['another scheme', { headers: { authorization: 'Basic YTpi' } }, 'absent'],
    ['JWT-40 in the query', { target: '/?access_token=t' }, 'absent'],
    ['JWT-40 in a cookie', { headers: { cookie: 'access_token=t' } }, 'absent'],
    ['JWT-40 in X-Access-Token', { headers: { 'x-access-token': 't' } }, 'absent'],
    ['no token', { headers: { authorization: 'Bearer' } }, 'malformed-credential'],
    ['JWT-40 twice', { headers: { authorization: ['Bearer a', 'Bearer b'] } }, 'repeated-credential'],
  ])('is not made for %s', async (_, given, expected) => {
    const { server, ask } = await scene()
    expect(show(await ask('', given))).toBe(expected)
    expect(server.connections()).toBe(0)
  })

  it('OBS-04 is part of the trace of its request, where that has a clean one', async () => {
    const { server, ask } = await scene({ cache: { seconds: 0 } })
    const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    for (const traceparent of [trace, `${trace}\r\nx: y`, undefined]) {
      const more = traceparent === undefined ? {} : { traceparent }
      await ask('', { headers: { authorization: 'Bearer abc', ...more } })
    }
    expect(server.calls.map(({ headers }) => headers['traceparent'])).toEqual([trace, undefined, undefined])
  })

  it('goes for a cookie where the policy says so, and for a token that looks like a JWT', async () => {
    const { server, ask } = await scene({ credential: [{ cookie: 'session' }] })
    server.say(active())
    expect(show(await ask('', { headers: { cookie: 'session=e30.e30.e30' } }))).toBe('ada')
    expect(server.calls[0]?.form.get('token')).toBe('e30.e30.e30')
  })

  it('INT-22 leaves neither token nor secret in what is told of a failure', async () => {
    const { server, ask } = await scene()
    server.say((response) => response.socket?.destroy())
    const outcome = await ask('t0ken-c4n4ry')
    expect(JSON.stringify(outcome)).not.toContain('c4n4ry')
  })
})

describe('private_key_jwt', () => {
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const ed = generateKeyPairSync('ed25519')
  const pem = (key: typeof ec.privateKey): string => key.export({ type: 'pkcs8', format: 'pem' }).toString()
  const forms = [
    ['PEM, EC', ec, () => pem(ec.privateKey), 'ES256', undefined],
    ['PEM, RSA', rsa, () => pem(rsa.privateKey), 'RS256', undefined],
    ['PEM, Ed25519', ed, () => pem(ed.privateKey), 'EdDSA', undefined],
    [
      'JWK with kid and alg',
      rsa,
      () => JSON.stringify({ ...rsa.privateKey.export({ format: 'jwk' }), kid: 'k1', alg: 'PS256' }),
      'PS256',
      'k1',
    ],
  ] as const
  const client = { id: 'gatehouse', keyRef: { name: 'key' }, method: 'private_key_jwt' }

  it.each(forms)('%s', async (_, pair, text, alg, kid) => {
    const given = { objects: [secretObject('key', { 'private-key': text() })] }
    const { server, ask } = await scene({ client, cache: { seconds: 0 }, issuer: 'https://idp.example.com' }, given)
    await ask('a')
    await ask('b')
    const assertions = server.calls.map(({ form }) => form.get('client_assertion') ?? '')
    const seen = await Promise.all(
      assertions.map((one) =>
        jwtVerify(one, pair.publicKey, {
          issuer: 'gatehouse',
          subject: 'gatehouse',
          audience: 'https://idp.example.com',
          currentDate: new Date(now),
          algorithms: [alg],
        }),
      ),
    )
    expect(seen.map(({ protectedHeader }) => protectedHeader.kid)).toEqual([kid, kid])
    expect(new Set(seen.map(({ payload }) => payload.jti)).size).toBe(2)
    expect(seen[0]?.payload.exp).toBe(seconds + 60)
    expect(server.calls[0]?.form.get('client_assertion_type')).toBe(
      'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    )
    expect(server.calls[0]?.form.get('client_id')).toBe('gatehouse')
  })

  const small = generateKeyPairSync('rsa', { modulusLength: 1024 })
  it.each([
    ['no key', 'c4n4ry'],
    ['a public key', ec.publicKey.export({ type: 'spki', format: 'pem' }).toString()],
    ['a small key', pem(small.privateKey)],
    ['a curve that is not used', pem(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey)],
    ['an alg that does not fit', JSON.stringify({ ...ec.privateKey.export({ format: 'jwk' }), alg: 'RS256' })],
  ])('is refused with %s', (_, text) => {
    const context = methodContext({ objects: [secretObject('key', { 'private-key': text })], services: services() })
    const whole = { endpoint: 'https://idp.example.com/i', audiences: ['a'], client }
    const result = compiled(introspection, whole, context)
    expect(result.ok ? [] : result.findings.map(({ code, path }) => [code, path.join('.')])).toEqual([
      ['bad-key', 'client.keyRef'],
    ])
    expect(JSON.stringify(result)).not.toContain('c4n4ry')
  })
})

describe('compiling', () => {
  const endpoint = 'https://idp.example.com/introspect'
  const table: readonly (readonly [string, object, string, string])[] = [
    ['no endpoint and no issuer', usual, 'bad-value', ''],
    ['no audiences', { endpoint, client: usual.client }, 'bad-value', 'audiences'],
    ['empty audiences', { endpoint, ...usual, audiences: [] }, 'bad-value', 'audiences'],
    ['no client', { endpoint, audiences: ['a'] }, 'bad-value', 'client'],
    ['an unknown key', { endpoint, ...usual, audience: 'a' }, 'unknown-key', 'audience'],
    ['cache over five minutes', { endpoint, ...usual, cache: { seconds: 301 } }, 'bad-value', 'cache.seconds'],
    ['a realm with a quote', { endpoint, ...usual, realm: 'a"b' }, 'bad-value', 'realm'],
    ['INT-19 http', { endpoint: 'http://idp.example.com/', ...usual }, 'insecure-url', 'endpoint'],
    ['INT-19 link-local', { endpoint: 'https://169.254.169.254/', ...usual }, 'insecure-url', 'endpoint'],
    ['user information', { endpoint: 'https://a:c4n4ry@idp.example.com/', ...usual }, 'insecure-url', 'endpoint'],
    ['INT-19 issuer over http', { issuer: 'http://idp.example.com', ...usual }, 'insecure-url', 'issuer'],
    [
      'a method that is none',
      { endpoint, ...usual, client: { ...usual.client, method: 'none' } },
      'bad-value',
      'client.method',
    ],
    ['two ids', { endpoint, ...usual, client: { ...usual.client, id: 'x' } }, 'bad-value', 'client'],
    ['no secret', { endpoint, ...usual, client: { id: 'x' } }, 'bad-value', 'client'],
    [
      'a key without its method',
      { endpoint, ...usual, client: { id: 'x', keyRef: { name: 'k' } } },
      'bad-value',
      'client',
    ],
    [
      'a Secret that is not there',
      { endpoint, ...usual, client: { id: 'x', secretRef: { name: 'clint' } } },
      'missing-reference',
      'client.secretRef.name',
    ],
    [
      'an entry that is not there',
      { endpoint, ...usual, client: { id: 'x', secretRef: { name: 'client', key: 'secret' } } },
      'missing-reference',
      'client.secretRef.key',
    ],
    ['an issuer with a query', { issuer: 'https://idp.example.com/?x=y', ...usual }, 'bad-value', 'issuer'],
    ['signed without an issuer', { endpoint, ...usual, signed: { jwks: { discovery: true } } }, 'bad-value', ''],
  ]
  it.each(table)('refuses %s', (_, block, code, path) => {
    const result = compiled(introspection, block, methodContext({ objects, services: services() }))
    const findings = result.ok ? [] : result.findings
    expect(findings.map((one) => [one.code, one.path.join('.')])).toContainEqual([code, path])
    expect(JSON.stringify(findings)).not.toContain('c4n4ry')
  })

  it('tells everything at once', () => {
    const block = {
      endpoint: 'http://idp.example.com/',
      audiences: ['a'],
      client: { id: 'x', secretRef: { name: 'y' } },
    }
    const result = compiled(introspection, block, methodContext({ objects, services: services() }))
    expect(result.ok ? [] : result.findings.map(({ code }) => code).sort()).toEqual([
      'insecure-url',
      'missing-reference',
    ])
  })
})

describe('the challenge', () => {
  const table: readonly (readonly [string, ChallengeError, string])[] = [
    ['CHL-01 no error where nothing was presented', { kind: 'none' }, 'Bearer realm="Staff only"'],
    [
      'CHL-02 one text for every bad token',
      { kind: 'invalid-token' },
      'Bearer realm="Staff only", error="invalid_token", error_description="The token is not valid here"',
    ],
    [
      'CHL-03 the scope that is missing',
      { kind: 'insufficient-scope', scopes: ['cart.read', 'cart.write'] },
      'Bearer realm="Staff only", error="insufficient_scope", scope="cart.read cart.write"',
    ],
    [
      'CHL-03 nothing that ends the quotes',
      { kind: 'insufficient-scope', scopes: ['a"b', 'a\\b', 'ok'] },
      'Bearer realm="Staff only", error="insufficient_scope", scope="ok"',
    ],
    [
      'CHL-04 two credentials',
      { kind: 'invalid-request' },
      'Bearer realm="Staff only", error="invalid_request", error_description="Send one token in one place"',
    ],
  ]
  it.each(table)('%s', async (_, error, expected) => {
    const { one } = await scene({ realm: 'Staff only' })
    expect(one.challenge(error)).toBe(expected)
  })
})
