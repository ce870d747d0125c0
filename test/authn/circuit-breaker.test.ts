import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createCircuitBreaker } from '../../src/authn/circuit-breaker.ts'
import type { CallResult, CircuitBreaker } from '../../src/authn/circuit-breaker.ts'
import { testClock } from '../support/method-context.ts'
import type { TestClock } from '../support/method-context.ts'

function make(): { breaker: CircuitBreaker; clock: TestClock; opened: () => number; call: Call } {
  const clock = testClock()
  let opened = 0
  const breaker = createCircuitBreaker(clock, () => (opened += 1))
  const call: Call = (result, retryAfter) => {
    const leave = breaker.enter()
    leave?.settle(result, retryAfter)
    return leave === undefined ? 'refused' : leave.probe ? 'probe' : 'call'
  }
  return { breaker, clock, opened: () => opened, call }
}
type Call = (result: CallResult, retryAfter?: number) => 'refused' | 'probe' | 'call'

const times = <T>(count: number, what: () => T): T[] => Array.from({ length: count }, what)

describe('INT-13 a circuit', () => {
  it('opens after five failures in a row', () => {
    const { call, opened } = make()
    expect(times(4, () => call('failed'))).toEqual(times(4, () => 'call'))
    expect([opened(), call('failed'), opened(), call('failed')]).toEqual([0, 'call', 1, 'refused'])
  })

  it('does not where a success is between', () => {
    const { call, opened } = make()
    times(3, () => [...times(5, () => call('succeeded')), ...times(4, () => call('failed'))])
    expect(opened()).toBe(0)
  })

  it('opens where half of ten and more calls within ten seconds fail', () => {
    const { call, opened } = make()
    times(5, () => [call('succeeded'), call('failed')])
    expect(opened()).toBe(1)
  })

  it('forgets calls that are ten seconds old', () => {
    const { call, clock, opened } = make()
    times(4, () => [call('succeeded'), call('failed')])
    clock.forward(10_000)
    times(4, () => [call('succeeded'), call('failed')])
    expect(opened()).toBe(0)
  })

  it('lets one probe through every five seconds, and closes on its success', () => {
    const { call, clock } = make()
    times(5, () => call('failed'))
    clock.forward(4999)
    expect(call('failed')).toBe('refused')
    clock.forward(1)
    expect([call('failed'), call('failed')]).toEqual(['probe', 'refused'])
    clock.forward(5000)
    expect([call('succeeded'), call('failed'), call('succeeded')]).toEqual(['probe', 'call', 'call'])
  })

  it('lets no second probe go while the first is under way for less than five seconds', () => {
    const { breaker, clock, call } = make()
    times(5, () => call('failed'))
    clock.forward(5000)
    const probe = breaker.enter()
    expect([probe?.probe, breaker.enter()]).toEqual([true, undefined])
    probe?.settle('succeeded')
    expect(breaker.enter()?.probe).toBe(false)
  })

  it('takes no news from calls that began before it opened, and each news once', () => {
    const { breaker, call } = make()
    const [early, twice] = [breaker.enter(), breaker.enter()]
    times(3, () => call('failed'))
    twice?.settle('failed')
    twice?.settle('failed')
    expect(call('failed')).toBe('call')
    early?.settle('succeeded')
    expect(call('succeeded')).toBe('refused')
  })

  it('never opens for calls that say nothing of the server', () => {
    const { call, opened } = make()
    times(100, () => call('neutral'))
    expect(opened()).toBe(0)
  })
})

describe('INT-17 Retry-After', () => {
  it.each([
    ['is kept', 20_000, 20_000],
    ['is kept where it is shorter than a probe’s time', 1000, 1000],
    ['is five minutes at most', 1e9, 300_000],
  ])('%s', (_, asked, kept) => {
    const { call, clock } = make()
    call('failed', asked)
    clock.forward(kept - 1)
    expect(call('succeeded')).toBe('refused')
    clock.forward(1)
    expect(call('succeeded')).toBe('probe')
  })

  it('of a probe moves the next one', () => {
    const { call, clock } = make()
    times(5, () => call('failed'))
    clock.forward(5000)
    call('failed', 60_000)
    clock.forward(59_999)
    expect(call('succeeded')).toBe('refused')
    clock.forward(1)
    expect(call('succeeded')).toBe('probe')
  })
})

it('INT-13 whatever happens: at most one probe in five seconds, and it closes again', () => {
  const steps = fc.array(
    fc.record({ wait: fc.nat(3000), result: fc.constantFrom<CallResult[]>('failed', 'succeeded', 'neutral') }),
    { maxLength: 300 },
  )
  fc.assert(
    fc.property(steps, (list) => {
      const { call, clock } = make()
      let last = -Infinity
      for (const { wait, result } of list) {
        clock.forward(wait)
        if (call(result) !== 'probe') continue
        expect(clock.ticks() - last).toBeGreaterThanOrEqual(5000)
        last = clock.ticks()
      }
      clock.forward(5000)
      call('succeeded')
      expect(call('succeeded')).toBe('call')
    }),
  )
})
