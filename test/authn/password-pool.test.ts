import { hashSync } from '@node-rs/bcrypt'
import { afterEach, describe, expect, it } from 'vitest'
import { createFairQueue } from '../../src/authn/fair-queue.ts'
import { createPasswordPool } from '../../src/authn/password-pool.ts'
import type { PasswordPool, PasswordPoolParts } from '../../src/authn/password-pool.ts'
import { createSingleFlight } from '../../src/authn/single-flight.ts'
import { counting } from '../support/method-context.ts'

const pools: PasswordPool[] = []
const make = (parts: Partial<PasswordPoolParts> = {}): PasswordPool => {
  const pool = createPasswordPool({ telemetry: counting(), threads: 1, ...parts })
  pools.push(pool)
  return pool
}
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close()
})

const hash = hashSync('secret', 4)
const slow = hashSync('secret', 9)
const { signal } = new AbortController()

describe('the password pool', () => {
  it('tells right from wrong, in threads', async () => {
    const pool = make()
    expect(await pool.verify('staff', { password: 'secret', hash }, signal)).toBe(true)
    expect(await pool.verify('staff', { password: 'Secret', hash }, signal)).toBe(false)
    expect(await pool.verify('staff', { password: 'secret', hash: 'nonsense$' }, signal)).toBe(false)
  })

  it('leaves the event loop to others', async () => {
    const pool = make({ threads: 2 })
    pool.prepare()
    await pool.verify('staff', { password: 'x', hash }, signal)
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    await Promise.all(Array.from({ length: 10 }, () => pool.verify('staff', { password: 'x', hash: slow }, signal)))
    clearInterval(timer)
    // Ten hashes of some 25 ms each: a loop that waited for them would have had ten turns at most.
    expect(turns).toBeGreaterThan(20)
  })

  it('refuses what its queue cannot hold, at once', async () => {
    const telemetry = counting()
    const pool = make({ room: 8, telemetry })
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => pool.verify('staff', { password: 'secret', hash }, signal)),
    )
    // One under way, half the queue for this list.
    expect(answers.filter((answer) => answer === true)).toHaveLength(5)
    expect(answers.filter((answer) => answer === 'overloaded')).toHaveLength(15)
    expect(telemetry.counted('password-queue-full')).toBe(15)
    expect(telemetry.counted('password-hash')).toBe(5)
  })

  it('E8 keeps room for others when one list is flooded, and takes them in turns', async () => {
    const pool = make({ room: 8 })
    const order: string[] = []
    const ask = async (list: string): Promise<void> => {
      const answer = await pool.verify(list, { password: 'secret', hash }, signal)
      order.push(`${list} ${String(answer)}`)
    }
    await Promise.all([...Array.from({ length: 10 }, () => ask('flooded')), ask('quiet')])
    expect(order.filter((one) => one === 'flooded overloaded')).toHaveLength(5)
    // Behind the one under way and one more of the flooded list.
    expect(order.filter((one) => one.endsWith('true')).indexOf('quiet true')).toBe(2)
  })

  it('takes an abandoned check out of the queue', async () => {
    const telemetry = counting()
    const pool = make({ telemetry })
    const stop = new AbortController()
    const first = pool.verify('staff', { password: 'secret', hash }, signal)
    const waiting = pool.verify('staff', { password: 'secret', hash }, stop.signal)
    stop.abort()
    await expect(waiting).rejects.toThrow('cancelled')
    expect(await first).toBe(true)
    expect(telemetry.counted('password-hash')).toBe(1)
  })

  it('lets a check under way come to its end, so that its result counts', async () => {
    const pool = make()
    const stop = new AbortController()
    const running = pool.verify('staff', { password: 'secret', hash }, stop.signal)
    stop.abort()
    expect(await running).toBe(true)
  })

  it('rejects what was aborted before, and everything after close', async () => {
    const pool = make()
    await expect(pool.verify('staff', { password: 'secret', hash }, AbortSignal.abort())).rejects.toThrow('abort')
    const waiting = [1, 2, 3].map(() => pool.verify('staff', { password: 'secret', hash }, signal))
    const settled = Promise.allSettled(waiting)
    await pool.close()
    expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    await expect(pool.verify('staff', { password: 'secret', hash }, signal)).rejects.toThrow('closed')
  })

  it('remembers right credentials until their tick, in a bounded table', () => {
    const { verified } = make({ remembered: 2 })
    verified.add('a', 100)
    expect(verified.has('a', 99)).toBe(true)
    expect(verified.has('a', 100)).toBe(false)
    expect(verified.has('b', 0)).toBe(false)
    verified.add('b', 100)
    verified.add('c', 100)
    expect(verified.has('a', 0)).toBe(false)
  })
})

describe('the fair queue', () => {
  it('takes owners in turns, each in order', () => {
    const queue = createFairQueue<string>(10)
    for (const item of ['a1', 'a2', 'a3', 'b1', 'c1', 'b2']) queue.put(item.charAt(0), item)
    expect(Array.from({ length: 7 }, () => queue.take())).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3', undefined])
  })

  it('gives one owner half, and all of them the whole', () => {
    const queue = createFairQueue<number>(4)
    expect([1, 2, 3].map((item) => queue.put('a', item))).toEqual([true, true, false])
    expect([1, 2, 3].map((item) => queue.put('b', item))).toEqual([true, true, false])
    expect(queue.put('c', 1)).toBe(false)
    queue.remove('a', 2)
    queue.remove('a', 2)
    queue.remove('nobody', 2)
    expect(queue.size()).toBe(3)
    expect(queue.put('c', 1)).toBe(true)
  })
})

describe('the single flight', () => {
  const later = () => Promise.withResolvers<string>()

  it('works once for all who ask at the same time, and again afterwards', async () => {
    const fly = createSingleFlight<string>()
    const gate = later()
    let works = 0
    const work = (): Promise<string> => {
      works++
      return gate.promise
    }
    const all = Array.from({ length: 1000 }, () => fly('key', signal, work))
    gate.resolve('done')
    expect(new Set(await Promise.all(all))).toEqual(new Set(['done']))
    expect(works).toBe(1)
    await fly('key', signal, work)
    expect(works).toBe(2)
  })

  it('stops the work only when the last has left', () => {
    const fly = createSingleFlight<string>()
    const [one, other] = [new AbortController(), new AbortController()]
    let stopped: AbortSignal | undefined
    const work = (stop: AbortSignal): Promise<string> => {
      stopped = stop
      return later().promise
    }
    void fly('key', one.signal, work)
    void fly('key', other.signal, work)
    one.abort()
    expect(stopped?.aborted).toBe(false)
    other.abort()
    expect(stopped?.aborted).toBe(true)
  })

  it('does no work for who has left already', async () => {
    const fly = createSingleFlight<string>()
    let works = 0
    const asked = fly('key', AbortSignal.abort(), () => Promise.resolve(String(works++)))
    await expect(asked).rejects.toThrow('cancelled')
    expect(works).toBe(0)
  })

  it('starts anew for who comes after the work was stopped', async () => {
    const fly = createSingleFlight<string>()
    const one = new AbortController()
    void fly('key', one.signal, () => later().promise)
    one.abort()
    expect(await fly('key', signal, () => Promise.resolve('fresh'))).toBe('fresh')
  })

  it('passes a failure on to all, and forgets it', async () => {
    const fly = createSingleFlight<string>()
    const fail = () => Promise.reject(new Error('no'))
    const both = await Promise.allSettled([fly('key', signal, fail), fly('key', signal, fail)])
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(await fly('key', signal, () => Promise.resolve('yes'))).toBe('yes')
  })
})
