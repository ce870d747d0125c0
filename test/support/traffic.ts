import type { Received, Sent } from './send.ts'

/** Requests that go on until they are stopped, each with the answer that is right. */
export interface Stream {
  readonly say: string
  readonly sent: Omit<Sent, 'port'>
  readonly fits: (status: number) => boolean
}

/** Streams that run, until they are stopped and counted. */
export interface Traffic {
  readonly stop: () => Promise<{ readonly asked: number; readonly wrong: readonly string[] }>
}

/** Asks for every stream again and again; an answer that does not come is a wrong one. */
export function startTraffic(
  ask: (sent: Omit<Sent, 'port'>) => Promise<Received>,
  streams: readonly Stream[],
): Traffic {
  const wrong: string[] = []
  let asked = 0
  let on = true
  const running = streams.map(async ({ say, sent, fits }) => {
    while (on) {
      const status = await ask(sent).then(
        (answer) => answer.status,
        () => 0,
      )
      asked += 1
      if (!fits(status)) wrong.push(`${say}: ${status}`)
      await new Promise((done) => setTimeout(done, 10))
    }
  })
  return {
    stop: async () => {
      on = false
      await Promise.all(running)
      return { asked, wrong }
    },
  }
}

/** Works off a list, so many at a time. */
export async function inParallel<T>(
  width: number,
  all: readonly T[],
  work: (one: T, index: number) => Promise<void>,
): Promise<void> {
  const queue = all.entries()
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const [index, one] of queue) await work(one, index)
    }),
  )
}
