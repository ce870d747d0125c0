import { spawn } from 'node:child_process'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FoundTool } from './tools.ts'

/** A real program that runs for a test. */
export interface Program {
  readonly pid: number
  /** What it wrote on both outputs so far. */
  readonly output: () => string
  readonly signal: (name: NodeJS.Signals) => void
  /** Resolves with its exit code, or its signal's name. */
  readonly ended: Promise<number | string>
  /** SIGTERM, and SIGKILL if that is not enough. */
  readonly stop: () => Promise<void>
}

export interface ProgramOptions {
  readonly tool: Pick<FoundTool, 'command' | 'env'>
  readonly args: readonly string[]
  readonly cwd: string
  /** Told what it writes on its standard output. */
  readonly onStdout?: ((text: string) => void) | undefined
  /** Started once this resolves; a program that ends before that has failed, and the signal says so. */
  readonly ready: (program: Program, signal: AbortSignal) => Promise<void>
}

/** Starts a program and waits until it is ready; one that ends first or takes too long is an error with its output. */
export async function startProgram({ tool, args, cwd, onStdout, ready }: ProgramOptions): Promise<Program> {
  const child = spawn(tool.command, [...args], { cwd, env: tool.env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString('utf8')).slice(-200_000)
  }
  child.stdout.on('data', keep).on('data', (chunk: Buffer) => onStdout?.(chunk.toString('utf8')))
  child.stderr.on('data', keep)
  const ended = new Promise<number | string>((done, fail) => {
    child.on('exit', (code, signal) => done(code ?? signal ?? 'unknown'))
    child.on('error', fail)
  })
  ended.catch(() => undefined)
  const program: Program = {
    pid: child.pid ?? 0,
    output: () => output,
    signal: (name) => child.kill(name),
    ended,
    stop: async () => {
      const force = setTimeout(() => child.kill('SIGKILL'), 4000)
      child.kill('SIGTERM')
      await ended.catch(() => undefined)
      clearTimeout(force)
    },
  }
  const failed = ended.then((how) => Promise.reject(new Error(`${tool.command} ended (${how}):\n${output}`)))
  failed.catch(() => undefined)
  const over = new AbortController()
  const begun = Promise.race([ready(program, over.signal), failed])
  try {
    await within(20_000, begun, () => `${tool.command} is not ready:\n${output}`)
  } catch (cause) {
    over.abort()
    await program.stop()
    throw cause
  }
  return program
}

/** Bounds a wait that must not hang a test. */
export async function within<T>(millis: number, work: Promise<T>, say: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, fail) => {
    timer = setTimeout(() => fail(new Error(say())), millis)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

/** Asks again and again until it holds; throws with the last answer when it does not in time. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  say: () => string,
  millis = 15_000,
): Promise<void> {
  const end = performance.now() + millis
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(say())
    await new Promise((done) => setTimeout(done, 50))
  }
}

/** Resolves once somebody listens on the port, or the wait is given up. */
export async function listening(port: number, signal?: AbortSignal): Promise<void> {
  for (;;) {
    if (signal?.aborted === true) return
    const open = await new Promise<boolean>((done) => {
      const socket = connect(port, '127.0.0.1', () => done(true))
      socket.on('error', () => done(false)).on('connect', () => socket.destroy())
    })
    if (open) return
    await new Promise((done) => setTimeout(done, 25))
  }
}

/** Free ports below the range that the system hands out for outgoing connections, so that nobody takes them in between. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>()
  while (ports.size < count) {
    const port = 12_000 + Math.floor(Math.random() * 19_000)
    if (await bindable(port)) ports.add(port)
  }
  return [...ports]
}

const bindable = (port: number): Promise<boolean> =>
  new Promise((done) => {
    const server = createServer()
    server.once('error', () => done(false))
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)))
  })

/** Runs a program in a folder of its own, which goes when the program does. */
export async function startInFolder(
  prepare: (path: string) => Promise<Omit<ProgramOptions, 'cwd'>>,
): Promise<Pick<Program, 'output' | 'stop'>> {
  const path = await mkdtemp(join(tmpdir(), 'gatehouse-'))
  const remove = (): Promise<void> => rm(path, { recursive: true, force: true, maxRetries: 3 })
  try {
    // nginx's workers are not root when its master is.
    await chmod(path, 0o755)
    const program = await startProgram({ ...(await prepare(path)), cwd: path })
    return { output: program.output, stop: () => program.stop().then(remove) }
  } catch (cause) {
    await remove()
    throw cause
  }
}
