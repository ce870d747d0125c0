import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { ChildProcess } from 'node:child_process'

/** The server's core, everybody else's, or both for what has threads that work beside each other. */
export type Core = 'server' | 'load' | 'both'

const numbers: Readonly<Record<Core, string>> = { server: '0', load: '1', both: '0,1' }

const works = (core: string): boolean => spawnSync('taskset', ['-c', core, 'true']).status === 0

/** True where servers and load can have a core each; else the system moves them about, and figures say less. */
export const pinning: boolean = works(numbers.server) && works(numbers.load)

export interface NodeProgram {
  readonly core: Core
  /** What stands behind `node`. */
  readonly args: readonly string[]
  readonly channel?: boolean
  /** Added to the environment. */
  readonly environment?: Readonly<Record<string, string>>
}

/** Moves a process with all its threads, and what it starts from now on unless that is told otherwise. */
export function moveTo(core: Core, pid: number): void {
  if (pinning) spawnSync('taskset', ['-a', '-p', '-c', numbers[core], String(pid)])
}

const running = new Set<ChildProcess>()

/** Lets nothing outlive this process, however it ends. */
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** The arguments of `node` for a program as people run it: with the flags of Node.js that its first line gives it. */
export function asExecutable(program: string): readonly string[] {
  const [, flags] = /^#!\/usr\/bin\/env -S node (.+)\n/.exec(readFileSync(program, 'utf8')) ?? []
  if (flags === undefined) throw new Error(`${program} does not begin with the flags that it is run with`)
  return [...flags.split(' '), program]
}

/** Starts a Node.js program, on its core where that is possible. */
export function startNode({ core, args, channel = false, environment = {} }: NodeProgram): ChildProcess {
  const [command, before] = pinning ? ['taskset', ['-c', numbers[core], process.execPath]] : [process.execPath, []]
  const child = spawn(command, [...before, ...args], {
    stdio: ['ignore', 'pipe', 'pipe', ...(channel ? (['ipc'] as const) : [])],
    env: { ...process.env, ...environment },
  })
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}
