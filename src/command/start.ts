import type { Supervisor } from './worker.ts'

/* What the entrance starts: module by module, or all from the one file that start-file.ts tells of. */

export { program } from './program.ts'
export { UsageError } from './usage-error.ts'

/** The supervisor of this process, if it is a worker. Only a process that was forked can be one: the others need not load what tells. */
export const supervisorOf = async (forked: boolean): Promise<Supervisor | undefined> =>
  forked ? (await import('./worker.ts')).supervisor() : undefined
