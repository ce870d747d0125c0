import { describe, expect, it } from 'vitest'
import { apiKey } from '../../src/authn/api-key.ts'
import { hashApiKey, newApiKey } from '../../src/authn/api-key-line.ts'
import type { Outcome } from '../../src/authn/method.ts'
import { authenticatorOf, compiled, methodContext, secretObject, testClock } from '../support/method-context.ts'
import type { ContextGiven, CoreObject } from '../support/method-context.ts'
import { request } from '../support/make.ts'
import type { RequestGiven } from '../support/make.ts'

const acme = newApiKey()
const globex = newApiKey()

interface SecretGiven {
  readonly name?: string
  readonly namespace?: string
  readonly labels?: Record<string, string>
  readonly annotations?: Record<string, string>
  readonly keys: Record<string, string>
}

const secret = ({ name = 'partners', keys, ...metadata }: SecretGiven): readonly CoreObject[] => [
  secretObject(name, keys, metadata),
]

const partners = secret({ keys: { acme, globex: hashApiKey(globex) } })
const byName = { keysRef: { name: 'partners' } }

function ask(given: RequestGiven, block: unknown = byName, context: ContextGiven = { objects: partners }): Outcome {
  const outcome = authenticatorOf(apiKey, block, methodContext(context)).authenticate(
    request(given),
    new AbortController().signal,
  )
  expect(outcome).not.toBeInstanceOf(Promise)
  return outcome as Outcome
}

const withKey = (key: string): RequestGiven => ({ headers: { 'x-api-key': key } })
const subjectOf = (outcome: Outcome): string =>
  outcome.kind === 'authenticated' ? outcome.identity.subject : 'reason' in outcome ? outcome.reason : outcome.kind

describe('a presented key', () => {
  const table: readonly (readonly [string, RequestGiven, string])[] = [
    ['a plain one', withKey(acme), 'acme'],
    ['a hashed one', withKey(globex), 'globex'],
    ['none', {}, 'absent'],
    ['an unknown one', withKey(newApiKey()), 'bad-credential'],
    ['the hash line itself', withKey(hashApiKey(globex)), 'bad-credential'],
    ['one with another character', withKey(`${acme.slice(0, -1)}~`), 'bad-credential'],
    ['a prefix of one', withKey(acme.slice(0, -1)), 'bad-credential'],
    ['one with more behind', withKey(`${acme}A`), 'bad-credential'],
    ['in capitals', withKey(acme.toUpperCase()), 'bad-credential'],
    ['empty', withKey(''), 'malformed-credential'],
    ['with a space inside', withKey(`${acme} x`), 'malformed-credential'],
    ['two joined by a comma', withKey(`${acme},${acme}`), 'bad-credential'],
    ['over the limit', withKey('k'.repeat(1025)), 'malformed-credential'],
    ['JWT-40 twice', { headers: { 'x-api-key': [acme, acme] } }, 'repeated-credential'],
    ['JWT-40 in the query, which was not asked for', { target: `/?x-api-key=${acme}` }, 'absent'],
    ['JWT-40 in a cookie, which was not asked for', { headers: { cookie: `x-api-key=${acme}` } }, 'absent'],
    ['JWT-40 as a bearer token, which was not asked for', { headers: { authorization: `Bearer ${acme}` } }, 'absent'],
  ]
  it.each(table)('%s', (_, given, expected) => {
    expect(subjectOf(ask(given))).toBe(expected)
  })

  const places: readonly (readonly [string, unknown, RequestGiven, string])[] = [
    ['header', { header: 'X-Partner' }, { headers: { 'x-partner': acme } }, 'acme'],
    ['header, not the usual one', { header: 'X-Partner' }, withKey(acme), 'absent'],
    ['cookie', { credential: [{ cookie: 'key' }] }, { headers: { cookie: `a=b; key=${acme}` } }, 'acme'],
    ['query', { credential: [{ query: 'key' }] }, { target: `/x?a=b&key=${acme}` }, 'acme'],
    [
      'scheme',
      { credential: [{ header: 'Authorization', scheme: 'ApiKey' }] },
      { headers: { authorization: `apikey ${acme}` } },
      'acme',
    ],
    [
      'JWT-40 two places',
      { credential: [{ header: 'X-API-Key' }, { query: 'key' }] },
      { ...withKey(acme), target: `/?key=${acme}` },
      'repeated-credential',
    ],
  ]
  it.each(places)('by %s', (_, block, given, expected) => {
    expect(subjectOf(ask(given, { ...byName, ...(block as object) }))).toBe(expected)
  })
})

describe('the identity', () => {
  it('has the owner, the Secret, its labels, scopes and groups', () => {
    const objects = secret({
      labels: { app: 'partner', __proto__x: 'y' },
      annotations: { 'gatehouse.dev/scopes': 'cart.read  cart.write', 'gatehouse.dev/groups': 'gold' },
      keys: { acme },
    })
    const outcome = ask(withKey(acme), byName, { objects })
    expect(outcome).toEqual({
      kind: 'authenticated',
      cache: 'none',
      identity: {
        subject: 'acme',
        method: 'entry',
        claims: expect.objectContaining({ secret: 'partners' }),
        scopes: ['cart.read', 'cart.write'],
        groups: ['gold'],
      },
    })
    const claims = outcome.kind === 'authenticated' ? outcome.identity.claims : {}
    expect(Object.getPrototypeOf(claims)).toBeNull()
    expect({ ...(claims['labels'] as object) }).toEqual({ app: 'partner', __proto__x: 'y' })
  })
})

describe('expiry and rotation', () => {
  const start = Date.parse('2026-11-24T12:00:00Z')
  const at = (millis: number): string => new Date(start + millis).toISOString()

  it('takes a key until its line says, to the millisecond, and another line goes on', () => {
    const [old, next] = [newApiKey(), newApiKey()]
    const clock = testClock(start)
    const objects = secret({ keys: { acme: `${hashApiKey(old, new Date(start + 1000))}\n${hashApiKey(next)}\n` } })
    const { authenticate } = authenticatorOf(apiKey, byName, methodContext({ objects, services: { clock } }))
    const say = (key: string): string =>
      subjectOf(authenticate(request(withKey(key)), new AbortController().signal) as Outcome)
    expect([say(old), say(next)]).toEqual(['acme', 'acme'])
    clock.forward(999)
    expect(say(old)).toBe('acme')
    clock.forward(1)
    expect([say(old), say(next)]).toEqual(['expired-credential', 'acme'])
  })

  it.each([
    ['the Secret expires', { 'gatehouse.dev/expires': at(0) }, hashApiKey(acme), 'expired-credential'],
    [
      'the line expires first',
      { 'gatehouse.dev/expires': at(1) },
      hashApiKey(acme, new Date(start)),
      'expired-credential',
    ],
    ['neither yet', { 'gatehouse.dev/expires': at(1) }, hashApiKey(acme, new Date(start + 1)), 'acme'],
    [
      'the earliest of one key written twice',
      {},
      `${hashApiKey(acme)}\n${hashApiKey(acme, new Date(start))}`,
      'expired-credential',
    ],
  ])('%s', (_, annotations, line, expected) => {
    const objects = secret({ annotations, keys: { acme: line } })
    expect(subjectOf(ask(withKey(acme), byName, { objects, services: { clock: testClock(start) } }))).toBe(expected)
  })
})

describe('compiling', () => {
  const faults: readonly (readonly [string, unknown, readonly CoreObject[], string, string])[] = [
    ['a Secret that is not there', { keysRef: { name: 'partner' } }, partners, 'missing-reference', 'keysRef.name'],
    [
      'of another namespace',
      byName,
      secret({ namespace: 'bank', keys: { acme } }),
      'missing-reference',
      'keysRef.name',
    ],
    ['no reference', {}, partners, 'bad-value', 'keysRef'],
    ['both references', { keysRef: { name: 'a', selector: { a: 'b' } } }, partners, 'bad-value', 'keysRef'],
    ['an empty selector', { keysRef: { selector: {} } }, partners, 'bad-value', 'keysRef.selector'],
    ['an unknown key', { ...byName, headr: 'x' }, partners, 'unknown-key', 'headr'],
    ['header and credential', { ...byName, header: 'x', credential: [{ header: 'y' }] }, partners, 'bad-value', ''],
    ['a header that frames', { ...byName, header: 'Host' }, partners, 'bad-value', 'header'],
    ['an empty entry', byName, secret({ keys: { acme: '' } }), 'bad-key', 'keysRef'],
    ['a short key', byName, secret({ keys: { acme: '1234567' } }), 'bad-key', 'keysRef'],
    ['a key with spaces', byName, secret({ keys: { acme: 'c4n4ry of a company' } }), 'bad-key', 'keysRef'],
    ['a broken hash line', byName, secret({ keys: { acme: '$gatehouse-key$sha256$c4n4ry' } }), 'bad-key', 'keysRef'],
    ['an unknown hash', byName, secret({ keys: { acme: '$gatehouse-key$md5$c4n4ry' } }), 'bad-key', 'keysRef'],
    ['a bad expiry', byName, secret({ keys: { acme: `${hashApiKey(acme)}$expires=tomorrow` } }), 'bad-key', 'keysRef'],
    ['one key of two owners', byName, secret({ keys: { acme, globex: hashApiKey(acme) } }), 'bad-key', 'keysRef'],
    [
      'a bad annotation',
      byName,
      secret({ annotations: { 'gatehouse.dev/expires': '2026-13-01' }, keys: { acme } }),
      'bad-key',
      'keysRef',
    ],
  ]
  it.each(faults)('refuses %s', (_, block, objects, code, path) => {
    const result = compiled(apiKey, block, methodContext({ objects }))
    const findings = result.ok ? [] : result.findings
    expect(findings.map((one) => [one.code, one.path.join('.')])).toContainEqual([code, path])
    expect(JSON.stringify(findings)).not.toContain('c4n4ry')
    expect(JSON.stringify(findings)).not.toContain(acme)
  })

  it('suggests the name that was meant', () => {
    const result = compiled(apiKey, { keysRef: { name: 'partnerz' } }, methodContext({ objects: partners }))
    expect(result.ok ? '' : result.findings[0]?.mend).toBe('did you mean "partners"?')
  })

  it('warns of a short key that still works, and tells all of a Secret at once', () => {
    const short = compiled(apiKey, byName, methodContext({ objects: secret({ keys: { acme: '123456789012345' } }) }))
    expect(short.ok && short.value.findings.map(({ code, severity }) => [code, severity])).toEqual([
      ['weak-key', 'warning'],
    ])
    const objects = secret({ keys: { acme: 'short', globex: 'a b', initech: acme } })
    const both = compiled(apiKey, byName, methodContext({ objects }))
    expect(both.ok ? [] : both.findings.map(({ say }) => say)).toEqual([
      expect.stringContaining('entry "acme"'),
      expect.stringContaining('entry "globex"'),
    ])
  })

  it('warns where nobody can pass, and lets nobody pass', () => {
    const none = { keysRef: { selector: { app: 'nobody' } } }
    const result = compiled(apiKey, none, methodContext({ objects: partners }))
    expect(result.ok && result.value.findings.map(({ code }) => code)).toEqual(['nothing-to-check'])
    expect(subjectOf(ask(withKey(acme), none))).toBe('bad-credential')
  })

  it('warns where every key has expired, and not where one is left', () => {
    const until = (time: string): string => hashApiKey(newApiKey(), new Date(time))
    const past = (): string => until('2026-11-24T11:59:59Z')
    const said = (keys: Record<string, string>): unknown => {
      const result = compiled(apiKey, byName, methodContext({ objects: secret({ keys }) }))
      return result.ok && result.value.findings.map(({ code, severity, say }) => `${severity} ${code}: ${say}`)
    }
    expect(said({ acme: past(), globex: past() })).toEqual([
      'warning nothing-to-check: every key has expired: nobody can pass',
    ])
    expect(said({ acme: past(), globex: until('2026-11-24T12:00:01Z') })).toEqual([])
    expect(said({ acme: past(), globex })).toEqual([])
  })

  it('CFG-21 selects by label, in its own namespace only', () => {
    const [bank, other] = [newApiKey(), newApiKey()]
    const labels = { app: 'partner' }
    const objects = [
      secret({ name: 'one', labels: { ...labels, tier: 'gold' }, keys: { acme } }),
      secret({ name: 'two', labels, keys: { globex } }),
      secret({ name: 'three', labels: { app: 'other' }, keys: { other } }),
      secret({ name: 'four', namespace: 'bank', labels, keys: { bank } }),
    ].flat()
    const say = (key: string): string => subjectOf(ask(withKey(key), { keysRef: { selector: labels } }, { objects }))
    expect([acme, globex, other, bank].map(say)).toEqual(['acme', 'globex', 'bad-credential', 'bad-credential'])
  })

  it('tells what it reads, and has no challenge', () => {
    const one = authenticatorOf(
      apiKey,
      { ...byName, credential: [{ header: 'X-Key' }, { cookie: 'key' }] },
      methodContext({ objects: partners }),
    )
    expect(one.reads).toEqual(['x-key', 'cookie'])
    expect(one.challenge({ kind: 'none' })).toBeUndefined()
    expect(one.presented(request(withKey(acme)))).toBe(false)
    expect(one.presented(request({ headers: { 'x-key': '' } }))).toBe(true)
  })
})
