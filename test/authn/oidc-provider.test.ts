import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Authenticator } from '../../src/authn/method.ts'
import { resources, startIdp } from '../support/idp.ts'
import type { Idp } from '../support/idp.ts'
import { ask, bearer, jwtBench, settle, verdict } from '../support/jwt-bench.ts'
import type { Bench } from '../support/jwt-bench.ts'

// The real thing: npm oidc-provider over HTTP, our HTTP client, key store and token checks.

let idp: Idp
let bench: Bench
beforeEach(async () => {
  idp = await startIdp()
  bench = jwtBench()
})
afterEach(async () => {
  await bench.close()
  await idp.close()
})

const corpOf = (more: object = {}): Authenticator =>
  bench.authenticator({
    issuer: idp.issuer,
    audiences: ['cart'],
    jwks: { discovery: true },
    ...more,
  })

describe('oidc-provider', () => {
  it('issues RFC 9068 access tokens that we take, by discovery and by jwks_uri', async () => {
    const text = await idp.token(resources.jwt, 'read write')
    const strict = corpOf({ profile: 'AccessToken' })
    expect(await ask(strict, bearer(text))).toMatchObject({
      kind: 'authenticated',
      identity: { subject: 'gatehouse-basic', issuer: idp.issuer, scopes: ['read', 'write'] },
    })
    expect(await verdict(corpOf({ jwks: { uri: idp.jwksUri } }), bearer(text))).toBe('ok')
    expect(await verdict(corpOf({ audiences: ['shop'] }), bearer(text))).toBe('bad-credential')
    expect(await verdict(corpOf({ algorithms: ['ES256'] }), bearer(text))).toBe('bad-credential')
  })

  it.each(['PS256', 'ES256', 'EdDSA'] as const)('signs with %s', async (alg) => {
    const other = await startIdp({ alg })
    const corp = corpOf({ issuer: other.issuer })
    expect(await verdict(corp, bearer(await other.token(resources.jwt)))).toBe('ok')
    await other.close()
  })

  it('JWT-29 an ID token of the same issuer and audience is no access token', async () => {
    const now = bench.now()
    const claims = { iss: idp.issuer, aud: 'cart', sub: 'alice', iat: now, exp: now + 300, nonce: 'n', at_hash: 'h' }
    const text = await idp.sign(claims)
    expect(await verdict(corpOf(), bearer(text))).toBe('bad-credential')
    expect(await verdict(corpOf({ profile: 'AccessToken' }), bearer(text))).toBe('bad-credential')
    expect(await verdict(corpOf({ profile: 'IdToken' }), bearer(text))).toBe('ok')
  })

  it('rotates its key: the new one is fetched on first use, the old one holds while it is published', async () => {
    const corp = corpOf()
    const old = await idp.token(resources.jwt)
    expect(await verdict(corp, bearer(old))).toBe('ok')
    await idp.rotate()
    const young = await idp.token(resources.jwt)
    await bench.advance(30_000)
    expect([await verdict(corp, bearer(young)), await verdict(corp, bearer(old))]).toEqual(['ok', 'ok'])
    expect(idp.requests('/jwks')).toBe(2)
  })

  it('JWT-45 drops its key: tokens of it end with the next refresh, though they were verified before', async () => {
    const corp = corpOf()
    const old = await idp.token(resources.jwt)
    expect(await verdict(corp, bearer(old))).toBe('ok')
    await idp.rotate({ drop: true })
    await bench.advance(5 * 60_000)
    expect(await verdict(corp, bearer(old))).toBe('unknown-key')
    expect(await verdict(corp, bearer(await idp.token(resources.jwt)))).toBe('ok')
  })

  it('goes away and comes back: known keys go on, and a key of the time in between is learnt without a restart', async () => {
    const corp = corpOf()
    const texts = [await idp.token(resources.jwt), await idp.token(resources.jwt)]
    expect(await verdict(corp, bearer(texts[0] ?? ''))).toBe('ok')
    await idp.stop()
    await bench.advance(5 * 60_000)
    expect(await ask(corp, bearer(texts[1] ?? ''))).toMatchObject({ kind: 'authenticated', cache: 'stale' })
    await idp.rotate()
    await idp.start()
    const young = await idp.token(resources.jwt)
    await bench.advance(30_000)
    expect(await verdict(corp, bearer(young))).toBe('ok')
  })

  it('REL-01 is down when we start: denied, then well within 30 s of its return', async () => {
    const text = await idp.token(resources.jwt)
    await idp.stop()
    const corp = corpOf()
    await settle(bench.counts)
    expect(await verdict(corp, bearer(text))).toBe('issuer-unavailable')
    await idp.start()
    await bench.advance(30_000)
    expect(await verdict(corp, bearer(text))).toBe('ok')
  })

  it('lies: an error page in place of its keys changes nothing', async () => {
    const corp = corpOf()
    const text = await idp.token(resources.jwt)
    expect(await verdict(corp, bearer(text))).toBe('ok')
    idp.sabotage((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>maintenance'))
    await bench.advance(5 * 60_000)
    expect(bench.counts.get('jwks-fetch-failed')).toBe(1)
    expect(await verdict(corp, bearer(text))).toBe('ok')
  })

  it('JWT-42 gives out a short-lived token: it ends on time, in real time', async () => {
    const corp = corpOf({ clockSkewSeconds: 0 })
    const text = await idp.token(resources.shortJwt)
    bench.setNow(Date.now() / 1000)
    expect(await verdict(corp, bearer(text))).toBe('ok')
    await pause(2100)
    bench.setNow(Date.now() / 1000)
    expect(await verdict(corp, bearer(text))).toBe('expired-credential')
  })

  it('gives out opaque tokens: they are not ours, and are refused as such', async () => {
    expect(await verdict(corpOf(), bearer(await idp.token(resources.opaque)))).toBe('malformed-credential')
  })
})
