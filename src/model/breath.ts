/** Lets others have the thread for a moment, where this has had it for some milliseconds. */
export type Breathe = () => Promise<void>

/** Makes one for a piece of work that begins now: between pauses it takes no longer than `longest`, and what comes after each call. */
export function createBreath(ticks: () => number, longest = 4): Breathe {
  let began = ticks()
  return async () => {
    if (ticks() - began < longest) return
    await new Promise((done) => setImmediate(done))
    began = ticks()
  }
}

/** Takes work in its steps with room between them: who answers requests in the same thread goes on answering. */
export async function inSteps<T>(steps: Generator<undefined, T>, breathe: Breathe): Promise<T> {
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
    await breathe()
  }
}
