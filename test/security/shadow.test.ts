import { describe, expect, it } from 'vitest'
import { absent, authenticated } from '../../src/authn/method.ts'
import type { Authenticator } from '../../src/authn/method.ts'
import { createEngine } from '../../src/engine/engine.ts'
import type { Decision } from '../../src/model/decision.ts'
import type { Policy } from '../../src/policy/snapshot.ts'
import { authenticator, identity, policy, request, rule, snapshot } from '../support/make.ts'
import type { RequestGiven } from '../support/make.ts'

/* A Shadow refuses nobody, also not by being slow or broken; and nothing but a Shadow lets anybody through for that. */

const clock = { now: () => Date.now(), ticks: () => performance.now() }
const never: Authenticator = authenticator(() => new Promise(() => undefined))
const broken: Authenticator = authenticator(() => {
  throw new Error('broken')
})

async function answer(
  by: Authenticator,
  mode: Policy['mode'],
  millis: number,
  given: RequestGiven = {},
): Promise<Decision> {
  const only = rule({ policy: policy({ mode, authenticators: [by] }), owned: new Set(['x-user']) })
  const engine = createEngine({ snapshot: () => snapshot({ rule: () => only }), clock, record: () => undefined })
  return engine.answer(request(given), { millis })
}

describe('a Shadow', () => {
  it.each([
    ['too slow', never, 20, 'timeout'],
    ['without any time', authenticator(authenticated(identity())), 0, 'timeout'],
    ['broken', broken, 1000, 'internal'],
    ['refusing', authenticator(absent), 1000, 'no-credential'],
  ] as const)(
    'that is %s lets the request through, marked, with the owned headers taken off',
    async (_, by, millis, shadowed) => {
      const made = await answer(by, 'Shadow', millis, { headers: { 'x-user': 'mallory' } })
      expect(made).toMatchObject({
        kind: 'allow',
        shadowed,
        set: [],
        remove: ['x-user'],
        identity: { subject: 'anonymous' },
      })
      expect(await answer(by, 'Enforce', millis)).toMatchObject({ kind: 'deny', reason: shadowed, status: 403 })
    },
  )
  it.each([
    ['CONNECT', { method: 'CONNECT' }, 'bad-method'],
    ['an ambiguous path', { target: '/a/../b' }, 'ambiguous-target'],
  ] as const)('passes %s no more when it is slow than when it is fast', async (_, given, reason) => {
    for (const millis of [0, 1000]) {
      expect(await answer(never, 'Shadow', millis, given)).toMatchObject({ kind: 'deny', reason })
    }
  })
  it('lets nobody through who went away', async () => {
    const only = rule({ policy: policy({ mode: 'Shadow', authenticators: [never] }) })
    const engine = createEngine({ snapshot: () => snapshot({ rule: () => only }), clock, record: () => undefined })
    const made = await engine.answer(request(), { millis: 1000, caller: () => AbortSignal.abort() })
    expect(made).toMatchObject({ kind: 'deny', reason: 'cancelled' })
  })
})
