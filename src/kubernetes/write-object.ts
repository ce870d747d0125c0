import type { Clock } from '../model/clock.ts'
import { contains } from '../registration/contains.ts'
import type { OwnObject, Removal } from '../registration/desired.ts'
import { isOurs, managedBy } from '../registration/own-object.ts'
import type { KubeClient } from './client.ts'
import { resourceOf } from './resources.ts'

/** `waiting`: it was written, and what is listed does not show it yet; `foreign`: somebody else has one of that name. */
export type ObjectOutcome = 'written' | 'settled' | 'waiting' | 'foreign'

/** Writes and removes objects of our own. */
export interface ObjectWriter {
  readonly write: (wanted: OwnObject, signal: AbortSignal) => Promise<ObjectOutcome>
  readonly remove: (removal: Removal, signal: AbortSignal) => Promise<ObjectOutcome>
}

/** How long an object is believed to stand as we left it: what is listed shows it soon. */
const believed = 5000

export const objectKey = ({ kind, metadata: { namespace, name } }: OwnObject): string => `${kind} ${namespace}/${name}`

/** Server-side apply of what is ours, after a look at what stands there: nothing of anybody else's is ever changed. */
export function createObjectWriter(
  client: Pick<KubeClient, 'get' | 'apply' | 'remove'>,
  { ticks }: Clock,
): ObjectWriter {
  const memory = new Map<string, { readonly content: string; readonly at: number }>()
  return {
    write: async (object, signal) => {
      const key = objectKey(object)
      const content = JSON.stringify(object)
      const last = memory.get(key)
      if (last?.content === content && ticks() - last.at < believed) return 'waiting'
      const outcome = await put(client, object, signal)
      if (outcome !== 'foreign') memory.set(key, { content, at: ticks() })
      return outcome
    },
    remove: async ({ apiVersion, kind, namespace, name, uid }, signal) => {
      const row = resourceOf({ apiVersion, kind })
      if (row === undefined) return 'settled'
      memory.delete(`${kind} ${namespace}/${name}`)
      await client.remove(row, namespace, name, { uid }, signal)
      return 'written'
    },
  }
}

async function put(
  client: Pick<KubeClient, 'get' | 'apply'>,
  object: OwnObject,
  signal: AbortSignal,
): Promise<'written' | 'settled' | 'foreign'> {
  const { namespace, name, ownerReferences } = object.metadata
  const [owner] = ownerReferences
  const row = resourceOf(object)
  if (row === undefined || owner === undefined) return 'settled'
  const there = await client.get(row, namespace, name, signal)
  const ours = there !== undefined && isOurs(there, owner)
  if (there !== undefined && !ours) return 'foreign'
  if (contains(there, object)) return 'settled'
  // Force over what is ours only: nobody else has a say in it.
  await client.apply(object, { fieldManager: managedBy, force: ours }, signal)
  return 'written'
}
