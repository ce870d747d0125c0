import { resolve } from 'node:path'
import { codec } from '../support/codec.ts'
import { freePorts, startProgram } from '../support/program.ts'
import type { Program } from '../support/program.ts'
import { send } from '../support/send.ts'

/* Gatehouse as a process of its own, for tests of what happens to a process. */

export const root = resolve(import.meta.dirname, '../..')

/** API version, kind and place of a policy for the rule `shop/NAME/pay`, with the rest of its spec in flow style or indented by two. */
export const policy = (name: string, spec: string): string => `---
apiVersion: gatehouse.dev/v1alpha1
kind: AuthPolicy
metadata: { namespace: shop, name: ${name} }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: ${name}, sectionName: pay }]
${spec.trimEnd().replaceAll(/^/gm, '  ')}
`
export const secret = (name: string, data: Readonly<Record<string, string>>): string =>
  `---\n${JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { namespace: 'shop', name }, stringData: data })}\n`

export const guest = (name: string): string => policy(name, 'guest: { subject: visitor }')
export const byKey = (name: string): string =>
  policy(name, 'authentication: [{ apiKey: { keysRef: { name: keys } } }]') + secret('keys', { ada: rightKey })
export const rightKey = 'the-right-key-of-ada-0123456789'

export interface ChildOptions {
  readonly directory: string
  readonly nodeFlags?: readonly string[]
  readonly settings?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  readonly onStdout?: (text: string) => void
  /** What to run in front of node, such as a sandbox. */
  readonly around?: readonly string[]
}

export interface Child extends Program {
  readonly grpcPort: number
  readonly httpPort: number
  readonly adminPort: number
  /** From its start to ready. */
  readonly readyMillis: number
  readonly metric: (name: string) => Promise<number>
}

/** Starts `gatehouse serve` and waits until it is ready. */
export async function startChild(options: ChildOptions): Promise<Child> {
  const { directory, nodeFlags = [], settings = [], env = process.env, cwd = root, around = [] } = options
  const [grpcPort = 0, httpPort = 0, adminPort = 0] = await freePorts(3)
  const started = performance.now()
  const at = Object.entries({ grpc: grpcPort, http: httpPort, admin: adminPort })
  const listeners = at.map(([name, port]) => `--${name}-listen=127.0.0.1:${port}`)
  const args = [
    'serve',
    directory,
    ...listeners,
    '--matching-listen=off',
    '--drain-wait=0',
    '--grpc-budget=2000',
    `--codec=${codec}`,
  ]
  const [command = '', ...rest] = [...around, process.execPath, ...nodeFlags, resolve(root, 'src/main.ts'), ...args]
  const program = await startProgram({
    tool: { command, env },
    args: [...rest, ...settings],
    cwd,
    onStdout: options.onStdout,
    ready: (_, signal) => ready(adminPort, signal),
  })
  return {
    ...program,
    grpcPort,
    httpPort,
    adminPort,
    readyMillis: performance.now() - started,
    metric: (name) => metric(adminPort, name),
  }
}

async function ready(port: number, signal: AbortSignal): Promise<void> {
  const once = (): Promise<number> =>
    send({ port, path: '/readyz' }).then(
      ({ status }) => status,
      () => 0,
    )
  while (!signal.aborted && (await once()) !== 200) await pause(20)
}

/** The sum over all labels of a metric. */
export async function metric(port: number, name: string): Promise<number> {
  const { body } = await send({ port, path: '/metrics' })
  const lines = body.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}

export const pause = (millis: number): Promise<void> => new Promise((done) => setTimeout(done, millis))

/** Status of a check of the rule `shop/NAME/pay`. */
export const check = (
  port: number,
  name: string,
  headers: readonly (readonly [string, string])[] = [],
): Promise<number> => send({ port, path: `/v1/check/shop/${name}/pay/-/`, headers }).then(({ status }) => status)
