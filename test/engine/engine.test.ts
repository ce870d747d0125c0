import { describe, expect, it } from 'vitest'
import { absent, authenticated } from '../../src/authn/method.ts'
import type { Outcome } from '../../src/authn/method.ts'
import { createEngine } from '../../src/engine/engine.ts'
import type { DecisionRecord } from '../../src/engine/engine.ts'
import type { Snapshot } from '../../src/policy/snapshot.ts'
import { authenticator, identity, policy, request, rule, snapshot } from '../support/make.ts'

const clock = { now: () => Date.now(), ticks: () => performance.now() }

function engine(world: Snapshot | undefined) {
  const records: DecisionRecord[] = []
  return { ...createEngine({ snapshot: () => world, clock, record: (record) => records.push(record) }), records }
}

const slow =
  (outcome: Outcome, millis: number): (() => Promise<Outcome>) =>
  () =>
    new Promise((done) => setTimeout(done, millis, outcome))

const world = (outcome: Outcome | (() => Outcome | Promise<Outcome>)): Snapshot => {
  const only = rule({ policy: policy({ authenticators: [authenticator(outcome)] }) })
  return snapshot({ rules: [only], rule: (key) => (key.rule === 'pay' ? only : undefined) })
}

describe('which rule', () => {
  it('REL-22 refuses before the first snapshot', async () => {
    expect(await engine(undefined).answer(request(), { millis: 100 })).toMatchObject({
      kind: 'deny',
      reason: 'not-ready',
    })
    expect(engine(undefined).ready()).toBe(false)
  })
  it('R9 never falls back from an unknown rule', async () => {
    const key = { namespace: 'shop', route: 'cart', rule: 'old' }
    const made = await engine(world(authenticated(identity()))).answer(request({ claim: { kind: 'key', key } }), {
      millis: 100,
    })
    expect(made).toMatchObject({ reason: 'unknown-rule' })
  })
  it('refuses a claim that is no key', async () => {
    expect(await engine(world(absent)).answer(request({ claim: { kind: 'bad' } }), { millis: 100 })).toMatchObject({
      reason: 'bad-key',
    })
  })
  const hosted = (some: object) => {
    const only = rule({ policy: policy({ authenticators: [authenticator(authenticated(identity()))] }), ...some })
    return engine(snapshot({ rule: () => only }))
  }
  it('R4 refuses a host that the route does not serve', async () => {
    const made = await hosted({ hostnames: ['*.example.com'] }).answer(request({ authority: 'evil.example' }), {
      millis: 100,
    })
    expect(made).toMatchObject({ reason: 'identity-mismatch' })
  })
  it('R4 refuses a path that the filter does not ask for', async () => {
    const made = await hosted({ checkPath: '/v1/check/shop/cart/other/-' }).answer(request(), { millis: 100 })
    expect(made).toMatchObject({ reason: 'identity-mismatch' })
  })
  it('takes the path that it asks for', async () => {
    const made = await hosted({ checkPath: '/v1/check/shop/cart/pay/-' }).answer(request(), { millis: 100 })
    expect(made.kind).toBe('allow')
  })
})

const busy = (millis: number): void => {
  for (const end = performance.now() + millis; performance.now() < end;);
}

describe('in time', () => {
  it('CTR-07 refuses when the time runs out, and tells the work to stop', async () => {
    let stopped = false
    const only = rule({
      policy: policy({
        authenticators: [
          authenticator(absent, {
            authenticate: (_, signal) => {
              signal.addEventListener('abort', () => (stopped = true))
              return slow(authenticated(identity()), 200)()
            },
          }),
        ],
      }),
    })
    const made = await engine(snapshot({ rule: () => only })).answer(request(), { millis: 20 })
    expect(made).toMatchObject({ kind: 'deny', reason: 'timeout' })
    expect(stopped).toBe(true)
  })
  it.each([
    ['a condition', { conditions: [() => (busy(40), { kind: 'true' } as const)] }],
    ['a header', { headers: () => (busy(40), []) }],
    [
      'a method',
      { authenticators: [authenticator(absent, { authenticate: () => (busy(40), authenticated(identity())) })] },
    ],
  ])('CTR-07 refuses when %s that never waited took too long', async (_, given) => {
    const by = authenticator(authenticated(identity()))
    const only = rule({ policy: policy({ authenticators: [by], ...given }) })
    const asked = engine(snapshot({ rule: () => only }))
    expect(await asked.answer(request(), { millis: 20 })).toMatchObject({ kind: 'deny', reason: 'timeout' })
    expect(await asked.answer(request(), { millis: 2000 })).toMatchObject({ kind: 'allow' })
  })
  it('refuses at once where there is no time at all', async () => {
    expect(await engine(world(authenticated(identity()))).answer(request(), { millis: 0 })).toMatchObject({
      reason: 'timeout',
    })
  })
  it('refuses when the caller goes away', async () => {
    const gone = new AbortController()
    setTimeout(() => gone.abort(), 10)
    const made = await engine(world(slow(authenticated(identity()), 200))).answer(request(), {
      millis: 1000,
      caller: () => gone.signal,
    })
    expect(made).toMatchObject({ reason: 'cancelled' })
  })
  it('E9 CFG-14 judges by the snapshot that was in force when it began', async () => {
    const good = world(slow(authenticated(identity()), 30))
    const worlds: Snapshot[] = [good, snapshot()]
    const made = createEngine({ snapshot: () => worlds.shift(), clock, record: () => undefined })
    expect((await made.answer(request(), { millis: 1000 })).kind).toBe('allow')
  })
})

it('OBS-03 records every decision once, with its rule and policy', async () => {
  const one = engine(world(authenticated(identity(), 'hit')))
  await one.answer(request(), { millis: 100 })
  await one.answer(request({ claim: { kind: 'bad' } }), { millis: 100 })
  expect(one.records).toMatchObject([
    {
      rule: 'shop/cart/pay',
      policy: 'shop/cart-pay',
      method: 'staff',
      subject: 'ada',
      cache: 'hit',
      generation: 1,
      decision: { kind: 'allow' },
    },
    { rule: undefined, policy: undefined, decision: { kind: 'deny', reason: 'bad-key' } },
  ])
})
