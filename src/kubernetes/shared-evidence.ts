import { createHash } from 'node:crypto'
import type { OurService, World } from '../cluster/objects.ts'
import type { Clock } from '../model/clock.ts'
import type { Evidence } from '../registration/evidence.ts'
import { managedBy, ownMetadata } from '../registration/own-object.ts'
import type { Owner } from '../registration/desired.ts'
import { witnesses } from '../registration/witness.ts'
import type { Witness } from '../registration/witness.ts'
import type { KubeClient } from './client.ts'
import { isFields } from '../model/fields.ts'
import { networkError } from './kube-error.ts'
import type { KubeObject } from './kube-object.ts'
import { resources } from './resources.ts'

/**
 * Tells the replica that writes what the others have seen: a gateway may keep to one connection, and so to one replica. Each has
 * a Lease object of its own to say it in, only of rules that are not shown as enforced, and only when it has something new.
 */
export interface SharedEvidence {
  /** Says which of these rules this replica has seen a check for. */
  readonly publish: (unproven: readonly string[], world: World, signal: AbortSignal) => Promise<Publication>
  /** Takes over what the others say; a check of another form of a rule does not count. */
  readonly gather: (unproven: readonly string[], signal: AbortSignal) => Promise<void>
  readonly close: () => Promise<void>
}

export interface Publication {
  /** Milliseconds until more may be said. */
  readonly retryAfter: number | undefined
  /** Why what was seen could not be said yet: until it is, or need not be any more. */
  readonly trouble: string | undefined
}

export interface SharedEvidenceOptions {
  readonly client: Pick<KubeClient, 'apply' | 'list' | 'remove'>
  readonly clock: Clock
  readonly evidence: Evidence
  readonly us: OurService
  readonly owner?: Owner | undefined
  readonly identity: string
}

const annotation = 'gatehouse.dev/seen'
const component = { 'app.kubernetes.io/component': 'evidence' }
/** Annotations have room for 256 KiB; what does not fit is said once the first of it is shown. */
const most = 200
const gap = 5000

/** Makes the two ends; nothing is asked or said before it is needed. */
export function createSharedEvidence({
  client,
  clock,
  evidence,
  us,
  owner,
  identity,
}: SharedEvidenceOptions): SharedEvidence {
  const name = `${us.name}-seen-${identity.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`
    .slice(0, 200)
    .replace(/-+$/, '')
  const heard = new Map<string, string>()
  let said = ''
  let spoke = -Infinity
  let trouble: string | undefined
  let listened = -Infinity
  const printOf = (rule: string): string | undefined => {
    const form = evidence.form(rule)
    return form === undefined ? undefined : createHash('sha256').update(form).digest('hex').slice(0, 12)
  }
  return {
    publish: async (unproven, world, signal) => {
      const now = clock.now()
      const seen = unproven.filter((rule) => evidence.checked(rule, now)).slice(0, most)
      const text = JSON.stringify(
        Object.fromEntries(seen.map((rule) => [rule, `${printOf(rule)} ${evidence.witness(rule, now)}`])),
      )
      const wait = spoke + gap - clock.ticks()
      const news = seen.length > 0 && text !== said
      if (news && wait > 0) return { retryAfter: wait, trouble }
      trouble = undefined
      if (!news) return { retryAfter: undefined, trouble }
      spoke = clock.ticks()
      const spoken = message(name, text, { us, world, owner, identity })
      await client.apply(spoken, { fieldManager: managedBy, force: true }, signal).then(
        () => void (said = text),
        (cause: unknown) => {
          trouble = `Lease ${us.namespace}/${name} cannot be written: ${networkError(cause).message}`
        },
      )
      return { retryAfter: trouble === undefined ? undefined : gap, trouble }
    },
    gather: async (unproven, signal) => {
      if (unproven.length === 0 || clock.ticks() - listened < gap) return
      listened = clock.ticks()
      const { items } = await client.list(
        resources.Lease,
        { namespace: us.namespace, labelSelector: selector(us) },
        signal,
      )
      const wanted = new Set(unproven)
      for (const { metadata } of items) {
        // What was heard already was seen when it was said first, not now.
        const fresh = heard.get(metadata.name) !== metadata.resourceVersion
        heard.set(metadata.name, metadata.resourceVersion ?? '')
        if (metadata.name === name || !fresh) continue
        for (const [rule, text] of told(metadata.annotations?.[annotation])) {
          const [print, by] = text.split(' ')
          if (wanted.has(rule) && print === printOf(rule)) evidence.seen(rule, clock.now(), witnessNamed(by))
        }
      }
    },
    close: async () => {
      if (said === '') return
      await client
        .remove(resources.Lease, us.namespace, name, undefined, AbortSignal.timeout(2000))
        .catch(() => undefined)
    },
  }
}

const selector = ({ name }: OurService): string =>
  `app.kubernetes.io/managed-by=${managedBy},app.kubernetes.io/instance=${name},app.kubernetes.io/component=evidence`

interface Speaker {
  readonly us: OurService
  readonly world: World
  readonly owner: Owner | undefined
  readonly identity: string
}

function message(name: string, text: string, { us, world, owner, identity }: Speaker): KubeObject {
  const { labels, ...metadata } = ownMetadata(world, us, owner)
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      ...metadata,
      namespace: us.namespace,
      name,
      labels: { ...labels, ...component },
      annotations: { [annotation]: text },
    },
    spec: { holderIdentity: identity },
  }
}

/** Of a replica of another version it may not be known who sent what it saw. */
const witnessNamed = (name: string | undefined): Witness => witnesses.find((one) => one === name) ?? 'somebody'

/** What another replica wrote; anything else of that shape is as good as nothing. */
function told(text: string | undefined): readonly (readonly [string, string])[] {
  try {
    const read: unknown = JSON.parse(text ?? '{}')
    return isFields(read)
      ? Object.entries(read).flatMap(([rule, print]) => (typeof print === 'string' ? [[rule, print] as const] : []))
      : []
  } catch {
    return []
  }
}
