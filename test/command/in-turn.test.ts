import { expect, it } from 'vitest'
import { inTurn } from '../../src/command/in-turn.ts'

const pause = (millis: number): Promise<void> => new Promise((done) => setTimeout(done, millis))

function working(cost: number, rest = 0) {
  const log: string[] = []
  const failures: number[] = []
  let atOnce = 0
  const turns = inTurn<string>({
    ticks: () => performance.now(),
    rest,
    failed: () => failures.push(1),
    work: async (subject) => {
      atOnce += 1
      log.push(atOnce === 1 ? subject : `${subject} beside another`)
      await pause(cost)
      atOnce -= 1
      if (subject === 'bad') throw new Error('bad')
    },
  })
  return { turns, log, failures }
}

it('works on the first at once, and of what comes meanwhile on the newest only', async () => {
  const { turns, log } = working(20)
  for (const subject of ['a', 'b', 'c', 'd']) turns.offer(subject)
  expect(log).toEqual(['a'])
  await pause(100)
  expect(log).toEqual(['a', 'd'])
  turns.offer('e')
  await pause(50)
  expect(log).toEqual(['a', 'd', 'e'])
  await turns.close()
})

it('rests as long as it was told to, and still ends with the newest', async () => {
  const { turns, log } = working(30, 3)
  turns.offer('a')
  await pause(60)
  turns.offer('b')
  turns.offer('c')
  expect(log).toEqual(['a'])
  await pause(250)
  expect(log).toEqual(['a', 'c'])
  await turns.close()
})

it('goes on after work that failed, and tells of it', async () => {
  const { turns, log, failures } = working(5)
  turns.offer('bad')
  turns.offer('good')
  await pause(60)
  expect([log, failures.length]).toEqual([['bad', 'good'], 1])
  await turns.close()
})

it('begins nothing after it was closed, and waits for what runs', async () => {
  const { turns, log } = working(30)
  turns.offer('a')
  turns.offer('b')
  const closing = turns.close()
  turns.offer('c')
  await closing
  await pause(60)
  expect(log).toEqual(['a'])
})
