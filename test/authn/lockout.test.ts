import { describe, expect, it } from 'vitest'
import { createLockout, network } from '../../src/authn/lockout.ts'
import type { Claimant, Lockout } from '../../src/authn/lockout.ts'
import { silent } from '../../src/model/telemetry.ts'
import { testClock } from '../support/method-context.ts'

const bob: Claimant = { realm: 'shop/Secret/staff/.htpasswd', user: 'bob', source: '192.0.2.1' }
const fail = (lockout: Lockout, who: Claimant, times = 1): void => {
  for (let time = 0; time < times; time++) lockout.begin(who)?.failed()
}
const make = (limits = {}) => {
  const clock = testClock()
  return { clock, lockout: createLockout({ clock, telemetry: silent, limits }) }
}

describe('a user from one source', () => {
  it('has five failures free, then waits twice as long after each, up to five minutes', () => {
    const { clock, lockout } = make()
    fail(lockout, bob, 4)
    expect(lockout.wait(bob)).toBe(0)
    const waits = Array.from({ length: 11 }, () => {
      fail(lockout, bob)
      const wait = lockout.wait(bob)
      clock.forward(wait)
      return wait / 1000
    })
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300])
  })

  it('opens no attempt while waiting', () => {
    const { clock, lockout } = make()
    fail(lockout, bob, 5)
    expect(lockout.begin(bob)).toBe(undefined)
    clock.forward(999)
    expect(lockout.begin(bob)).toBe(undefined)
    clock.forward(1)
    expect(lockout.begin(bob)).not.toBe(undefined)
  })

  it('gets no more guesses by guessing in parallel', () => {
    const { clock, lockout } = make()
    const open = Array.from({ length: 1000 }, () => lockout.begin(bob)).filter((one) => one !== undefined)
    expect(open).toHaveLength(5)
    for (const one of open) one.failed()
    clock.forward(1000)
    const again = Array.from({ length: 1000 }, () => lockout.begin(bob)).filter((one) => one !== undefined)
    expect(again).toHaveLength(1)
  })

  it('is as before after an attempt that told nothing', () => {
    const { lockout } = make()
    for (let time = 0; time < 20; time++) lockout.begin(bob)?.dropped()
    expect(lockout.wait(bob)).toBe(0)
    expect(lockout.begin(bob)).not.toBe(undefined)
  })

  it('is forgiven by success', () => {
    const { lockout } = make()
    fail(lockout, bob, 4)
    lockout.begin(bob)?.succeeded()
    fail(lockout, bob, 4)
    expect(lockout.wait(bob)).toBe(0)
  })

  it('is forgotten after a quiet quarter of an hour', () => {
    const { clock, lockout } = make()
    fail(lockout, bob, 4)
    clock.forward(902_000)
    fail(lockout, bob, 4)
    expect(lockout.wait(bob)).toBe(0)
  })
})

describe('who counts as one', () => {
  const cases: readonly (readonly [name: string, who: Partial<Claimant>, locked: boolean])[] = [
    ['BAS-18 another case of the name', { user: 'BOB' }, true],
    ['BAS-19 the same user from elsewhere', { source: '192.0.2.2' }, false],
    ['BAS-19 the same user from nowhere known', { source: undefined }, false],
    ['another user from there', { user: 'eve' }, false],
    ['the same name in another list', { realm: 'shop/Secret/partners/.htpasswd' }, false],
    ['E7 parts that join to the same text', { realm: 'shop/Secret/staff/.htpasswdb', user: 'ob' }, false],
  ]
  it.each(cases)('%s: locked %s', (_, who, locked) => {
    const { lockout } = make()
    fail(lockout, bob, 5)
    expect(lockout.wait({ ...bob, ...who }) > 0).toBe(locked)
  })

  it('BAS-18 NFC and NFD', () => {
    const { lockout } = make()
    fail(lockout, { ...bob, user: 'Zo\u00eb' }, 3)
    fail(lockout, { ...bob, user: 'Zoe\u0308' }, 2)
    expect(lockout.wait({ ...bob, user: 'zo\u00eb' })).toBe(1000)
  })

  const networks: readonly (readonly [string, string])[] = [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8::ffff:1', '2001:db8:0:0::/64'],
    ['2001:DB8:0:0:1:2:3:4', '2001:db8:0:0::/64'],
    ['2001:db8:0:1::', '2001:db8:0:1::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['unix', 'unix'],
    ['', ''],
  ]
  it.each(networks)('%s stands for %s', (address, expected) => expect(network(address)).toBe(expected))
})

describe('BAS-19 a user of unknown source', () => {
  const nobodyKnows: Claimant = { ...bob, source: undefined }

  it('waits longer after each failure, but never more than four seconds', () => {
    const { clock, lockout } = make()
    fail(lockout, nobodyKnows, 4)
    const waits = Array.from({ length: 50 }, () => {
      fail(lockout, nobodyKnows)
      const wait = lockout.wait(nobodyKnows)
      clock.forward(wait)
      return wait / 1000
    })
    expect(waits).toEqual([1, 2, ...Array<number>(48).fill(4)])
    expect(lockout.begin(nobodyKnows)).not.toBe(undefined)
  })

  it('gets at most one guess a second, however many try', () => {
    const { clock, lockout } = make()
    fail(lockout, nobodyKnows, 5)
    let computed = 0
    for (let tenth = 0; tenth < 600; tenth++) {
      clock.forward(100)
      const attempt = lockout.begin(nobodyKnows)
      if (attempt !== undefined) computed++
      attempt?.failed()
    }
    expect(computed).toBeLessThanOrEqual(17)
  })

  it('is not closed to the memory of right passwords, unless it is asked about a hundred guesses in a second', () => {
    const { clock, lockout } = make()
    fail(lockout, nobodyKnows, 20)
    clock.forward(4000)
    fail(lockout, nobodyKnows)
    for (let guess = 0; guess < 99; guess++) lockout.begin(nobodyKnows)
    expect(lockout.closed(nobodyKnows)).toBe(false)
    lockout.begin(nobodyKnows)
    expect(lockout.closed(nobodyKnows)).toBe(true)
    clock.forward(1000)
    expect(lockout.wait(nobodyKnows)).toBeGreaterThan(0)
    expect(lockout.closed(nobodyKnows)).toBe(false)
  })

  it('is apart from one whose source is known, who is closed to it for as long as the delay lasts', () => {
    const { lockout } = make()
    fail(lockout, bob, 5)
    expect([lockout.closed(bob), lockout.closed(nobodyKnows)]).toEqual([true, false])
  })
})

describe('a source', () => {
  it('waits after many failures for whatever users; success does not buy more', () => {
    const { lockout } = make()
    for (let user = 0; user < 49; user++) fail(lockout, { ...bob, user: `user${user}` })
    lockout.begin({ ...bob, user: 'mallory' })?.succeeded()
    expect(lockout.wait({ ...bob, user: 'somebody' })).toBe(0)
    fail(lockout, { ...bob, user: 'user49' })
    expect(lockout.wait({ ...bob, user: 'somebody' })).toBe(1000)
    expect(lockout.wait({ ...bob, user: 'somebody', source: '192.0.2.2' })).toBe(0)
  })

  it('that is not known is not counted: it would be everybody', () => {
    const { lockout } = make()
    for (let user = 0; user < 100; user++) fail(lockout, { ...bob, user: `user${user}`, source: undefined })
    expect(lockout.wait({ ...bob, user: 'somebody', source: undefined })).toBe(0)
  })
})

it('keeps a bounded number of records', () => {
  const levels: number[] = []
  const telemetry = { ...silent, level: (_: string, value: number) => levels.push(value) }
  const lockout = createLockout({ clock: testClock(), telemetry, limits: { entries: 100, sourceFailures: 1e6 } })
  for (let user = 0; user < 1000; user++)
    fail(lockout, { ...bob, user: `user${user}`, source: `192.0.2.${user % 250}` })
  expect(Math.max(...levels)).toBe(200)
})
