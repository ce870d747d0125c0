import { createServer } from 'node:net'
import { resolve } from 'node:path'
import { freePorts, listening, startProgram } from './program.ts'
import { send } from './send.ts'

/** One decision as the log tells it. */
export interface DecisionLine {
  readonly decision: 'allow' | 'deny'
  readonly reason?: string
  readonly rule?: string
  readonly policy?: string
  readonly via: string
}

/** `gatehouse serve --kubernetes` as a process of its own. */
export interface ClusterGatehouse {
  readonly pid: number
  readonly ports: ClusterPorts
  /** Every decision since it started, in order. */
  readonly decisions: readonly DecisionLine[]
  readonly output: () => string
  readonly metrics: () => Promise<string>
  readonly ready: () => Promise<boolean>
  readonly stop: () => Promise<void>
}

/** The ports that it listens on, which are those of its Service too. */
export interface ClusterPorts {
  readonly grpc: number
  readonly http: number
  readonly matching: number
  readonly admin: number
}

export interface ClusterGatehouseOptions {
  readonly kubeconfig: string
  /** `namespace/name` */
  readonly service: string
  readonly ports: ClusterPorts
  readonly flags?: readonly string[]
  /** Another entrance than the source's own, such as what was built of it. */
  readonly main?: string
  /** False: started when it answers at all. */
  readonly wait?: boolean
}

/** Free ports; for matching the one that is wanted, where it is free. */
export async function clusterPorts(wanted?: number): Promise<ClusterPorts> {
  const [grpc = 0, http = 0, admin = 0, other = 0] = await freePorts(4)
  return { grpc, http, admin, matching: wanted !== undefined && (await bindable(wanted)) ? wanted : other }
}

const bindable = (port: number): Promise<boolean> =>
  new Promise((done) => {
    const server = createServer()
    server.once('error', () => done(false))
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)))
  })

/** Starts it and waits until it is ready: the whole cluster is read. */
export async function clusterGatehouse(options: ClusterGatehouseOptions): Promise<ClusterGatehouse> {
  const { kubeconfig, service, ports, flags = [], wait = true, main = 'src/main.ts' } = options
  const decisions: DecisionLine[] = []
  const { admin } = ports
  const ready = (): Promise<boolean> =>
    send({ port: admin, path: '/readyz' }).then(
      ({ status }) => status === 200,
      () => false,
    )
  const program = await startProgram({
    tool: { command: process.execPath, env: { ...process.env, KUBECONFIG: kubeconfig } },
    args: [main, 'serve', '--kubernetes', `--service=${service}`, ...listens(ports), ...flags],
    cwd: resolve(import.meta.dirname, '../..'),
    onStdout: lines((line) => {
      if (line.startsWith('{')) decisions.push(JSON.parse(line) as DecisionLine)
    }),
    ready: async (_, signal) => {
      await listening(admin, signal)
      while (wait && !signal.aborted && !(await ready())) await new Promise((done) => setTimeout(done, 50))
    },
  })
  const { pid, output, stop } = program
  const metrics = async (): Promise<string> => (await send({ port: admin, path: '/metrics' })).body
  return { pid, ports, decisions, output, metrics, ready, stop }
}

const listens = ({ grpc, http, matching, admin }: ClusterPorts): readonly string[] => [
  ...Object.entries({ grpc, http, matching, admin }).map(([name, port]) => `--${name}-listen=127.0.0.1:${port}`),
  '--drain-wait=0',
  '--drain-grace=1',
  // A slow machine is not what the tests are about.
  '--http-budget=5000',
]

/** Calls back with whole lines of what comes in pieces. */
function lines(tell: (line: string) => void): (text: string) => void {
  let rest = ''
  return (text) => {
    const parts = (rest + text).split('\n')
    rest = parts.pop() ?? ''
    for (const line of parts) tell(line)
  }
}
