export interface InTurnOptions<T> {
  readonly work: (subject: T) => Promise<void>
  /** Told when work came to nothing; the next goes on. */
  readonly failed: () => void
  readonly ticks: () => number
  /** How many times as long as the work took it rests before the next. */
  readonly rest: number
}

/** Work on whatever is newest, never twice at once. */
export interface InTurn<T> {
  readonly offer: (subject: T) => void
  /** Nothing is begun after this; what runs is waited for. */
  readonly close: () => Promise<void>
}

/**
 * Runs work on the subject offered last. What is offered while it runs or rests waits, and only the newest of it is worked on: in
 * a large world subjects come faster than they can be dealt with, and one after another they would all be out of date.
 */
export function inTurn<T>({ work, failed, ticks, rest }: InTurnOptions<T>): InTurn<T> {
  let waiting: { readonly subject: T } | undefined
  let running: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let closed = false

  const begin = (): void => {
    const next = waiting
    if (next === undefined || closed) return
    waiting = undefined
    const began = ticks()
    running = work(next.subject)
      .catch(failed)
      .finally(() => {
        running = undefined
        if (closed) return
        timer = setTimeout(
          () => {
            timer = undefined
            begin()
          },
          (ticks() - began) * rest,
        )
        timer.unref()
      })
  }
  return {
    offer: (subject) => {
      waiting = { subject }
      if (running === undefined && timer === undefined) begin()
    },
    close: async () => {
      closed = true
      clearTimeout(timer)
      await running
    },
  }
}
