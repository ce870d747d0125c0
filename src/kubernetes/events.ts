import { LRUCache } from 'lru-cache'
import type { Clock } from '../model/clock.ts'
import type { Telemetry } from '../model/telemetry.ts'
import { controllerName } from '../registration/policy-status.ts'
import type { EventDraft } from '../registration/desired.ts'
import type { KubeClient } from './client.ts'
import type { KubeObject } from './kube-object.ts'
import { resources } from './resources.ts'

/** Tells of changes by Events (events.k8s.io/v1). They are a courtesy: one that cannot be written is forgotten. */
export interface EventWriter {
  readonly tell: (drafts: readonly EventDraft[], signal: AbortSignal) => Promise<void>
}

export interface EventWriterOptions {
  readonly client: Pick<KubeClient, 'create' | 'update'>
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** Asked before each Event, as before every write. */
  readonly may: () => boolean
  /** Which replica tells. */
  readonly instance: string
}

/** The same event again within this time becomes a series of the first one. */
const series = 10 * 60_000
/** Events at once, and how fast new ones are earned. */
const burst = 100
const perSecond = 2

interface Told {
  readonly event: KubeObject
  readonly count: number
}

/** Makes a writer that joins repetitions and never writes more than a few events a second. */
export function createEventWriter({ client, clock, telemetry, may, instance }: EventWriterOptions): EventWriter {
  const told = new LRUCache<string, Told>({ max: 2000, ttl: series, perf: { now: clock.ticks }, ttlResolution: 0 })
  let tokens = burst
  let filled = clock.ticks()
  const earned = (): boolean => {
    const now = clock.ticks()
    tokens = Math.min(burst, tokens + ((now - filled) / 1000) * perSecond)
    filled = now
    if (tokens < 1) return false
    tokens -= 1
    return true
  }
  const one = async (draft: EventDraft, signal: AbortSignal): Promise<void> => {
    const key = JSON.stringify([draft.regarding.uid, draft.type, draft.reason, draft.note])
    const before = told.get(key)
    const at = new Date(clock.now()).toISOString().replace('Z', '000Z') // MicroTime
    if (before === undefined) {
      const event = await client.create(resources.Event, newEvent(draft, instance, at), {}, signal)
      told.set(key, { event, count: 1 })
      return
    }
    const count = before.count + 1
    const next = { ...before.event, series: { count, lastObservedTime: at } }
    told.set(key, { event: await client.update(resources.Event, next, signal), count })
  }
  return {
    tell: async (drafts, signal) => {
      for (const draft of drafts) {
        if (signal.aborted || !may() || !earned()) return
        await one(draft, signal).catch(() => telemetry.count('event-lost'))
      }
    },
  }
}

function newEvent({ regarding, type, reason, note }: EventDraft, instance: string, at: string) {
  const { apiVersion, kind, namespace, name, uid } = regarding
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { namespace, generateName: `${name.slice(0, 200).replace(/[^a-z0-9]+$/, '')}-` },
    regarding: { apiVersion, kind, namespace, name, ...(uid === '' ? {} : { uid }) },
    type,
    reason,
    action: 'Reconcile',
    note: note.length > 1024 ? `${note.slice(0, 1023)}…` : note,
    eventTime: at,
    reportingController: controllerName,
    reportingInstance: instance.slice(0, 128),
  }
}
