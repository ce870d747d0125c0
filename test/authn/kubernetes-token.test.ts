import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { SharedQuestionLimits } from '../../src/authn/shared-questions.ts'
import { kubernetesToken } from '../../src/authn/kubernetes-token.ts'
import type { Authenticator, Outcome } from '../../src/authn/method.ts'
import type { Services } from '../../src/authn/services.ts'
import { clusterUserOf } from '../../src/model/reviews.ts'
import type { ReviewFailure } from '../../src/model/reviews.ts'
import { authenticatorOf, compiled, methodContext } from '../support/method-context.ts'
import { request } from '../support/make.ts'
import type { RequestGiven } from '../support/make.ts'
import { reviewServer, reviewsOf, robot, vouchedFor } from '../support/review-server.ts'
import type { ScriptedReviewServer } from '../support/review-server.ts'

function scene(server: ScriptedReviewServer, block: object = {}, limits: Partial<SharedQuestionLimits> = {}) {
  const parts = reviewsOf(server, { limits })
  const services: Partial<Services> = { reviews: parts.reviews, clock: parts.clock }
  const make = (own: object): Authenticator =>
    authenticatorOf(kubernetesToken, { audiences: ['cart'], ...block, ...own }, methodContext({ services }))
  const one = make({})
  const ask = async (given: string | RequestGiven, signal = never, by = one): Promise<Outcome> =>
    by.authenticate(request(typeof given === 'string' ? bearer(given) : given), signal)
  return { ...parts, server, one, make, ask }
}

const never = new AbortController().signal
const bearer = (token: string): RequestGiven => ({ headers: { authorization: `Bearer ${token}` } })
const show = (outcome: Outcome): string =>
  outcome.kind === 'authenticated' ? outcome.cache : 'reason' in outcome ? outcome.reason : outcome.kind

const coded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const jwt = (claims: unknown): string => `${coded({ alg: 'RS256', kid: 'k' })}.${coded(claims)}.c2ln`

const trouble: ReviewFailure = { kind: 'failed', why: 'trouble' }
const unauthenticated = { kind: 'unauthenticated' } as const

describe('who it is', () => {
  it('is the user that the API server names, for whom it vouches', async () => {
    const { ask, server } = scene(reviewServer(vouchedFor()))
    const outcome = await ask('t')
    expect(outcome).toMatchObject({
      kind: 'authenticated',
      cache: 'miss',
      identity: {
        subject: 'system:serviceaccount:shop:robot',
        method: 'entry',
        groups: ['system:serviceaccounts', 'system:authenticated'],
        scopes: [],
        claims: { uid: 'b5c1', extra: { 'authentication.kubernetes.io/pod-name': ['robot-0'] } },
      },
    })
    if (outcome.kind !== 'authenticated') return
    expect(Object.getPrototypeOf(outcome.identity.claims)).toBeNull()
    expect(clusterUserOf(outcome.identity)).toEqual(robot())
    expect(server.tokens).toEqual([{ token: 't', audiences: ['cart'] }])
  })

  it.each<[string, readonly string[], string]>([
    ['one of ours', ['cart'], 'miss'],
    ['one of ours among others', ['other', 'cart'], 'miss'],
    ['others only', ['other'], 'bad-credential'],
    ['another case', ['Cart'], 'bad-credential'],
    ['none: the token is for the API server itself', [], 'bad-credential'],
  ])('takes a token for %s', async (_, audiences, expected) => {
    expect(show(await scene(reviewServer(vouchedFor(robot(), audiences))).ask('t'))).toBe(expected)
  })

  it.each<[string, RequestGiven, string]>([
    ['nothing', {}, 'absent'],
    ['a password', { headers: { authorization: 'Basic YTpi' } }, 'absent'],
    ['an empty token', bearer(''), 'malformed-credential'],
    ['two tokens', bearer('a, Bearer b'), 'malformed-credential'],
    ['a token of 17 kB', bearer('x'.repeat(17_000)), 'malformed-credential'],
  ])('asks nobody about %s', async (_, given, expected) => {
    const { ask, server } = scene(reviewServer(vouchedFor()))
    expect(show(await ask(given))).toBe(expected)
    expect(server.tokens).toEqual([])
  })

  it('refuses whom the API server does not know', async () => {
    expect(show(await scene(reviewServer(unauthenticated)).ask('t'))).toBe('bad-credential')
  })

  it('looks where the policy says, and nowhere else', async () => {
    const { ask, one } = scene(reviewServer(vouchedFor()), { credential: [{ header: 'X-Cluster-Token' }] })
    expect(one.reads).toEqual(['x-cluster-token'])
    expect(show(await ask('t'))).toBe('absent')
    expect(show(await ask({ headers: { 'x-cluster-token': 't' } }))).toBe('miss')
  })

  it('challenges for a bearer token', () => {
    const { one } = scene(reviewServer(), { realm: 'Shop' })
    expect(one.challenge({ kind: 'none' })).toBe('Bearer realm="Shop"')
    expect(one.challenge({ kind: 'invalid-token' })).toContain('error="invalid_token"')
  })
})

describe('the block', () => {
  it.each<[string, object]>([
    ['no audiences', { audiences: [] }],
    ['an empty audience', { audiences: [''] }],
    ['an answer kept longer than five minutes', { audiences: ['a'], cache: { seconds: 301 } }],
    ['an unknown key', { audiences: ['a'], audience: 'b' }],
    ['a realm with a quote', { audiences: ['a'], realm: '"' }],
  ])('may not have %s', (_, block) => {
    const services: Partial<Services> = { reviews: reviewsOf(reviewServer()).reviews }
    expect(compiled(kubernetesToken, block, methodContext({ services }))).toMatchObject({ ok: false })
  })

  it('needs a cluster', () => {
    const context = { ...methodContext(), services: { reviews: undefined } as never }
    expect(compiled(kubernetesToken, { audiences: ['cart'] }, context)).toMatchObject({
      ok: false,
      findings: [{ severity: 'error', mend: 'serve with --kubernetes' }],
    })
  })
})

describe('the cache', () => {
  const good = vouchedFor()
  it.each([
    ['a good token', good, 10, 9999, 'hit', 1],
    ['a good token, past its age', good, 10, 10_000, 'miss', 2],
    ['a good token, where nothing is to be kept', good, 0, 0, 'miss', 2],
    ['a good token, for as long as can be', good, 300, 299_999, 'hit', 1],
    ['a bad token', unauthenticated, 300, 9999, 'bad-credential', 1],
    ['a bad token, past ten seconds', unauthenticated, 300, 10_000, 'bad-credential', 2],
    ['a failure', trouble, 300, 0, 'kubernetes-unavailable', 2],
  ] as const)('%s', async (_, answer, seconds, wait, expected, calls) => {
    const { ask, clock, server } = scene(reviewServer(answer), { cache: { seconds } })
    await ask('t')
    clock.forward(wait)
    expect(show(await ask('t'))).toBe(expected)
    expect(server.tokens.length).toBe(calls)
  })

  it('counts the age from the question, not from the answer', async () => {
    const { ask, clock, server } = scene(reviewServer())
    const first = ask('t')
    clock.forward(9000)
    server.answer(vouchedFor())
    expect(show(await first)).toBe('miss')
    clock.forward(1000)
    const second = ask('t')
    server.answer(unauthenticated)
    expect(show(await second)).toBe('bad-credential')
  })

  it('has nothing for anybody where who asked keeps nothing', async () => {
    const { ask, make, server } = scene(reviewServer(vouchedFor()), { cache: { seconds: 0 } })
    await ask('t')
    expect(show(await ask('t', never, make({ cache: { seconds: 300 } })))).toBe('miss')
    expect(server.tokens.length).toBe(2)
  })

  it('never tells one token or one list of audiences what another was told', async () => {
    const { ask, make, server } = scene(reviewServer(vouchedFor()))
    await ask('t')
    for (const [token, audiences] of [
      ['u', ['cart']],
      ['t', ['till']],
      ['t', ['cart', 'till']],
      ['t', ['cart","till']],
    ] as const) {
      await ask(token, never, make({ audiences }))
    }
    expect(server.tokens.length).toBe(5)
  })

  it('serves one policy what another was told, each by its own name', async () => {
    const { ask, make, server } = scene(reviewServer(vouchedFor()))
    await ask('t')
    expect(show(await ask('t', never, make({ realm: 'other' })))).toBe('hit')
    expect(server.tokens.length).toBe(1)
  })

  it.each([
    ['before its end', { exp: 1_795_521_605 }, 4999, 'hit', 1], // 12:00:05
    ['at its end', { exp: 1_795_521_605 }, 5000, 'expired-credential', 1],
    ['in the middle of a second', { exp: 1_795_521_604.5 }, 4500, 'expired-credential', 1],
    ['without an end', {}, 5000, 'hit', 1],
    ['with an end that is no number', { exp: '1795521605' }, 0, 'miss', 2],
    ['with claims that are no object', [1], 0, 'miss', 2],
    ['with an end beyond numbers', undefined, 0, 'miss', 2],
  ])('keeps no answer about a JWT past its exp: %s', async (_, claims, wait, expected, calls) => {
    const { ask, clock, server } = scene(reviewServer(vouchedFor()), { cache: { seconds: 300 } })
    const token = claims === undefined ? `a.${Buffer.from('{"exp":1e999}').toString('base64url')}.c` : jwt(claims)
    expect(show(await ask(token))).toBe('miss')
    clock.forward(wait)
    expect(show(await ask(token))).toBe(expected)
    expect(server.tokens.length).toBe(calls)
  })

  it('does not ask about a JWT that has ended', async () => {
    const { ask, server } = scene(reviewServer(vouchedFor()))
    expect(show(await ask(jwt({ exp: 1 })))).toBe('expired-credential')
    expect(server.tokens).toEqual([])
  })

  it('keeps good answers through a flood of bad tokens', async () => {
    const { ask, server } = scene(reviewServer(vouchedFor()), {}, { entries: 20 })
    await ask('good')
    server.always = unauthenticated
    for (let at = 0; at < 100; at += 1) await ask(`made up ${at}`.replaceAll(' ', '-'))
    expect(show(await ask('good'))).toBe('hit')
  })
})

describe('calls', () => {
  it('makes one for many who ask the same', async () => {
    const { ask, server } = scene(reviewServer())
    const all = Array.from({ length: 50 }, () => ask('t'))
    expect(server.tokens.length).toBe(1)
    server.answer(vouchedFor())
    expect(new Set((await Promise.all(all)).map(show))).toEqual(new Set(['miss']))
  })

  it('goes on when one who waits goes away', async () => {
    const { ask, server } = scene(reviewServer())
    const leaving = new AbortController()
    const [first, second] = [ask('t', leaving.signal), ask('t')]
    leaving.abort()
    expect(show(await first)).toBe('kubernetes-unavailable')
    server.answer(vouchedFor())
    expect(show(await second)).toBe('miss')
  })

  it('holds nobody up longer than a call may take', async () => {
    const { ask, server } = scene(reviewServer(), {}, { timeout: 20 })
    expect(show(await ask('t'))).toBe('kubernetes-unavailable')
    expect(server.answer(vouchedFor())).toBe(true) // too late, and forgotten
    const again = ask('t')
    server.answer(vouchedFor())
    expect(show(await again)).toBe('miss')
  })

  it('DOS-20 begins none for a request that is late, and answers it with what is known', async () => {
    const { one, ask, server } = scene(reviewServer(vouchedFor()))
    const late = async (token: string): Promise<string> =>
      show(await one.authenticate({ ...request(bearer(token)), late: true }, never))
    expect([await late('a'), show(await ask('a')), await late('a'), await late('b')]).toEqual([
      'overloaded',
      'miss',
      'hit',
      'overloaded',
    ])
    expect(server.tokens.length).toBe(1)
  })

  it('has no more than so many under way, and says so', async () => {
    const { ask, server } = scene(reviewServer(), {}, { concurrency: 2 })
    const both = [ask('a'), ask('b')]
    expect(show(await ask('c'))).toBe('overloaded')
    server.answer(vouchedFor())
    server.answer(vouchedFor())
    await Promise.all(both)
    const third = ask('c')
    server.answer(vouchedFor())
    expect(show(await third)).toBe('miss')
  })

  it('asks for 200 distinct tokens at once', async () => {
    const { ask, server } = scene(reviewServer())
    const all = Array.from({ length: 200 }, (_, at) => ask(`t${at}`))
    expect(server.tokens.length).toBe(200)
    while (server.answer(vouchedFor()));
    expect((await Promise.all(all)).every((one) => one.kind === 'authenticated')).toBe(true)
  })

  it('leaves a server alone that fails, serves what is known, and finds out when it is back', async () => {
    const { ask, clock, server, events } = scene(reviewServer(vouchedFor()), { cache: { seconds: 300 } })
    await ask('known')
    server.always = trouble
    for (let at = 0; at < 20; at += 1) expect(show(await ask(`t${at}`))).toBe('kubernetes-unavailable')
    expect(server.tokens.length).toBe(1 + 5)
    expect(events.filter((event) => event === 'breaker-opened').length).toBe(1)
    expect(show(await ask('known'))).toBe('hit')
    server.always = vouchedFor()
    clock.forward(5000)
    expect(show(await ask('t1'))).toBe('miss')
    expect(show(await ask('t2'))).toBe('miss')
  })

  it('obeys a Retry-After at once', async () => {
    const { ask, clock, server } = scene(reviewServer({ ...trouble, retryAfter: 1000 }))
    await ask('t')
    server.always = vouchedFor()
    expect(show(await ask('t'))).toBe('kubernetes-unavailable')
    clock.forward(1000)
    expect(show(await ask('t'))).toBe('miss')
  })

  it('reports that its own account may not ask', async () => {
    const { ask, events } = scene(reviewServer({ kind: 'failed', why: 'refused' }))
    expect(show(await ask('t'))).toBe('kubernetes-unavailable')
    expect(events).toEqual(['refused'])
  })

  it('does not take one token that the server cannot judge for a server that is down', async () => {
    const { ask, server } = scene(reviewServer({ kind: 'failed', why: 'unfit' }))
    for (let at = 0; at < 50; at += 1) await ask(`t${at}`)
    server.always = vouchedFor()
    expect(show(await ask('t'))).toBe('miss')
  })

  it('survives a server that throws', async () => {
    const server = reviewServer()
    const { ask } = scene({ ...server, tokenReview: () => Promise.reject(new Error('broken')) })
    expect(show(await ask('t'))).toBe('kubernetes-unavailable')
  })

  it('lets nobody wait after it was closed', async () => {
    const { ask, reviews, server } = scene(reviewServer())
    const waiting = ask('t')
    reviews.close()
    expect(show(await waiting)).toBe('kubernetes-unavailable')
    expect(show(await ask('u'))).toBe('kubernetes-unavailable')
    expect(server.tokens.length).toBe(1)
  })
})

it('admits nobody for whom the API server does not vouch, whatever is sent', async () => {
  const { ask, server } = scene(reviewServer(unauthenticated), { cache: { seconds: 300 } })
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.jsonValue().map(jwt)), async (token) => {
      const outcome = await ask(bearer(token))
      expect(outcome.kind).toBe('rejected')
    }),
  )
  expect(server.tokens.length).toBeGreaterThan(0)
})
