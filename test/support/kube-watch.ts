import { createInterface } from 'node:readline'
import { request } from 'undici'
import type { Dispatcher } from 'undici'
import type { KubeObject } from './kube-client.ts'
import { until } from './program.ts'

export interface KubeEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'
  readonly object: KubeObject
}

/** A watch that remembers what it was told. */
export interface KubeWatch {
  readonly events: readonly KubeEvent[]
  /** Whether the stream is over, by either side. */
  readonly ended: () => boolean
  /** Waits for an event of the kind asked for; one that was told already counts. */
  readonly event: (is: (event: KubeEvent) => boolean, millis?: number) => Promise<KubeEvent>
  readonly close: () => void
}

export interface WatchOptions {
  readonly url: string
  readonly dispatcher: Dispatcher
  readonly authorization: string
  readonly resourceVersion?: string | undefined
}

/** Opens a watch and resolves once the API server accepted it. */
export async function openWatch({ url, dispatcher, authorization, resourceVersion }: WatchOptions): Promise<KubeWatch> {
  const query = new URLSearchParams({ watch: 'true', allowWatchBookmarks: 'true' })
  if (resourceVersion !== undefined) query.set('resourceVersion', resourceVersion)
  const over = new AbortController()
  const separator = url.includes('?') ? '&' : '?'
  const { statusCode, body } = await request(`${url}${separator}${query.toString()}`, {
    dispatcher,
    headers: { authorization },
    signal: over.signal,
  })
  if (statusCode !== 200) throw new Error(`watch refused: ${statusCode} ${await body.text()}`)
  const events: KubeEvent[] = []
  let ended = false
  const end = (): void => {
    ended = true
  }
  body.on('error', end).on('close', end)
  createInterface({ input: body })
    .on('line', (line) => events.push(JSON.parse(line) as KubeEvent))
    // It passes on the error of its input, which is how a watch that is cut ends.
    .on('error', end)
  return {
    events,
    ended: () => ended,
    event: async (is, millis) => {
      const said = (): string => events.map(({ type, object }) => `${type} ${object.metadata?.name ?? ''}`).join(', ')
      await until(
        () => events.some(is),
        () => `the watch was told only: ${said()}`,
        millis,
      )
      const found = events.find(is)
      if (found === undefined) throw new Error('unreachable')
      return found
    },
    close: () => over.abort(),
  }
}
