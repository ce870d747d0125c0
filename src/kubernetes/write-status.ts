import type { Ancestor, PolicyStatus } from '../registration/desired.ts'
import { readMetadata } from '../registration/metadata.ts'
import { managedBy } from '../registration/own-object.ts'
import type { KubeClient } from './client.ts'

/** `again`: what we had written already is gone; somebody else writes it too. */
export type StatusOutcome = 'written' | 'again' | 'nothing'

/** Writes the statuses of policies and remembers them until what is listed shows them. */
export interface StatusWriter {
  readonly write: (status: PolicyStatus, signal: AbortSignal) => Promise<StatusOutcome>
  /** Forgets all but these policies. */
  readonly keep: (keys: ReadonlySet<string>) => void
}

interface Memory {
  readonly content: string
  /** Version of the policy as it was listed when its status was written. */
  readonly version: string
  readonly ancestors: readonly Ancestor[]
}

/** One policy, whatever becomes of its name. */
export const statusKey = ({ policy: { namespace, name, object } }: PolicyStatus): string =>
  `status ${namespace}/${name} ${readMetadata(object).uid}`

/** Server-side apply without force: what somebody else holds in a status is theirs, and the refusal says so. */
export function createStatusWriter(client: Pick<KubeClient, 'apply'>): StatusWriter {
  const memory = new Map<string, Memory>()
  return {
    write: async (status, signal) => {
      const { apiVersion, kind, namespace, name, object } = status.policy
      const { uid, resourceVersion: version } = readMetadata(object)
      const key = statusKey(status)
      const content = timeless(status.ancestors)
      const last = memory.get(key)
      const same = last?.content === content
      if (same && last.version === version) return 'nothing'
      const ancestors = same ? last.ancestors : status.ancestors
      // The uid makes the server refuse where the policy was made anew meanwhile.
      const metadata = { namespace, name, ...(uid === '' ? {} : { uid }) }
      await client.apply(
        { apiVersion, kind, metadata, status: { ancestors } },
        { fieldManager: managedBy, subresource: 'status' },
        signal,
      )
      memory.set(key, { content, version, ancestors })
      return same ? 'again' : 'written'
    },
    keep: (keys) => {
      for (const key of memory.keys()) if (!keys.has(key)) memory.delete(key)
    },
  }
}

const timeless = (ancestors: readonly Ancestor[]): string =>
  JSON.stringify(ancestors, (field, value: unknown) => (field === 'lastTransitionTime' ? undefined : value))
