import type { Clock } from '../model/clock.ts'

/** What became of one call; `neutral` says nothing about the server's health (it judged this one token unfit). */
export type CallResult = 'succeeded' | 'failed' | 'neutral'

/** Leave for one call; `settle` must follow, once. */
export interface Leave {
  /** True where the server is believed down and this call finds out whether it is back. */
  readonly probe: boolean
  /** `retryAfter`: milliseconds that the server asked to be left alone for. */
  readonly settle: (result: CallResult, retryAfter?: number) => void
}

/** Keeps calls from a server that fails, and lets one through from time to time. */
export interface CircuitBreaker {
  /** Undefined where the call must not be made now. */
  readonly enter: () => Leave | undefined
}

export interface BreakerLimits {
  /** Failures in a row that open it. */
  readonly consecutive: number
  /** Milliseconds over which the share of failures is looked at. */
  readonly window: number
  /** Fewest calls in a window whose half failing opens it. */
  readonly windowCalls: number
  /** Milliseconds between probes while it is open. */
  readonly probeEvery: number
  /** The longest `Retry-After` that is honoured: an answer must not be able to shut us out for good. */
  readonly longestPause: number
}

const usual: BreakerLimits = {
  consecutive: 5,
  window: 10_000,
  windowCalls: 10,
  probeEvery: 5000,
  longestPause: 300_000,
}

/** A breaker of its own for one server and one set of credentials. */
export function createCircuitBreaker(clock: Clock, onOpen: () => void, limits: BreakerLimits = usual): CircuitBreaker {
  let row = 0
  let calls: { readonly at: number; readonly failed: boolean }[] = []
  /** The tick from which the next probe may go; undefined while closed. */
  let nextProbe: number | undefined

  function open(pause: number): void {
    if (nextProbe === undefined) onOpen()
    nextProbe = Math.max(nextProbe ?? 0, clock.ticks() + pause)
  }

  function close(): void {
    row = 0
    calls = []
    nextProbe = undefined
  }

  function count(failed: boolean): void {
    const now = clock.ticks()
    row = failed ? row + 1 : 0
    calls = [...calls.filter(({ at }) => now - at < limits.window), { at: now, failed }].slice(-limits.windowCalls * 10)
    const failures = calls.filter((call) => call.failed).length
    const half = calls.length >= limits.windowCalls && failures * 2 >= calls.length
    if (failed && (row >= limits.consecutive || half)) open(limits.probeEvery)
  }

  function settle(probe: boolean, result: CallResult, retryAfter: number | undefined): void {
    if (retryAfter !== undefined) return open(Math.min(Math.max(retryAfter, 0), limits.longestPause))
    // A call that began before the circuit opened tells old news.
    if (probe && result !== 'failed') close()
    else if (!probe && nextProbe === undefined && result !== 'neutral') count(result === 'failed')
  }

  return {
    enter: () => {
      const probe = nextProbe !== undefined
      const now = clock.ticks()
      if (nextProbe !== undefined) {
        if (now < nextProbe) return undefined
        nextProbe = now + limits.probeEvery
      }
      let settled = false
      return {
        probe,
        settle: (result, retryAfter) => {
          if (!settled) settle(probe, result, retryAfter)
          settled = true
        },
      }
    },
  }
}
