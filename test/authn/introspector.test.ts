import { afterEach, describe, expect, it } from 'vitest'
import { createIntrospector } from '../../src/authn/introspector.ts'
import type {
  AuthorizationServer,
  Introspected,
  Introspector,
  IntrospectorLimits,
  Question,
  Reply,
} from '../../src/authn/introspector.ts'
import { createHttpClient } from '../../src/authn/http-client.ts'
import { request } from '../support/make.ts'
import { counting, testClock } from '../support/method-context.ts'

const open: (() => void)[] = []
afterEach(() => {
  for (const close of open.splice(0)) close()
})

const clock = testClock()
const telemetry = counting()

function introspector(limits: Partial<IntrospectorLimits> = {}): Introspector {
  const http = createHttpClient()
  const made = createIntrospector({ http, clock, telemetry, limits })
  open.push(made.close, () => void http.close())
  return made
}

interface ServerUnderTest extends AuthorizationServer {
  readonly calls: string[]
  /** Ends the oldest call that waits. */
  readonly answer: (result?: Introspected) => void
}

let servers = 0
/** A server that answers when the test says, or at once with the same every time. */
function server(always?: Introspected): ServerUnderTest {
  const calls: string[] = []
  const waiting: ((result: Introspected) => void)[] = []
  return {
    id: `server ${(servers += 1)}`,
    calls,
    ask: (token) => {
      calls.push(token)
      return always === undefined ? new Promise((done) => waiting.push(done)) : Promise.resolve(always)
    },
    answer: (result = active) => waiting.shift()?.(result),
  }
}

const active: Introspected = { kind: 'active', claims: { sub: 'ada' }, bytes: 20 }
const inactive: Introspected = { kind: 'inactive' }
const failed: Introspected = { kind: 'failed', why: 'trouble' }
const never = new AbortController().signal

const about = (of: AuthorizationServer, token = 't', maxAge = 30_000): Question => ({
  server: of,
  token,
  key: `${of.id} ${token}`,
  maxAge,
})
const show = (reply: Reply): string => (reply.kind === 'active' ? reply.cache : reply.kind)
const ask = async (one: Introspector, question: Question, signal = never): Promise<string> =>
  show(await one.introspect(question, signal))

describe('INT-07 the cache', () => {
  it.each([
    ['active', active, 30_000, 29_999, 'hit', 1],
    ['active, past its age', active, 30_000, 30_000, 'miss', 2],
    ['active, where nothing is to be kept', active, 0, 0, 'miss', 2],
    ['inactive', inactive, 30_000, 9999, 'inactive', 1],
    ['inactive, past ten seconds', inactive, 30_000, 10_000, 'inactive', 2],
    ['inactive, past a shorter age', inactive, 5000, 5000, 'inactive', 2],
    ['failed', failed, 30_000, 0, 'unavailable', 2],
  ])('%s', async (_, result, maxAge, wait, expected, calls) => {
    const one = introspector()
    const of = server(result)
    await ask(one, about(of, 't', maxAge))
    clock.forward(wait)
    expect(await ask(one, about(of, 't', maxAge))).toBe(expected)
    expect(of.calls.length).toBe(calls)
  })

  it('counts the age from the question, not from the answer', async () => {
    const one = introspector()
    const of = server()
    const first = ask(one, about(of))
    clock.forward(20_000)
    of.answer()
    await first
    clock.forward(10_000)
    const second = ask(one, about(of))
    of.answer()
    expect(await second).toBe('miss')
  })

  it('judges the age for each asker by its own measure', async () => {
    const one = introspector()
    const of = server(active)
    await ask(one, about(of, 't', 60_000))
    clock.forward(10_000)
    expect(await ask(one, about(of, 't', 60_000))).toBe('hit')
    expect(await ask(one, about(of, 't', 5000))).toBe('miss')
  })

  it('answers at once from the cache', async () => {
    const one = introspector()
    const of = server(active)
    await ask(one, about(of))
    expect(one.introspect(about(of), never)).toEqual({ kind: 'active', claims: { sub: 'ada' }, cache: 'hit' })
  })

  it.each([
    ['entries', { entries: 3 }, active],
    ['bytes', { bytes: 3 * (256 + 300) }, { ...active, bytes: 100 }],
  ] as const)('is bounded by %s', async (_, limits, result) => {
    const one = introspector(limits)
    const of = server(result)
    for (const token of ['a', 'b', 'c', 'd']) await ask(one, about(of, token))
    expect(await ask(one, about(of, 'd'))).toBe('hit')
    expect(await ask(one, about(of, 'a'))).toBe('miss')
  })

  it('loses no good token to a flood of bad ones', async () => {
    const one = introspector({ entries: 3 })
    const of: AuthorizationServer = {
      id: 'flooded',
      ask: async (token) => (token === 'good' ? active : inactive),
    }
    await ask(one, about(of, 'good'))
    for (let token = 0; token < 50; token += 1) await ask(one, about(of, `bad ${token}`))
    expect(await ask(one, about(of, 'good'))).toBe('hit')
  })

  it('forgets that a token was active, or was not, when it is told otherwise', async () => {
    const one = introspector()
    let result: Introspected = active
    const of: AuthorizationServer = { id: 'fickle', ask: async () => result }
    const say = async (next: Introspected): Promise<string> => {
      result = next
      clock.forward(5000)
      return ask(one, about(of, 't', 5000))
    }
    expect([await say(active), await say(inactive), await say(active), await ask(one, about(of))]).toEqual([
      'miss',
      'inactive',
      'miss',
      'hit',
    ])
    expect([await say(inactive), await ask(one, about(of))]).toEqual(['inactive', 'inactive'])
  })

  it('keeps nothing that is larger than all of it', async () => {
    const one = introspector({ bytes: 1000 })
    const of = server({ ...active, bytes: 65_536 })
    expect(await ask(one, about(of))).toBe('miss')
    expect(await ask(one, about(of))).toBe('miss')
  })
})

describe('single flight', () => {
  it('INT-14 1,000 askers of one token make one call and get 1,000 answers; a failure is not kept', async () => {
    const one = introspector()
    const of = server()
    const all = Array.from({ length: 1000 }, () => ask(one, about(of)))
    expect(of.calls).toEqual(['t'])
    of.answer()
    expect(new Set(await Promise.all(all))).toEqual(new Set(['miss']))
    const failing = Array.from({ length: 1000 }, () => ask(one, about(of, 'u')))
    of.answer(failed)
    expect(new Set(await Promise.all(failing))).toEqual(new Set(['unavailable']))
    const again = ask(one, about(of, 'u'))
    of.answer()
    expect(await again).toBe('miss')
    expect(of.calls.length).toBe(3)
  })

  it('INT-15 the first asker goes away: the others get their answer, and it is kept', async () => {
    const one = introspector()
    const of = server()
    const stop = new AbortController()
    const leader = ask(one, about(of), stop.signal)
    const follower = ask(one, about(of))
    stop.abort()
    expect(await leader).toBe('unavailable')
    of.answer()
    expect(await follower).toBe('miss')
    expect(await ask(one, about(of))).toBe('hit')
  })

  it('INT-15 everybody goes away: the call still leaves its answer', async () => {
    const one = introspector()
    const of = server()
    const stop = new AbortController()
    const leader = ask(one, about(of), stop.signal)
    stop.abort()
    await leader
    of.answer()
    await new Promise(setImmediate)
    expect(await ask(one, about(of))).toBe('hit')
  })

  it('does not wait with a signal that has ended', async () => {
    const one = introspector()
    expect(await ask(one, about(server()), AbortSignal.abort())).toBe('unavailable')
  })

  it('does not mix tokens, nor servers', async () => {
    const one = introspector()
    const [first, second] = [server(active), server(inactive)]
    expect(await Promise.all([ask(one, about(first)), ask(one, about(second)), ask(one, about(first, 'u'))])).toEqual([
      'miss',
      'inactive',
      'miss',
    ])
    expect([first.calls, second.calls]).toEqual([['t', 'u'], ['t']])
  })
})

describe('INT-13 an endpoint that fails', () => {
  const tokens = (count: number): string[] => Array.from({ length: count }, (_, index) => `token ${index}`)

  it('is left alone after five failures, answered for at once, probed, and taken back', async () => {
    const one = introspector()
    const before = telemetry.counted('introspection-breaker-opened')
    let result: Introspected = failed
    const calls: string[] = []
    const of = { id: 'flaky', ask: (token: string) => (calls.push(token), Promise.resolve(result)) }
    for (const token of tokens(20)) await ask(one, about(of, token))
    expect(calls.length).toBe(5)
    expect(telemetry.counted('introspection-breaker-opened') - before).toBe(1)
    // Not a promise: there is nothing to wait for.
    expect(one.introspect(about(of, 'x'), never)).toEqual({ kind: 'unavailable', why: 'trouble' })
    for (let second = 0; second < 60; second += 1) {
      clock.forward(1000)
      await ask(one, about(of, 'x'))
    }
    expect(calls.length).toBe(5 + 12)
    result = active
    clock.forward(5000)
    expect(await ask(one, about(of, 'x'))).toBe('miss')
    expect(await ask(one, about(of, 'y'))).toBe('miss')
  })

  it('keeps its known tokens working, and no other endpoint is touched', async () => {
    const one = introspector()
    const of = server()
    const known = ask(one, about(of, 'known'))
    of.answer()
    await known
    for (const token of tokens(5)) {
      const asked = ask(one, about(of, token))
      of.answer(failed)
      await asked
    }
    expect(await ask(one, about(of, 'other'))).toBe('unavailable')
    expect(await ask(one, about(of, 'known'))).toBe('hit')
    expect(await ask(one, about(server(active)))).toBe('miss')
  })

  it('INT-16 wrong credentials of ours: a counter of their own, and no storm', async () => {
    const one = introspector()
    const of = server({ kind: 'failed', why: 'refused' })
    const before = telemetry.counted('introspection-refused')
    for (const token of tokens(100)) expect(await ask(one, about(of, token))).toBe('unavailable')
    expect(of.calls.length).toBe(5)
    expect(telemetry.counted('introspection-refused') - before).toBe(5)
  })

  it('does not open for tokens that the server finds unfit: a client could shut out everybody', async () => {
    const one = introspector()
    const of = server({ kind: 'failed', why: 'unfit' })
    for (const token of tokens(50)) expect(await ask(one, about(of, token))).toBe('unavailable')
    expect(of.calls.length).toBe(50)
  })

  it('INT-17 waits as long as it was asked to', async () => {
    const one = introspector()
    const of = server({ kind: 'failed', why: 'trouble', retryAfter: 30_000 })
    await ask(one, about(of, 'a'))
    clock.forward(29_999)
    expect(await ask(one, about(of, 'b'))).toBe('unavailable')
    expect(of.calls.length).toBe(1)
    clock.forward(1)
    await ask(one, about(of, 'b'))
    expect(of.calls.length).toBe(2)
  })

  it('survives one that throws', async () => {
    const one = introspector()
    const thrower: AuthorizationServer = {
      id: 'thrower',
      ask: () => {
        throw new Error('x')
      },
    }
    expect(await ask(one, about(thrower))).toBe('unavailable')
  })

  it('DOS-20 begins none for a request that is late, and answers it with what is known or under way', async () => {
    const one = introspector()
    const of = server()
    const late = { ...request(), late: true }
    const first = ask(one, about(of, 'a'))
    const second = ask(one, { ...about(of, 'a'), request: late })
    expect(one.introspect({ ...about(of, 'b'), request: late }, never)).toEqual({
      kind: 'unavailable',
      why: 'overloaded',
    })
    of.answer()
    expect(await Promise.all([first, second])).toEqual(['miss', 'miss'])
    expect(await ask(one, { ...about(of, 'a'), request: late })).toBe('hit')
    expect(of.calls).toEqual(['a'])
  })

  it('takes no more calls at a time than it is allowed', async () => {
    const one = introspector({ concurrency: 2 })
    const of = server()
    const [first, second] = [ask(one, about(of, 'a')), ask(one, about(of, 'b'))]
    expect(one.introspect(about(of, 'c'), never)).toEqual({ kind: 'unavailable', why: 'overloaded' })
    expect(await ask(one, about(server(active), 'c'))).toBe('miss')
    of.answer()
    of.answer()
    expect(await Promise.all([first, second])).toEqual(['miss', 'miss'])
    const third = ask(one, about(of, 'c'))
    of.answer()
    expect(await third).toBe('miss')
  })
})
