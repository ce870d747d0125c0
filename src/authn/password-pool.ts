import { availableParallelism } from 'node:os'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LRUCache } from 'lru-cache'
import type { Piscina } from 'piscina'
import type { Telemetry } from '../model/telemetry.ts'
import { once } from '../model/memo.ts'
import { createFairQueue } from './fair-queue.ts'
import type { PasswordTask } from './password-worker.ts'

/** Verifies passwords away from the event loop and from libuv's pool, in a bounded queue. */
export interface PasswordPool {
  /** Starts the threads ahead of the first request: starting takes longer than an answer may. */
  readonly prepare: () => void
  /**
   * True where the password is that of the hash; `overloaded` where the queue is full, never a guess. Aborting takes a
   * waiting check out of the queue and rejects; a check that is being computed runs to its end, so that its result counts.
   * `list` is whose turn it takes.
   */
  readonly verify: (list: string, task: PasswordTask, signal: AbortSignal) => Promise<boolean | 'overloaded'>
  /** What was found right lately; outlives snapshots, so that a reload does not bring every hash at once. */
  readonly verified: VerifiedCredentials
  readonly close: () => Promise<void>
}

/** Digests of credentials that were found right, each until a tick of the monotonic clock. */
export interface VerifiedCredentials {
  readonly has: (digest: string, ticks: number) => boolean
  readonly add: (digest: string, until: number) => void
}

export interface PasswordPoolParts {
  readonly telemetry: Telemetry
  /** Threads; one core is left to the event loop where there are several. */
  readonly threads?: number
  /** Checks that may wait. */
  readonly room?: number
  /** Credentials that are remembered. */
  readonly remembered?: number
}

interface Job {
  readonly task: PasswordTask
  readonly start: () => void
  readonly done: (right: boolean) => void
  readonly fail: (cause: unknown) => void
}

// The same extension as this file's: TypeScript in development, JavaScript in the package.
const workerFile = fileURLToPath(new URL(`./password-worker${extname(import.meta.url)}`, import.meta.url))

/** A pool without threads until `prepare` or the first check. */
export function createPasswordPool(parts: PasswordPoolParts): PasswordPool {
  const { telemetry, threads = Math.max(1, availableParallelism() - 1) } = parts
  const queue = createFairQueue<Job>(parts.room ?? 32 * threads)
  let workers: Piscina<PasswordTask, boolean> | undefined
  let running = 0
  let closed = false

  const started = async (): Promise<Piscina<PasswordTask, boolean>> => {
    const piscina = await import('piscina') // only where there are passwords to check
    if (workers !== undefined) return workers
    if (closed) throw new Error('the password pool is closed')
    const pool: Piscina<PasswordTask, boolean> = new piscina.Piscina({
      filename: workerFile,
      name: 'verify',
      minThreads: threads,
      maxThreads: threads,
    })
    // A thread that cannot start (no file descriptors left) must not end the process: its checks fail, the next try starts anew.
    pool.on('error', () => {
      if (workers === pool) workers = undefined
      void pool.destroy()
    })
    workers = pool
    replaceLost(pool)
    return pool
  }

  /**
   * Piscina puts no thread in the place of one that ended before it was ready, and tasks that wait for it then wait for good: such a
   * pool ends what it can, and the next check starts another.
   */
  const replaceLost = (pool: Piscina<PasswordTask, boolean>): void => {
    const known = new WeakSet<object>()
    const look = (): void => {
      if (workers !== pool || closed) return
      const { length } = pool.threads
      if (length < threads) {
        workers = undefined
        void (length === 0 ? pool.destroy() : pool.close())
        return
      }
      for (const thread of pool.threads) {
        if (!known.has(thread)) thread.once('exit', look)
        known.add(thread)
      }
    }
    look()
  }

  const advance = (): void => {
    while (running < threads) {
      const job = queue.take()
      if (job === undefined) break
      running++
      job.start()
      telemetry.count('password-hash')
      void started()
        .then((pool) => pool.run(job.task))
        .then(job.done, job.fail)
        .finally(() => {
          running--
          advance()
        })
    }
    telemetry.level('password-queue', queue.size())
  }

  const verify: PasswordPool['verify'] = (list, task, signal) =>
    new Promise((done, fail) => {
      if (closed) throw new Error('the password pool is closed')
      signal.throwIfAborted()
      const leave = (): void => {
        queue.remove(list, job)
        telemetry.level('password-queue', queue.size())
        fail(new Error('cancelled', { cause: signal.reason }))
      }
      const job: Job = { task, done, fail, start: () => signal.removeEventListener('abort', leave) }
      if (!queue.put(list, job)) {
        telemetry.count('password-queue-full')
        done('overloaded')
        return
      }
      signal.addEventListener('abort', leave, { once: true })
      advance()
    })

  return {
    prepare: () => {
      if (!closed) started().catch(() => undefined) // the first check tries again, and is told why
    },
    verify,
    verified: verifiedCredentials(parts.remembered ?? 20_000),
    close: async () => {
      closed = true
      for (let job = queue.take(); job !== undefined; job = queue.take()) {
        job.start()
        job.fail(new Error('the password pool is closed'))
      }
      await workers?.destroy()
    },
  }
}

function verifiedCredentials(max: number): VerifiedCredentials {
  const entries = once(() => new LRUCache<string, number>({ max })) // its tables take milliseconds to make
  return {
    has: (digest, ticks) => ticks < (entries().get(digest) ?? Number.NEGATIVE_INFINITY),
    add: (digest, until) => void entries().set(digest, until),
  }
}
