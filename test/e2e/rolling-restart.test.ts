import { Agent } from 'node:http'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startBackend } from '../support/backend.ts'
import type { Backend } from '../support/backend.ts'
import { describeWith } from '../support/describe-with.ts'
import { startEnvoy } from '../support/envoy.ts'
import type { Envoy } from '../support/envoy.ts'
import { freePorts, until } from '../support/program.ts'
import type { Program } from '../support/program.ts'
import { startReplica } from '../support/replica.ts'
import { guardOf } from '../support/scenarios.ts'
import { send } from '../support/send.ts'

const key = ['x-monitor-key', 'monitor-key-for-the-example-only'] as const

await describeWith(['envoy'], 'two replicas behind Envoy', () => {
  let backend: Backend
  let envoy: Envoy
  let replicas: Program[] = []
  let ports: number[] = []

  const start = (index: 0 | 1): Promise<Program> =>
    startReplica({
      directory: 'policies/plain-envoy',
      grpcPort: ports[index] ?? 0,
      adminPort: ports[index + 2] ?? 0,
      drainWait: 3,
    })

  /** Until Envoy's own health check has seen this many replicas healthy. */
  const healthy = (count: number): Promise<void> => {
    let body = ''
    const holds = async (): Promise<boolean> => {
      body = (await send({ port: envoy.adminPort, path: '/clusters' })).body
      return [...body.matchAll(/^gatehouse_grpc::[\d.:]+::health_flags::healthy$/gm)].length === count
    }
    return until(holds, () => `Envoy does not see ${count} healthy replicas:\n${body}`)
  }

  beforeAll(async () => {
    ports = await freePorts(4)
    backend = await startBackend()
    replicas = await Promise.all([start(0), start(1)])
    envoy = await startEnvoy({
      protocol: 'grpc',
      guards: [guardOf('edge/status/page')],
      grpcPorts: ports.slice(0, 2),
      backendPort: backend.port,
    })
    await healthy(2)
  })

  afterAll(async () => {
    await envoy?.stop()
    await Promise.all(replicas.map((one) => one.stop()))
    await backend?.close()
  })

  it('REL-19 loses no request while both restart, one after the other', { timeout: 90_000 }, async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 32 })
    const answers = new Map<string, number>()
    const asks: Promise<void>[] = []
    const ask = async (index: number): Promise<void> => {
      const allowed = index % 2 === 0
      const sent = { port: envoy.ports[0] ?? 0, path: `/status/${index}`, headers: allowed ? [key] : [] }
      // Every tenth opens a connection of its own, as new clients do.
      const got = await send(index % 10 === 0 ? sent : { ...sent, agent }).then(
        ({ status, body }) => (allowed ? `${status}` : `${status} ${body.trim()}`),
        (cause: unknown) => String(cause),
      )
      const say = `${allowed ? 'with' : 'without'} the key: ${got}`
      answers.set(say, (answers.get(say) ?? 0) + 1)
    }
    let count = 0
    const load = setInterval(() => {
      asks.push(ask(count), ask(count + 1))
      count += 2
    }, 10)
    try {
      for (const index of [0, 1] as const) {
        const old = replicas[index]
        old?.signal('SIGTERM')
        expect(await old?.ended).toBe(0)
        replicas[index] = await start(index)
        await healthy(2)
      }
    } finally {
      clearInterval(load)
      await Promise.all(asks)
      agent.destroy()
    }
    // A 403 of Envoy's own, for a check that was lost, would have no body.
    expect(Object.fromEntries(answers)).toEqual({
      'with the key: 200': count / 2,
      'without the key: 403 Not for you.': count / 2,
    })
    expect(count).toBeGreaterThan(800)
  })
})
