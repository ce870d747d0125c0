import { fileURLToPath } from 'node:url'
import { startNode } from './pinned.ts'
import { stopped } from './server.ts'
import type { Job, Measured } from './traffic.ts'

/** The process that sends requests. */
export interface LoadProcess {
  /** Rejects when a server or the load breaks down, and with `WrongAnswer` when an answer was wrong. */
  readonly run: (job: Job) => Promise<Measured>
  readonly stop: () => Promise<void>
}

/** An answer that is not the one the subject must give: nothing measured counts then. */
export class WrongAnswer extends Error {}

/** Starts the process, on its core where that is possible. */
export function startLoad(): LoadProcess {
  const child = startNode({ core: 'load', args: [fileURLToPath(new URL('load.ts', import.meta.url))], channel: true })
  let errors = ''
  child.stderr?.on('data', (chunk: Buffer) => (errors += chunk.toString('utf8')))
  const run = (job: Job): Promise<Measured> =>
    new Promise((resolve, reject) => {
      const gone = (): void => reject(new Error(`the load's process ended: ${errors}`))
      child.once('exit', gone)
      child.once('message', (told: { measured?: Measured; failed?: string }) => {
        child.off('exit', gone)
        const { measured } = told
        if (measured === undefined) reject(new Error(told.failed))
        else if (measured.wrong > 0) reject(wrongAnswer(measured))
        else resolve(measured)
      })
      child.send(job)
    })
  return { run, stop: () => stopped(child) }
}

const wrongAnswer = ({ wrong, answers, complaint }: Measured): WrongAnswer =>
  new WrongAnswer(`${wrong} of ${answers} answers are wrong, the first: ${complaint}`)
