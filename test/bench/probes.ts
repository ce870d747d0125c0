import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { setTimeout as wait } from 'node:timers/promises'
import { freePorts } from '../support/program.ts'
import { startCompany } from './company.ts'
import { residentBytes } from './cpu.ts'
import { groupsMark } from './message.ts'
import { asExecutable, startNode } from './pinned.ts'
import { checkRequest } from './requests.ts'
import { median } from './results.ts'
import type { Credentials } from './credentials.ts'
import { stopped } from './server.ts'
import type { GatehouseOptions } from './server.ts'
import type { Stage } from './stage.ts'
import { asked, bearer, shapes, trafficOf } from './subject.ts'
import type { Asked, Subject } from './subject.ts'

/** A figure that is not the cost of a check. Each measuring is one sample, in fresh processes. */
export interface Probe {
  readonly name: string
  readonly measure: (stage: Stage, effort: Effort) => Promise<number>
}

/** How long a probe takes. */
export interface Effort {
  /** Of a micro-benchmark. */
  readonly microMillis: number
  /** Starts of which the middle one counts. */
  readonly starts: number
  readonly floodMillis: number
}

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

function grpcSubject(stage: Stage, rule: string, ask: Asked, options: Partial<GatehouseOptions>): Subject {
  const request = checkRequest(ask.client, { namespace: 'shop', route: 'cart', rule })
  return {
    name: rule,
    server: { directory: stage.methods(), ...options },
    port: 'grpc',
    traffic: trafficOf('grpc', request, ask),
    shape: shapes['4x25'],
    introductions: 0,
  }
}

async function output(args: readonly string[]): Promise<string> {
  const child = startNode({ core: 'server', args })
  let [text, errors] = ['', '']
  child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')))
  child.stderr?.on('data', (chunk: Buffer) => (errors += chunk.toString('utf8')))
  const code = await new Promise((done) => child.once('close', done))
  if (code !== 0) throw new Error(`node ${args.join(' ')} failed:\n${errors}`)
  return text
}

const micro = async (name: string, millis: number): Promise<number> =>
  Number(await output([here('micro.ts'), name, String(millis)]))

/** What finding the identity of a known token takes, against one verification by jose. */
const identityHit: Probe = {
  name: 'identity hit ÷ jose RS256 verification',
  measure: async (_, { microMillis }) =>
    (await micro('identity-hit', microMillis)) / (await micro('verification', microMillis)),
}

/** MiB that a server has more after many tokens than after a thousand, each time with as many requests. */
const memory: Probe = {
  name: 'RSS after many tokens over 1000',
  measure: async (stage) => {
    const many = stage.manyTokens()
    const after = async (tokens: Credentials): Promise<number> => {
      const ask = bearer(tokens)
      const company = startCompany({ requests: many.count, millis: 300_000 })
      try {
        const { server } = await company.ready(grpcSubject(stage, 'jwt', ask, {}))
        await wait(500)
        return residentBytes(server.pid)
      } finally {
        await company.close()
      }
    }
    return ((await after(many)) - (await after(stage.tokens(1000)))) / 2 ** 20
  },
}

/** Milliseconds from the start of a process until it answers `/readyz` with 200. */
async function readyMillis(directory: string): Promise<number> {
  const [port = 0] = await freePorts(1)
  const listeners = ['grpc', 'http', 'matching'].flatMap((name) => [`--${name}-listen`, '127.0.0.1:0'])
  const more = [
    '--admin-listen',
    `127.0.0.1:${port}`,
    '--decision-log',
    'off',
    '--drain-wait',
    '0',
    '--drain-grace',
    '0',
  ]
  const started = performance.now()
  const child = startNode({
    core: 'server',
    args: [...asExecutable(here('../../dist/main.js')), 'serve', directory, ...listeners, ...more],
  })
  try {
    while (!(await ready(port))) {
      if (child.exitCode !== null || performance.now() - started > 120_000)
        throw new Error('the server does not get ready')
      await wait(2)
    }
    return performance.now() - started
  } finally {
    await stopped(child)
  }
}

const ready = (port: number): Promise<boolean> =>
  new Promise((done) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.on('error', () => done(false)).on('close', () => done(false))
    socket.on('connect', () => socket.write('GET /readyz HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n'))
    socket.once('data', (chunk: Buffer) => {
      done(chunk.toString('latin1').startsWith('HTTP/1.1 200'))
      socket.destroy()
    })
  })

/** Start to ready with a thousand policies, against the start and end of a Node.js that has nothing to do. */
const startUp: Probe = {
  name: 'start to ready, 1000 policies ÷ empty node',
  measure: async (stage, { starts: turns }) => {
    const directory = stage.policies(1000)
    const empty: number[] = []
    const starts: number[] = []
    for (let turn = 0; turn < turns; turn += 1) {
      const begun = performance.now()
      await output(['-e', '0'])
      empty.push(performance.now() - begun)
      starts.push(await readyMillis(directory))
    }
    return median(starts) / median(empty)
  },
}

/** Wrong passwords a second: some ten times what a core can check of bcrypt at cost 10. */
const floodRate = 300

/**
 * Milliseconds that the event loop is late, 99th percentile by a timer inside of the server, while made-up users from made-up
 * addresses try passwords. The server has both cores: hashing has a thread of its own, which is what is shown.
 */
const loopDelay: Probe = {
  name: 'event-loop delay p99, wrong passwords',
  measure: async (stage, { floodMillis }) => {
    const file = stage.file('loop-delay.txt')
    const attempt = asked(stage.wrongPasswords(), 'authorization', 'Basic ', { status: 403 })
    const client = { ...attempt.client, source: `2001:db8:${groupsMark}::1` }
    const subject = grpcSubject(
      stage,
      'basic',
      { ...attempt, client },
      {
        core: 'both',
        nodeFlags: ['--import', here('loop-delay.ts')],
        environment: { BENCH_LOOP_DELAY: file },
      },
    )
    const company = startCompany({ requests: 200, millis: 1000 })
    try {
      const { server, slice } = await company.ready(subject)
      process.kill(server.pid, 'SIGUSR2')
      await slice({ millis: floodMillis }, { ...subject.shape, rate: floodRate })
    } finally {
      await company.close()
    }
    return Number(readFileSync(file, 'utf8'))
  },
}

/** In the order in which they are shown. */
export const probes: readonly Probe[] = [identityHit, memory, startUp, loopDelay]
