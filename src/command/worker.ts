import cluster from 'node:cluster'
import { Writable } from 'node:stream'
import { AggregatorRegistry } from 'prom-client'
import type { Registry } from 'prom-client'
import type { Signal } from './serve.ts'

/** What a worker tells its supervisor. */
export type WorkerMessage =
  { readonly kind: 'ready' } | { readonly kind: 'said'; readonly text: string } | { readonly kind: 'other' }

/** What a supervisor tells its workers. */
export interface StopMessage {
  readonly kind: 'stop'
  readonly signal: Signal
}

/** A worker's side of the process that started it and answers for it at the admin listener. */
export interface Supervisor {
  /** Policies are in force here. */
  readonly ready: () => void
  /** These metrics are a part of everybody's. */
  readonly share: (registry: Registry) => void
  /** Takes messages for people, which several workers may have. */
  readonly messages: Writable
  /** Signals come from the supervisor: a terminal's Ctrl-C reaches every process, and would be a second one. */
  readonly onSignal: (name: Signal, call: () => void) => () => void
  /** Lets go of the supervisor, which keeps this process alive, once it was told everything. */
  readonly leave: () => void
}

/** The supervisor of this process, if it is a worker. */
export function supervisor(): Supervisor | undefined {
  const { worker } = cluster
  if (worker === undefined) return undefined
  for (const name of ['SIGTERM', 'SIGINT']) process.on(name, () => undefined)
  const tell = (message: WorkerMessage): void => void process.send?.(message)
  return {
    ready: () => tell({ kind: 'ready' }),
    share: (registry) => {
      AggregatorRegistry.setRegistries(registry)
      void new AggregatorRegistry() // listens for the question
    },
    messages: new Writable({
      decodeStrings: false,
      write(chunk, _, done) {
        tell({ kind: 'said', text: String(chunk) })
        done()
      },
    }),
    onSignal: (name, call) => {
      const heard = (message: unknown): void => {
        if (isStop(message) && message.signal === name) call()
      }
      process.on('message', heard)
      return () => process.off('message', heard)
    },
    leave: () => void worker.disconnect(),
  }
}

const isStop = (message: unknown): message is StopMessage =>
  typeof message === 'object' && message !== null && 'kind' in message && message.kind === 'stop'
