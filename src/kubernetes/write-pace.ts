import type { Clock } from '../model/clock.ts'
import { backOff } from './back-off.ts'
import { KubeError } from './kube-error.ts'

/** One object never gets more than one write in this time. */
const interval = 1000
const retries = { first: 1000, most: 60_000 } as const
/** What a conflict with another owner is asked again after: somebody has to do something first. */
const conflictPause = 60_000

/** When what may be written next; one entry for each object that is written. */
export interface WritePace {
  /** Milliseconds until this object may be written; 0 where it may be now. */
  readonly wait: (key: string) => number
  readonly wrote: (key: string) => void
  readonly failed: (key: string, cause: KubeError) => void
  /** Keeps these keys only. */
  readonly keep: (keys: ReadonlySet<string>) => void
}

interface Turn {
  readonly notBefore: number
  readonly failures: number
}

/** Remembers the last turn of each object; failures make the next one later, as does the server when it asks for it. */
export function createWritePace({ ticks }: Clock, random: () => number): WritePace {
  const turns = new Map<string, Turn>()
  return {
    wait: (key) => Math.max(0, (turns.get(key)?.notBefore ?? 0) - ticks()),
    wrote: (key) => void turns.set(key, { notBefore: ticks() + interval, failures: 0 }),
    failed: (key, { status, retryAfterMillis }) => {
      const failures = (turns.get(key)?.failures ?? 0) + 1
      const pause = status === 409 && failures > 3 ? conflictPause : backOff(retries, failures, random)
      turns.set(key, { notBefore: ticks() + Math.max(interval, retryAfterMillis ?? 0, pause), failures })
    },
    keep: (keys) => {
      for (const [key, { notBefore }] of turns) if (!keys.has(key) && notBefore < ticks()) turns.delete(key)
    },
  }
}
