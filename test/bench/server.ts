import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Traffic } from './traffic.ts'
import { asExecutable, startNode } from './pinned.ts'
import type { Core, NodeProgram } from './pinned.ts'

/** A server under test, in a process of its own. */
export interface Server {
  readonly pid: number
  readonly ports: Ports
  /** Ends it as a signal does and resolves once it is gone. */
  readonly stop: () => Promise<void>
}

export interface Ports {
  readonly grpc?: number
  readonly http?: number
  readonly matching?: number
  readonly admin?: number
}

const root = fileURLToPath(new URL('../..', import.meta.url))

export interface GatehouseOptions {
  readonly directory: string
  readonly flags?: readonly string[]
  /** Flags of Node.js itself. */
  readonly nodeFlags?: readonly string[]
  /** The program's file in the repository; the compiled one if absent, which is what people run. */
  readonly program?: string
  readonly core?: Core
  readonly environment?: Readonly<Record<string, string>>
}

/** Answers may take their time: on a busy machine a deadline would be measured, and not the work. */
const patience = ['--grpc-budget', '60000', '--http-budget', '60000']
const anyPorts = ['grpc', 'http', 'matching', 'admin'].flatMap((name) => [`--${name}-listen`, '127.0.0.1:0'])
const quiet = ['--decision-log', 'off', '--drain-wait', '0', '--drain-grace', '0']

/** The compiled program, as people run it, on a directory of policies. */
export function startGatehouse({
  directory,
  flags = [],
  nodeFlags = [],
  core = 'server',
  program = 'dist/main.js',
  ...some
}: GatehouseOptions): Promise<Server> {
  return started(
    {
      ...some,
      core,
      args: [
        ...nodeFlags,
        ...asExecutable(root + program),
        'serve',
        directory,
        ...anyPorts,
        ...quiet,
        ...patience,
        ...flags,
      ],
    },
    (text) => {
      // The rules are told after all listeners, so all ports are there.
      if (!/^(Rules:|No rules yet)/m.test(text)) return undefined
      const port = (name: string): number => Number(new RegExp(`^ +${name} +\\S*:(\\d+)`, 'm').exec(text)?.[1])
      return { grpc: port('gRPC'), http: port('HTTP'), matching: port('matching'), admin: port('admin') }
    },
  )
}

/** A reference: it answers everything with the same bytes, and prints its port. */
export function startReference(name: 'e2' | 'a1' | 'http', traffic: Pick<Traffic, 'protocol'>): Promise<Server> {
  const args = [fileURLToPath(new URL(`reference-${name}.ts`, import.meta.url))]
  return started({ core: 'server', args }, (text) => {
    const port = /^listening (\d+)$/m.exec(text)?.[1]
    return port === undefined ? undefined : { [traffic.protocol]: Number(port) }
  })
}

const longestStart = 120_000

async function started(program: NodeProgram, ready: (output: string) => Ports | undefined): Promise<Server> {
  const child = startNode(program)
  const ports = await new Promise<Ports>((resolve, reject) => {
    let output = ''
    const late = setTimeout(() => fail('is not ready'), longestStart)
    const fail = (how: string): void => {
      clearTimeout(late)
      child.kill('SIGKILL')
      reject(new Error(`${program.args.join(' ')} ${how}:\n${output.slice(-4000)}`))
    }
    const heard = (chunk: Buffer): void => {
      output = (output + chunk.toString('utf8')).slice(-100_000)
      const found = ready(output)
      if (found === undefined) return
      clearTimeout(late)
      resolve(found)
    }
    child.stdout?.on('data', heard)
    child.stderr?.on('data', heard)
    child.once('error', (cause) => fail(cause.message))
    child.once('exit', (code, signal) => fail(`ended (${code ?? signal})`))
  })
  return { pid: child.pid ?? 0, ports, stop: () => stopped(child) }
}

/** SIGINT ends Gatehouse without its drain, and lets Node.js write a profile. */
export function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((done) => {
    const force = setTimeout(() => child.kill('SIGKILL'), 5000)
    child.once('exit', () => {
      clearTimeout(force)
      done()
    })
    child.kill('SIGINT')
  })
}
