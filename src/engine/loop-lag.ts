/** How far the event loop is behind. */
export interface LoopLag {
  /** True where what came in may have waited for more than half of these milliseconds, and for more than 100. */
  readonly exceeds: (patienceMillis: number) => boolean
  readonly close: () => void
}

/** Milliseconds between two looks. */
const beatMillis = 25

/** Half of what Envoy waits for an answer by default. */
const leastMillis = 100

/**
 * Watches the event loop of this thread by a timer, which is as late as everything else; from the first question on, so that what a
 * start takes does not count.
 */
export function watchLoop(): LoopLag {
  let last = 0
  let lag = 0
  let timer: NodeJS.Timeout | undefined
  const since = (now: number): number => now - last - beatMillis
  const look = (): void => {
    const now = performance.now()
    lag = since(now)
    last = now
  }
  return {
    exceeds(patienceMillis) {
      const now = performance.now()
      if (timer === undefined) {
        last = now
        timer = setInterval(look, beatMillis).unref()
      }
      // The second while whatever holds up the loop goes on: the timer has not come to know of it.
      const longest = Math.max(lag, since(now))
      return longest > leastMillis && longest > patienceMillis / 2
    },
    close: () => clearInterval(timer),
  }
}
