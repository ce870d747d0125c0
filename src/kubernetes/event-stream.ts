import { KubeError, statusError } from './kube-error.ts'
import { isFields } from '../model/fields.ts'
import { received } from './kube-object.ts'
import type { KubeObject } from './kube-object.ts'

/** What a watch tells. A bookmark says only how far the server has got. */
export type WatchEvent =
  | { readonly kind: 'added' | 'modified' | 'deleted'; readonly object: KubeObject }
  | { readonly kind: 'bookmark'; readonly resourceVersion: string }

/** etcd takes 1.5 MB an object; whatever is longer is no event. */
const longestLine = 16 * 1024 * 1024

/** Cuts a watch's body into events. Rejects with a KubeError on an ERROR event and on what is no event at all. */
export async function readEvents(
  body: AsyncIterable<Buffer>,
  implied: { readonly apiVersion: string; readonly kind: string },
  onEvent: (event: WatchEvent) => void,
): Promise<void> {
  let parts: Buffer[] = []
  let held = 0
  for await (const chunk of body) {
    let from = 0
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      const last = chunk.subarray(from, end)
      const line = parts.length === 0 ? last : Buffer.concat([...parts, last])
      parts = []
      held = 0
      from = end + 1
      if (line.length > 0) onEvent(readEvent(line.toString('utf8'), implied))
    }
    if (from < chunk.length) parts.push(chunk.subarray(from))
    held += chunk.length - from
    if (held > longestLine) throw new KubeError(0, 'TooLarge', `an event of more than ${longestLine} bytes`)
  }
}

const kinds: ReadonlyMap<unknown, 'added' | 'modified' | 'deleted'> = new Map([
  ['ADDED', 'added'],
  ['MODIFIED', 'modified'],
  ['DELETED', 'deleted'],
])

function readEvent(line: string, implied: { readonly apiVersion: string; readonly kind: string }): WatchEvent {
  const event = parsed(line)
  const { type, object } = event
  if (type === 'ERROR') throw statusError(500, object)
  if (type === 'BOOKMARK') return { kind: 'bookmark', resourceVersion: versionIn(object) }
  const kind = kinds.get(type)
  const known = received(object, implied)
  // What cannot be understood may have been anything: the loop lists again rather than go on without it.
  if (kind === undefined || known?.metadata.resourceVersion === undefined) throw garbled
  return { kind, object: known }
}

function parsed(line: string): Readonly<Record<string, unknown>> {
  try {
    const event: unknown = JSON.parse(line)
    if (isFields(event)) return event
  } catch {
    // A proxy's own words, or two lines run together.
  }
  throw garbled
}

function versionIn(object: unknown): string {
  const metadata = isFields(object) ? object['metadata'] : undefined
  const version = isFields(metadata) ? metadata['resourceVersion'] : undefined
  if (typeof version !== 'string') throw garbled
  return version
}

const garbled = new KubeError(410, 'Garbled', 'the watch sent something that is no event')
