/** How far the event loop is behind. */
export interface LoopLag {
  /** True where what came in may have waited so long that an answer which takes time would come after the caller's patience. */
  readonly behind: () => boolean
  readonly close: () => void
}

/** Milliseconds between two looks. */
const beatMillis = 25

/** Half of what Envoy waits for an answer by default. */
const mostMillis = 100

/** Watches the event loop of this thread by a timer, which is as late as everything else; from the first question, so that no start counts. */
export function loopLag(): LoopLag {
  let last = 0
  let late = false
  let timer: NodeJS.Timeout | undefined
  const overdue = (now: number): boolean => now - last > beatMillis + mostMillis
  const look = (): void => {
    const now = performance.now()
    late = timer !== undefined && overdue(now)
    last = now
  }
  return {
    behind() {
      // The second while whatever holds up the loop goes on: the timer has not come to know of it.
      if (timer !== undefined) return late || overdue(performance.now())
      look()
      timer = setInterval(look, beatMillis).unref()
      return false
    },
    close: () => clearInterval(timer),
  }
}
