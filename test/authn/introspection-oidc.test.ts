import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createHttpClient } from '../../src/authn/http-client.ts'
import { introspection } from '../../src/authn/introspection.ts'
import { createIntrospector } from '../../src/authn/introspector.ts'
import { createKeyedDigest } from '../../src/authn/keyed-digest.ts'
import type { Authenticator, Outcome } from '../../src/authn/method.ts'
import type { Services } from '../../src/authn/services.ts'
import { silent } from '../../src/model/telemetry.ts'
import { resources, startIdp } from '../support/idp.ts'
import type { Idp } from '../support/idp.ts'
import { authenticatorOf, methodContext, secretObject } from '../support/method-context.ts'
import { request } from '../support/make.ts'

/* Against a real provider: npm oidc-provider on 127.0.0.1, with the real clock shifted where time has to pass. */

let idp: Idp
let services: Services
let shift = 0
const close: (() => unknown)[] = []

beforeAll(async () => {
  idp = await startIdp()
  const http = createHttpClient()
  const clock = { now: () => Date.now(), ticks: () => performance.now() + shift }
  const introspector = createIntrospector({ http, clock, telemetry: silent })
  services = { clock, telemetry: silent, http, introspector, digest: createKeyedDigest() } as unknown as Services
  close.push(introspector.close, http.close, idp.close)
})
afterAll(async () => {
  await Promise.all(close.map((end) => end()))
})
beforeEach(() => {
  shift += 400_000 // every cached answer is old, every breaker may probe
})

type ClientName = keyof Idp['clients']

function authenticator(by: ClientName = 'basic', more: object = {}): Authenticator {
  const { basic, post, privateKeyJwt } = idp.clients
  const objects = [
    secretObject('basic', { 'client-id': basic.id, 'client-secret': basic.secret }),
    secretObject('post', { 'client-id': post.id, 'client-secret': post.secret }),
    secretObject('key', { 'private-key': JSON.stringify(privateKeyJwt.key) }),
  ]
  const clients: Record<ClientName, object> = {
    basic: { idRef: { name: 'basic' }, secretRef: { name: 'basic' } },
    post: { idRef: { name: 'post' }, secretRef: { name: 'post' }, method: 'client_secret_post' },
    privateKeyJwt: { id: privateKeyJwt.id, keyRef: { name: 'key' }, method: 'private_key_jwt' },
  }
  const block = { issuer: idp.issuer, audiences: ['cart'], client: clients[by], ...more }
  const onRelease = (release: () => void): void => void close.unshift(release)
  return authenticatorOf(introspection, block, methodContext({ objects, services, onRelease }))
}

const ask = async (one: Authenticator, token: string): Promise<Outcome> =>
  one.authenticate(request({ headers: { authorization: `Bearer ${token}` } }), AbortSignal.timeout(3000))

const show = (outcome: Outcome): string =>
  outcome.kind === 'authenticated' ? outcome.identity.subject : 'reason' in outcome ? outcome.reason : outcome.kind

describe('oidc-provider, opaque tokens', () => {
  it.each<ClientName>(['basic', 'post', 'privateKeyJwt'])(
    'client authentication %s, endpoint by discovery',
    async (by) => {
      const token = await idp.token(resources.opaque, 'read write')
      expect(await ask(authenticator(by), token)).toMatchObject({
        kind: 'authenticated',
        identity: { subject: idp.clients.basic.id, issuer: idp.issuer, scopes: ['read', 'write'] },
      })
    },
  )

  it.each<ClientName>(['basic', 'privateKeyJwt'])('client authentication %s, endpoint by its address', async (by) => {
    const token = await idp.token(resources.opaque)
    const one = authenticator(by, { endpoint: idp.introspectionEndpoint })
    expect((await ask(one, token)).kind).toBe('authenticated')
  })

  it('INT-10 a token for another audience', async () => {
    expect(show(await ask(authenticator(), await idp.token(resources.otherOpaque)))).toBe('bad-credential')
  })

  it.each(['', 'x', 'a&b=c', 'e30.e30.e30', 'A'.repeat(16_000)])(
    'INT-01 a token that is none: %.20s',
    async (token) => {
      expect(show(await ask(authenticator(), `none${token}`))).toBe('bad-credential')
    },
  )

  it('INT-07 a token that is revoked: seen when the cache ends', async () => {
    const one = authenticator()
    const token = await idp.token(resources.opaque)
    expect((await ask(one, token)).kind).toBe('authenticated')
    await idp.revoke(token)
    expect(await ask(one, token)).toMatchObject({ kind: 'authenticated', cache: 'hit' })
    shift += 30_000
    expect(show(await ask(one, token))).toBe('bad-credential')
  })

  it('INT-07 a token of two seconds ends with them, cached or not', async () => {
    const one = authenticator('basic', { cache: { seconds: 300 } })
    const token = await idp.token(resources.shortOpaque)
    expect((await ask(one, token)).kind).toBe('authenticated')
    await new Promise((done) => setTimeout(done, 2100))
    expect(show(await ask(one, token))).toBe('expired-credential')
  })

  it('INT-16 a wrong client secret', async () => {
    const client = { id: idp.clients.basic.id, secretRef: { name: 'post' } }
    const one = authenticator('basic', { client })
    expect(show(await ask(one, await idp.token(resources.opaque)))).toBe('introspection-unavailable')
  })

  it('INT-13 an outage: known tokens go on, others are refused in time, and all is well after it', async () => {
    const one = authenticator()
    const [known, fresh] = [await idp.token(resources.opaque), await idp.token(resources.opaque)]
    expect((await ask(one, known)).kind).toBe('authenticated')
    await idp.stop()
    expect(await ask(one, known)).toMatchObject({ kind: 'authenticated', cache: 'hit' })
    for (let call = 0; call < 6; call += 1) expect(show(await ask(one, fresh))).toBe('introspection-unavailable')
    const started = performance.now()
    expect(show(await ask(one, fresh))).toBe('introspection-unavailable')
    expect(performance.now() - started).toBeLessThan(5)
    await idp.start()
    shift += 5000
    expect((await ask(one, fresh)).kind).toBe('authenticated')
  })

  it('INT-03 a server that hangs: refused when the request has to be answered', async () => {
    const one = authenticator()
    const token = await idp.token(resources.opaque)
    idp.sabotage(() => undefined)
    const started = performance.now()
    const outcome = await one.authenticate(
      request({ headers: { authorization: `Bearer ${token}` } }),
      AbortSignal.timeout(150),
    )
    expect(show(outcome)).toBe('introspection-unavailable')
    expect(performance.now() - started).toBeLessThan(400)
    idp.sabotage(undefined)
  })
})
