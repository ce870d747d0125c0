import cluster from 'node:cluster'
import type { Worker } from 'node:cluster'
import { AggregatorRegistry } from 'prom-client'
import type { Settings } from '../settings.ts'
import { listenError } from '../gatehouse.ts'
import { createAdmin } from '../transport/admin.ts'
import type { Admin } from '../transport/admin.ts'
import type { Process, Signal } from './serve.ts'
import { UsageError } from './usage-error.ts'
import type { StopMessage, WorkerMessage } from './worker.ts'

/** Milliseconds before a worker that ended has a successor: twice as long after each that did not live for a minute. */
const pause = { least: 500, most: 30_000 }
const longLife = 60_000

/** The exit code of a process whose surroundings have to be changed: a successor would end in the same way. */
const unusable = 2

/**
 * Runs several processes that share the ports: this one accepts connections and deals them out in turn, so that one connection is
 * always one worker's. Each worker has caches, counters and policies of its own; the admin listener is here and tells of all.
 * Resolves with the exit code once every worker has ended.
 */
export async function supervise(settings: Settings, { say, onStop }: Process): Promise<number> {
  const { workers: count, adminListen, kubernetes } = settings
  if (kubernetes) throw new UsageError('--workers is for a directory; with --kubernetes, run more replicas instead')
  const company = createCompany(count, say)
  const registry = new AggregatorRegistry()
  const metrics = { contentType: registry.contentType, metrics: () => registry.clusterMetrics() }
  let admin: Admin | undefined
  if (adminListen.kind === 'on') {
    const options = { listen: adminListen, ready: company.state, registry: metrics }
    admin = await createAdmin(options).catch((cause: unknown) => {
      throw listenError('admin', adminListen, cause)
    })
  }
  const forget = onStop(company.stop)
  company.start()
  const code = await company.ended
  forget()
  await admin?.close(0)
  return code
}

interface Company {
  readonly start: () => void
  readonly stop: (signal: Signal) => void
  /** Ready when every worker has policies in force. */
  readonly state: () => { readonly policies: boolean; readonly draining: boolean }
  readonly ended: Promise<number>
}

function createCompany(count: number, say: (line: string) => void): Company {
  const ready = new Set<Worker>()
  const alive = new Set<Worker>()
  const told = toldOnce(say)
  let code = 0
  let stopped: Signal | undefined
  let wait = pause.least
  let finish: (code: number) => void = () => undefined
  const ended = new Promise<number>((done) => (finish = done))

  function fork(): void {
    const born = performance.now()
    const worker = cluster.fork()
    alive.add(worker)
    worker.on('message', (message: WorkerMessage) => {
      if (message.kind === 'ready') ready.add(worker)
      if (message.kind === 'said') told(worker, message.text)
    })
    worker.once('exit', (exit, signal) => {
      alive.delete(worker)
      ready.delete(worker)
      gone(worker, signal ?? exit, performance.now() - born)
    })
  }

  function gone({ process: { pid } }: Worker, how: number | string, lived: number): void {
    if (stopped === undefined && how === unusable) tellToStop('SIGINT')
    if (stopped !== undefined) {
      if (how !== 0) code = Math.max(code, how === unusable ? unusable : 1)
      if (alive.size === 0) finish(code)
      return
    }
    wait = lived > longLife ? pause.least : Math.min(wait * 2, pause.most)
    say(`Worker ${pid ?? ''} ended (${how}); another takes its place in ${wait / 1000} s.`)
    setTimeout(() => {
      if (stopped === undefined) fork()
    }, wait)
  }

  function tellToStop(signal: Signal): void {
    stopped = signal
    const message: StopMessage = { kind: 'stop', signal }
    for (const worker of alive) if (worker.isConnected()) worker.send(message)
  }

  function stop(signal: Signal): void {
    tellToStop(signal)
    if (alive.size === 0) finish(code)
  }

  return {
    start: () => Array.from({ length: count }, fork),
    stop,
    state: () => ({ policies: ready.size === count, draining: stopped !== undefined }),
    ended,
  }
}

/** Most lines of which it is remembered who said them how often. */
const mostLines = 1000

/** Workers see the same files: what one says is told if no other has said it as often before. */
function toldOnce(say: (line: string) => void): (worker: Worker, text: string) => void {
  const lines = new Map<string, { told: number; readonly by: Map<number, number> }>()
  return ({ id }, text) => {
    for (const line of text.replace(/\n$/, '').split('\n')) {
      const known = lines.get(line) ?? { told: 0, by: new Map<number, number>() }
      const times = (known.by.get(id) ?? 0) + 1
      known.by.set(id, times)
      if (times > known.told) {
        known.told = times
        say(line)
      }
      if (lines.size >= mostLines) lines.clear()
      lines.set(line, known)
    }
  }
}
