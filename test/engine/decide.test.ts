import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { absent, authenticated, rejected, unavailable } from '../../src/authn/method.ts'
import type { Outcome } from '../../src/authn/method.ts'
import { decide } from '../../src/engine/decide.ts'
import { ownedSpellings } from '../../src/model/header.ts'
import type { Policy, Rule } from '../../src/policy/snapshot.ts'
import { authenticator, identity, policy, request, rule } from '../support/make.ts'
import type { RequestGiven } from '../support/make.ts'

const signal = new AbortController().signal
const verdict = (some: Partial<Policy>, given: RequestGiven = {}, more: Partial<Rule> = {}) =>
  decide(rule({ policy: policy(some), ...more }), request(given), signal)
const decision = async (...args: Parameters<typeof verdict>) => (await verdict(...args)).decision
const reason = async (...args: Parameters<typeof verdict>) => {
  const made = await decision(...args)
  return made.kind === 'allow' ? 'allow' : made.reason
}

const ada = authenticated(identity())
const outcomes: Record<Outcome['kind'], Outcome> = {
  absent,
  rejected: rejected('bad-credential'),
  unavailable: unavailable('issuer-unavailable'),
  authenticated: ada,
}

describe('two methods: one that authenticates is enough, else the worst answer counts', () => {
  const table: readonly (readonly [Outcome['kind'], Outcome['kind'], string, string])[] = [
    // first, second, without a guest, with a guest
    ['absent', 'absent', 'no-credential', 'allow'],
    ['absent', 'rejected', 'bad-credential', 'bad-credential'],
    ['absent', 'unavailable', 'issuer-unavailable', 'issuer-unavailable'],
    ['absent', 'authenticated', 'allow', 'allow'],
    ['rejected', 'absent', 'bad-credential', 'bad-credential'],
    ['rejected', 'rejected', 'bad-credential', 'bad-credential'],
    ['rejected', 'unavailable', 'issuer-unavailable', 'issuer-unavailable'],
    ['rejected', 'authenticated', 'allow', 'allow'],
    ['unavailable', 'absent', 'issuer-unavailable', 'issuer-unavailable'],
    ['unavailable', 'rejected', 'issuer-unavailable', 'issuer-unavailable'],
    ['unavailable', 'unavailable', 'issuer-unavailable', 'issuer-unavailable'],
    ['unavailable', 'authenticated', 'allow', 'allow'],
    ['authenticated', 'absent', 'allow', 'allow'],
    ['authenticated', 'rejected', 'allow', 'allow'],
    ['authenticated', 'unavailable', 'allow', 'allow'],
    ['authenticated', 'authenticated', 'allow', 'allow'],
  ]
  it.each(table)('%s, then %s', async (first, second, without, withGuest) => {
    const authenticators = [authenticator(outcomes[first]), authenticator(outcomes[second], { name: 'other' })]
    expect(await reason({ authenticators })).toBe(without)
    expect(await reason({ authenticators, guest: identity({ subject: 'visitor' }) })).toBe(withGuest)
  })
})

describe('E1 silence means no', () => {
  it('CTR-09 no method, no guest', async () => expect(await reason({})).toBe('no-credential'))
  it('no policy', async () => expect(await reason({}, {}, { policy: undefined })).toBe('no-policy'))
  it('a broken policy', async () =>
    expect(await reason({}, {}, { policy: undefined, refusal: 'broken-policy' })).toBe('broken-policy'))
  it('a method that throws', async () => {
    const thrower = authenticator(() => {
      throw new Error('boom')
    })
    expect(await reason({ authenticators: [thrower], guest: identity() })).toBe('internal')
  })
  it('a method whose promise fails', async () => {
    expect(await reason({ authenticators: [authenticator(() => Promise.reject(new Error('boom')))] })).toBe('internal')
  })
  it('a condition that throws', async () => {
    const conditions = [
      () => {
        throw new Error('boom')
      },
    ]
    expect(await reason({ authenticators: [authenticator(ada)], conditions })).toBe('internal')
  })
  it('a condition that cannot tell', async () => {
    expect(await reason({ authenticators: [authenticator(ada)], conditions: [() => ({ kind: 'error' })] })).toBe(
      'condition-error',
    )
  })
  it('one false condition among true ones', async () => {
    const conditions = [() => ({ kind: 'true' }) as const, () => ({ kind: 'false' }) as const]
    expect(await reason({ authenticators: [authenticator(ada)], conditions })).toBe('condition-false')
  })
  it('a header that cannot be made', async () => {
    expect(await reason({ authenticators: [authenticator(ada)], headers: () => undefined })).toBe('header-error')
  })
  it('a credential that no method takes is not a guest', async () => {
    const given = { headers: { authorization: 'Digest x' } }
    expect(await reason({ authenticators: [authenticator(absent)], guest: identity() }, given)).toBe(
      'unsupported-credential',
    )
  })
  it('a credential in another place is not a guest', async () => {
    const elsewhere = authenticator(absent, { presented: () => true })
    expect(await reason({ authenticators: [elsewhere], guest: identity() })).toBe('unsupported-credential')
  })
  it('a request that is wrong in itself, whatever the credential', async () => {
    expect(await reason({ authenticators: [authenticator(ada)] }, { method: 'CONNECT' })).toBe('bad-method')
  })
  it('an ambiguous path', async () => {
    const given = { target: '/a/../b' }
    expect(await reason({ authenticators: [authenticator(ada)] }, given)).toBe('ambiguous-target')
    expect(await reason({ authenticators: [authenticator(ada)], ambiguousPath: 'AsSent' }, given)).toBe('allow')
    const matched = { ...given, claim: { kind: 'match' } as const }
    expect(await reason({ authenticators: [authenticator(ada)], ambiguousPath: 'AsSent' }, matched)).toBe(
      'ambiguous-target',
    )
  })
})

it('never throws and never allows unless a method or the guest said so', async () => {
  const outcome = fc.constantFrom<(() => Outcome | Promise<Outcome>)[]>(
    () => absent,
    () => rejected('bad-credential'),
    () => unavailable('timeout'),
    () => Promise.resolve(absent),
    () => Promise.reject(new Error('x')),
    () => {
      throw new Error('x')
    },
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(outcome, { maxLength: 4 }),
      fc.string(),
      fc.string(),
      fc.string(),
      async (all, method, target, value) => {
        const authenticators = all.map((one, index) => authenticator(one, { name: `m${index}` }))
        const made = await decision({ authenticators }, { method, target, headers: { authorization: value } })
        return made.kind === 'deny' && made.status >= 400 && made.status < 500
      },
    ),
    { numRuns: 500 },
  )
})

describe('CORS preflight (CHL-11)', () => {
  const headers = { origin: 'https://app.example', 'access-control-request-method': 'POST' }
  const some = {
    authenticators: [authenticator(absent)],
    preflight: 'Allow',
    conditions: [() => ({ kind: 'false' }) as const],
  } as const
  it('passes where the policy says so', async () =>
    expect(await reason(some, { method: 'OPTIONS', headers })).toBe('allow'))
  it('asks for a credential otherwise', async () =>
    expect(await reason({ ...some, preflight: 'Authenticate' }, { method: 'OPTIONS', headers })).toBe('no-credential'))
  it('is no preflight with a credential', async () =>
    expect(await reason(some, { method: 'OPTIONS', headers: { ...headers, authorization: 'Basic x' } })).toBe(
      'unsupported-credential',
    ))
  it('is no preflight without Origin', async () =>
    expect(await reason(some, { method: 'OPTIONS' })).toBe('no-credential'))
  it('is no preflight with another method', async () =>
    expect(await reason(some, { method: 'GET', headers })).toBe('no-credential'))
})

describe('Shadow decides, but lets through', () => {
  it('tells what it would have refused for, and sets nothing', async () => {
    const made = await decision({
      mode: 'Shadow',
      authenticators: [authenticator(rejected('bad-credential'))],
      headers: () => [['x-user', 'a']],
    })
    expect(made).toMatchObject({ kind: 'allow', shadowed: 'bad-credential', set: [] })
  })
  it('still refuses what is wrong in itself', async () => {
    expect(await reason({ mode: 'Shadow' }, { method: 'CONNECT' })).toBe('bad-method')
  })
})

describe('E5 every owned header is set or removed', () => {
  const owned = ownedSpellings(['x-user', 'x-auth-groups'])
  const some = { authenticators: [authenticator(ada)], managed: ['x-user', 'x-auth-groups'], remove: ['authorization'] }
  it('CTR-13 removes what is not set, in every spelling', async () => {
    const made = await decision({ ...some, headers: () => [['x-user', 'ada']] }, {}, { owned })
    expect(made).toMatchObject({
      set: [['x-user', 'ada']],
      remove: [
        'x_user',
        'x.user',
        'x-auth-groups',
        'x-auth_groups',
        'x_auth-groups',
        'x_auth_groups',
        'x.auth.groups',
        'authorization',
      ],
    })
  })
  it('never has one name in both lists', async () => {
    const made = await decision({ ...some, remove: ['x-user'], headers: () => [['x-user', 'ada']] }, {}, { owned })
    expect(made.kind === 'allow' && made.remove.includes('x-user')).toBe(false)
  })
  it('HDR-01 on public rules too', async () => {
    const made = await decision(
      { guest: identity({ subject: 'visitor' }) },
      { headers: { 'x-user': 'root' } },
      { owned },
    )
    expect(made.kind === 'allow' && made.remove.includes('x-user')).toBe(true)
  })
})

describe('HDR-13 query parameters that the policy takes off', () => {
  const some = { authenticators: [authenticator(ada)], removeQuery: new Set(['access_token']), lastingHeaders: true }
  const removed = async (target: string): Promise<unknown> => {
    const made = await decision(some, { via: 'grpc', target })
    return made.kind === 'allow' ? made.removeQuery : made.reason
  }
  it('are named as the request spells them, each request its own', async () => {
    expect(await removed('/?a=1')).toEqual([])
    expect(await removed('/?access_token=t')).toEqual(['access_token'])
    expect(await removed('/?access%5Ftoken=t')).toEqual(['access%5Ftoken'])
    expect(await removed('/')).toEqual([])
  })
  it('a query that cannot be read may hold one', async () => {
    expect(await removed('/?%zz=1')).toBe('unremovable-query')
  })
  it('cannot go over HTTP, so that a request with one is refused, and one without is not', async () => {
    expect(await reason(some, { via: 'nginx', target: '/?access_token=t' })).toBe('unremovable-query')
    expect(await decision(some, { via: 'nginx', target: '/?a=access_token' })).toMatchObject({ kind: 'allow' })
  })
  it('a Shadow lets it through', async () => {
    const made = await decision({ ...some, mode: 'Shadow' }, { via: 'check', target: '/?access_token=t' })
    expect(made).toMatchObject({ kind: 'allow', shadowed: 'unremovable-query' })
  })
})

describe('what the client is told', () => {
  const bearer = authenticator(absent, {
    name: 'corp',
    kind: 'jwt',
    challenge: (error) =>
      error.kind === 'none' ? 'Bearer realm="corp"' : `Bearer realm="corp", error="${error.kind}"`,
  })
  const challenge = { unauthenticated: { respond: 'Challenge' } } as const
  it('403 without a word by default', async () => {
    expect(await decision({ authenticators: [bearer] })).toMatchObject({ status: 403, headers: [], body: '' })
  })
  it('CHL-01 a challenge without an error where nothing was presented', async () => {
    const made = await decision({ authenticators: [bearer], ...challenge })
    expect(made).toMatchObject({
      status: 401,
      headers: [
        ['www-authenticate', 'Bearer realm="corp"'],
        ['cache-control', 'no-store'],
      ],
    })
  })
  it('CHL-02 invalid-token for the method that refused, CHL-09 one challenge each', async () => {
    const wrong = { ...bearer, authenticate: () => rejected('bad-credential') }
    const made = await decision({ authenticators: [authenticator(absent), wrong], ...challenge })
    expect(made.kind === 'deny' && made.headers).toEqual([
      ['www-authenticate', 'Basic realm="Staff", charset="UTF-8"'],
      ['www-authenticate', 'Bearer realm="corp", error="invalid-token"'],
      ['cache-control', 'no-store'],
    ])
  })
  it('CHL-03 403 with the scopes where one is missing', async () => {
    const conditions = [() => ({ kind: 'false', scopes: ['cart.write'] }) as const]
    const made = await decision({ authenticators: [{ ...bearer, authenticate: () => ada }], conditions, ...challenge })
    expect(made).toMatchObject({
      status: 403,
      headers: [
        ['www-authenticate', 'Bearer realm="corp", error="insufficient-scope"'],
        ['cache-control', 'no-store'],
      ],
    })
  })
  it('CHL-04 400 for two credentials', async () => {
    const given = { headers: { authorization: ['Bearer a', 'Bearer b'] } }
    expect(await decision({ authenticators: [bearer], ...challenge }, given)).toMatchObject({
      status: 400,
      reason: 'repeated-credential',
    })
  })
  it('CTR-32 400 for a malformed request, 403 by default', async () => {
    expect(await decision({ ...challenge }, { target: '/%00' })).toMatchObject({ status: 400 })
    expect(await decision({}, { target: '/%00' })).toMatchObject({ status: 403 })
  })
  it('403 where the issuer is down, whatever the policy asks for: no challenge can help', async () => {
    const down = { ...bearer, authenticate: () => unavailable('issuer-unavailable') }
    expect(await decision({ authenticators: [down], ...challenge })).toMatchObject({ status: 403, headers: [] })
  })
  it('a redirect, never stored', async () => {
    const made = await decision({ unauthenticated: { respond: 'Redirect', location: 'https://login.example/' } })
    expect(made).toMatchObject({
      status: 302,
      headers: [
        ['location', 'https://login.example/'],
        ['cache-control', 'no-store'],
      ],
    })
  })
  it('CHL-12 the policy’s own body, the same for every reason', async () => {
    const denied = { body: 'no', contentType: 'text/plain' }
    expect(await decision({ denied })).toMatchObject({ body: 'no', headers: [['content-type', 'text/plain']] })
    expect(await decision({ denied }, { method: 'CONNECT' })).toMatchObject({ body: 'no' })
  })
})
