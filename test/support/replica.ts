import { resolve } from 'node:path'
import { listening, startProgram } from './program.ts'
import type { Program } from './program.ts'
import { send } from './send.ts'

const root = resolve(import.meta.dirname, '../..')

export interface ReplicaOptions {
  readonly directory: string
  readonly grpcPort: number
  readonly adminPort: number
  readonly httpPort?: number
  /** Seconds that it goes on answering after SIGTERM. */
  readonly drainWait: number
  /** Told each decision line; without it there are none. */
  readonly onDecision?: (text: string) => void
}

/** Gatehouse as its own process, started as `gatehouse serve` starts it, ready when /readyz says so. */
export function startReplica(options: ReplicaOptions): Promise<Program> {
  const { directory, grpcPort, httpPort, adminPort, drainWait, onDecision } = options
  const flags = {
    'grpc-listen': `127.0.0.1:${grpcPort}`,
    'http-listen': httpPort === undefined ? 'off' : `127.0.0.1:${httpPort}`,
    'matching-listen': 'off',
    'admin-listen': `127.0.0.1:${adminPort}`,
    'grpc-budget': '2000',
    'http-budget': '2000',
    'drain-wait': String(drainWait),
    'drain-grace': '5',
    'decision-log': onDecision === undefined ? 'off' : 'all',
  }
  const settings = Object.entries(flags).map(([name, value]) => `--${name}=${value}`)
  return startProgram({
    tool: { command: process.execPath, env: process.env },
    args: ['src/main.ts', 'serve', directory, ...settings],
    cwd: root,
    onStdout: onDecision,
    ready: async (_, signal) => {
      await listening(adminPort, signal)
      while ((await send({ port: adminPort, path: '/readyz' })).status !== 200) {
        if (signal.aborted) return
        await new Promise((done) => setTimeout(done, 50))
      }
    },
  })
}
