import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'
import type { JWTPayload } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createHttpClient } from '../../src/authn/http-client.ts'
import { introspection } from '../../src/authn/introspection.ts'
import { createIntrospector } from '../../src/authn/introspector.ts'
import { createJwksStore } from '../../src/authn/jwks-store.ts'
import type { Authenticator } from '../../src/authn/method.ts'
import { createKeyedDigest } from '../../src/authn/keyed-digest.ts'
import type { Services } from '../../src/authn/services.ts'
import { silent } from '../../src/model/telemetry.ts'
import { scriptedServer } from '../support/authorization-server.ts'
import type { Script, ScriptedServer } from '../support/authorization-server.ts'
import { sendJson } from '../support/local-server.ts'
import { authenticatorOf, compiled, methodContext, secretObject } from '../support/method-context.ts'
import { request } from '../support/make.ts'

const now = Date.parse('2026-11-24T12:00:00Z')
const seconds = now / 1000
const type = 'application/token-introspection+jwt'

let server: ScriptedServer
let services: Services
let one: Authenticator
let ours: Awaited<ReturnType<typeof generateKeyPair>>
let theirs: Awaited<ReturnType<typeof generateKeyPair>>
let issuer: string
let passed = 0
const close: (() => unknown)[] = []

const block = (signed: object): object => ({
  issuer,
  endpoint: `${server.url}/introspect`,
  audiences: ['cart'],
  client: { id: 'gatehouse', secretRef: { name: 'client' } },
  cache: { seconds: 0 },
  signed,
})
const objects = [
  secretObject('client', { 'client-secret': 'secret' }),
  secretObject('shared', { 'jwks.json': JSON.stringify({ keys: [{ kty: 'oct', k: 'A'.repeat(64), alg: 'HS256' }] }) }),
]

beforeAll(async () => {
  server = await scriptedServer()
  issuer = server.url
  ;[ours, theirs] = await Promise.all([generateKeyPair('ES256'), generateKeyPair('ES256')])
  const clock = { now: () => now, ticks: () => passed }
  const http = createHttpClient()
  const jwks = createJwksStore({ http, clock, telemetry: silent })
  const introspector = createIntrospector({ http, clock, telemetry: silent })
  services = { clock, telemetry: silent, http, jwks, introspector, digest: createKeyedDigest() } as unknown as Services
  close.push(jwks.close, introspector.close, http.close, server.close)
  const keys = { keys: [{ ...(await exportJWK(ours.publicKey)), kid: 'k1' }] }
  const local = [...objects, secretObject('keys', { 'jwks.json': JSON.stringify(keys) })]
  one = authenticatorOf(
    introspection,
    block({ jwks: { ref: { name: 'keys' } } }),
    methodContext({ objects: local, services }),
  )
})
afterAll(async () => {
  await Promise.all(close.map((end) => end()))
})

async function ask(script: Script, by = one): Promise<string> {
  passed += 10_000 // the circuit that the refusal before opened may be probed
  const before = server.calls.length
  server.say(script)
  const outcome = await by.authenticate(request({ headers: { authorization: 'Bearer t' } }), AbortSignal.timeout(3000))
  expect(server.calls.length).toBeGreaterThan(before)
  return outcome.kind === 'authenticated' ? outcome.identity.subject : 'reason' in outcome ? outcome.reason : ''
}

const answer = { active: true, sub: 'ada', aud: 'cart', exp: seconds + 60 }
const claims = (more: JWTPayload = {}): JWTPayload => ({
  iss: issuer,
  aud: 'gatehouse',
  iat: seconds,
  token_introspection: answer,
  ...more,
})

interface SignedGiven {
  readonly header?: object
  readonly key?: 'theirs'
}

async function signed(payload: JWTPayload, { header = {}, key }: SignedGiven = {}): Promise<string> {
  return new SignJWT(payload)
    .setProtectedHeader({ alg: 'ES256', kid: 'k1', typ: 'token-introspection+jwt', ...header })
    .sign((key === 'theirs' ? theirs : ours).privateKey)
}

const sent =
  (body: string, contentType = type): Script =>
  (response) =>
    response.setHeader('content-type', contentType).end(body)

describe('INT-18 a signed answer', () => {
  it('is asked for, and taken', async () => {
    expect(await ask(sent(await signed(claims())))).toBe('ada')
    expect(server.calls.at(-1)?.headers.accept).toBe(type)
  })

  const fine: readonly (readonly [string, () => JWTPayload, SignedGiven])[] = [
    ['aud is a list', () => claims({ aud: ['other', 'gatehouse'] }), {}],
    ['typ is written in full', () => claims(), { header: { typ: 'application/Token-Introspection+JWT' } }],
    ['clocks are a moment apart', () => claims({ iat: seconds + 30 }), {}],
  ]
  it.each(fine)('is taken where %s', async (_, payload, given) => {
    expect(await ask(sent(await signed(payload(), given)))).toBe('ada')
  })

  const bad: readonly (readonly [string, () => JWTPayload, SignedGiven])[] = [
    ['typ is JWT', () => claims(), { header: { typ: 'JWT' } }],
    ['typ is at+jwt', () => claims(), { header: { typ: 'at+jwt' } }],
    ['typ is missing', () => claims(), { header: { typ: undefined } }],
    ['iss is another', () => claims({ iss: 'https://other.example.com' }), {}],
    ['iss is missing', () => claims({ iss: undefined } as never), {}],
    ['aud is another client', () => claims({ aud: 'other' }), {}],
    ['aud is the audience of the token', () => claims({ aud: 'cart' }), {}],
    ['aud is missing', () => claims({ aud: undefined } as never), {}],
    ['iat is missing', () => claims({ iat: undefined } as never), {}],
    ['iat is old', () => claims({ iat: seconds - 3600 }), {}],
    ['iat is ahead', () => claims({ iat: seconds + 3600 }), {}],
    ['exp is over', () => claims({ exp: seconds - 3600 }), {}],
    ['the signature is of another key', () => claims(), { key: 'theirs' }],
    ['the kid is unknown', () => claims(), { header: { kid: 'k2' } }],
    ['active stands outside', () => claims({ active: true, sub: 'ada', token_introspection: undefined }), {}],
    [
      'active stands outside only',
      () => claims({ active: true, token_introspection: { sub: 'ada', aud: 'cart' } }),
      {},
    ],
    ['the answer is text', () => claims({ token_introspection: JSON.stringify(answer) }), {}],
  ]
  it.each(bad)('is refused where %s', async (_, payload, given) => {
    expect(await ask(sent(await signed(payload(), given)))).toBe('introspection-unavailable')
  })

  it('is refused unsigned', async () => {
    expect(await ask(sent(new UnsecuredJWT(claims()).encode()))).toBe('introspection-unavailable')
    const [header, payload] = (await signed(claims())).split('.')
    expect(await ask(sent(`${header}.${payload}.`))).toBe('introspection-unavailable')
  })

  it.each([
    ['plain JSON', (response) => sendJson(response, answer)],
    ['plain JSON under the type', sent(JSON.stringify(answer))],
  ] as const satisfies readonly (readonly [string, Script])[])('is not replaced by %s', async (_, script) => {
    expect(await ask(script)).toBe('introspection-unavailable')
  })

  it('is refused under the type application/json or application/jwt', async () => {
    const body = await signed(claims())
    expect(await ask(sent(body, 'application/json'))).toBe('introspection-unavailable')
    expect(await ask(sent(body, 'application/jwt'))).toBe('introspection-unavailable')
  })

  it('INT-01 tells of an inactive token', async () => {
    expect(await ask(sent(await signed(claims({ token_introspection: { active: false } }))))).toBe('bad-credential')
  })

  it('is not taken where plain ones are asked for', async () => {
    const { signed: _, ...plain } = block({}) as { signed: unknown }
    const by = authenticatorOf(introspection, plain, methodContext({ objects, services }))
    expect(await ask(sent(await signed(claims())), by)).toBe('introspection-unavailable')
  })

  it('is not replaced by a plain one in the cache', async () => {
    const cached = { ...block({}), cache: { seconds: 60 }, signed: undefined }
    const plain = authenticatorOf(introspection, cached, methodContext({ objects, services }))
    expect(await ask(answer, plain)).toBe('ada')
    expect(await ask(answer)).toBe('introspection-unavailable')
  })

  it('is verified with keys found by discovery', async () => {
    const key = { ...(await exportJWK(ours.publicKey)), kid: 'k1' }
    const jwt = await signed(claims())
    const found = (response: Parameters<Extract<Script, (...given: never) => void>>[0], path: string): void =>
      path.endsWith('/jwks')
        ? sendJson(response, { keys: [key] })
        : path.includes('.well-known')
          ? sendJson(response, { issuer, jwks_uri: `${issuer}/jwks` })
          : void response.setHeader('content-type', type).end(jwt)
    server.say((response, call) => found(response, call.path))
    const by = authenticatorOf(
      introspection,
      block({ jwks: { discovery: true } }),
      methodContext({ objects, services, onRelease: (release) => close.unshift(release) }),
    )
    await expect.poll(() => server.calls.some(({ path }) => path === '/jwks')).toBe(true)
    expect(await ask((response, call) => found(response, call.path), by)).toBe('ada')
  })

  it.each([
    ['shared secrets', { jwks: { ref: { name: 'shared' } } }, 'bad-key', 'signed.jwks.ref'],
    ['HS256', { jwks: { discovery: true }, algorithms: ['HS256'] }, 'bad-value', 'signed.algorithms.0'],
    ['none', { jwks: { discovery: true }, algorithms: ['none'] }, 'bad-value', 'signed.algorithms.0'],
    ['two places of keys', { jwks: { discovery: true, uri: 'https://a.example' } }, 'bad-value', 'signed.jwks'],
    ['keys over http', { jwks: { uri: 'http://a.example' } }, 'insecure-url', 'signed.jwks.uri'],
    ['keys that are not there', { jwks: { ref: { name: 'no' } } }, 'missing-reference', 'signed.jwks.ref.name'],
  ])('refuses a policy with %s', (_, given, code, path) => {
    const result = compiled(introspection, block(given), methodContext({ objects, services }))
    const findings = result.ok ? [] : result.findings
    expect(findings.map((finding) => [finding.code, finding.path.join('.')])).toContainEqual([code, path])
  })
})
