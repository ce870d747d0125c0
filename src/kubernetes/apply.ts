import type { Clock } from '../model/clock.ts'
import type { Telemetry } from '../model/telemetry.ts'
import type { Desired, ObjectName, PolicyStatus } from '../registration/desired.ts'
import type { KubeClient } from './client.ts'
import { KubeError, networkError } from './kube-error.ts'
import { createObjectWriter, objectKey } from './write-object.ts'
import type { ObjectOutcome } from './write-object.ts'
import { createWritePace } from './write-pace.ts'
import type { WritePace } from './write-pace.ts'
import { createStatusWriter, statusKey } from './write-status.ts'
import type { StatusOutcome } from './write-status.ts'

/** What came of one round of writing. */
export interface Round {
  /** Statuses that were written now. */
  readonly statuses: readonly PolicyStatus[]
  /** Milliseconds until something that has to wait may be tried again. */
  readonly retryAfter: number | undefined
  /** Objects and statuses that somebody else holds. */
  readonly foreign: readonly ObjectName[]
  /** The first thing that could not be written and still waits for its next turn, and why. */
  readonly trouble: string | undefined
}

export interface WriterOptions {
  readonly client: Pick<KubeClient, 'get' | 'apply' | 'remove'>
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** Asked before each write: a lease that was lost stops the round where it is. */
  readonly may: () => boolean
  readonly random?: () => number
}

/** Makes the cluster as desired: differences only, one field manager, each object once a second at most. */
export type Writer = (desired: Desired, signal: AbortSignal) => Promise<Round>

interface Task {
  readonly key: string
  readonly name: ObjectName
  readonly status?: PolicyStatus
  readonly run: (signal: AbortSignal) => Promise<ObjectOutcome | StatusOutcome>
}

/** Writes at once; few enough that the server's fairness does not have to step in. */
const atOnce = 8
/** How soon an object that is not listed as it was left is looked at again. */
const lookAgain = 5000

/** Makes a writer; it remembers what it wrote for the time until that is listed. */
export function createWriter({ client, clock, telemetry, may, random = Math.random }: WriterOptions): Writer {
  const pace = createWritePace(clock, random)
  const statuses = createStatusWriter(client)
  const objects = createObjectWriter(client, clock)
  /** What somebody else holds, until it is seen to be free. */
  const held = new Map<string, ObjectName>()
  /** What failed, until it is done: a round in which it only waits for its turn mends nothing. */
  const troubles = new Map<string, string>()
  return async (desired, signal) => {
    const changed = desired.statuses.filter(({ state }) => state === 'changed')
    statuses.keep(new Set(changed.map(statusKey)))
    const tasks: readonly Task[] = [
      ...desired.objects
        .filter(({ state }) => state !== 'unchanged')
        .map((one) => ({
          key: objectKey(one.object),
          name: { ...one.object, ...one.object.metadata },
          run: (until: AbortSignal) => objects.write(one.object, until),
        })),
      ...desired.removals.map((one) => ({
        key: `remove ${one.uid}`,
        name: one,
        run: (until: AbortSignal) => objects.remove(one, until),
      })),
      ...changed.map((one) => ({
        key: statusKey(one),
        name: one.policy,
        status: one,
        run: (until: AbortSignal) => statuses.write(one, until),
      })),
    ]
    const wanted = new Set(tasks.map(({ key }) => key))
    pace.keep(wanted)
    for (const kept of [held, troubles]) for (const key of kept.keys()) if (!wanted.has(key)) kept.delete(key)
    const round = startRound({ pace, telemetry, held, troubles })
    await each(tasks, async (task) => {
      const wait = pace.wait(task.key)
      if (wait > 0) return round.later(wait)
      if (!may() || signal.aborted) return
      await task.run(signal).then(
        (outcome) => round.done(task, outcome),
        (cause: unknown) => round.failed(task, networkError(cause)),
      )
    })
    return round.end()
  }
}

interface RoundInProgress {
  readonly later: (wait: number) => void
  readonly done: (task: Task, outcome: ObjectOutcome | StatusOutcome) => void
  readonly failed: (task: Task, error: KubeError) => void
  readonly end: () => Round
}

interface WriterMemory {
  readonly pace: WritePace
  readonly telemetry: Telemetry
  readonly held: Map<string, ObjectName>
  readonly troubles: Map<string, string>
}

/** Keeps count of what becomes of the tasks of a round. */
function startRound({ pace, telemetry, held, troubles }: WriterMemory): RoundInProgress {
  const statuses: PolicyStatus[] = []
  const waits: number[] = []
  const slower = ({ key }: Task, error: KubeError): void => {
    pace.failed(key, error)
    waits.push(pace.wait(key))
  }
  return {
    later: (wait) => void waits.push(wait),
    done: (task, outcome) => {
      troubles.delete(task.key)
      switch (outcome) {
        case 'nothing':
          return
        case 'settled':
          held.delete(task.key)
          return pace.wrote(task.key)
        case 'waiting':
          return void waits.push(lookAgain)
        case 'foreign':
          held.set(task.key, coordinates(task.name))
          return slower(task, heldByOther)
        case 'written':
        case 'again':
          held.delete(task.key)
          telemetry.count(task.status === undefined ? 'object-written' : 'status-written')
          if (task.status !== undefined && outcome === 'written') statuses.push(task.status)
          return outcome === 'again' ? pace.failed(task.key, heldByOther) : pace.wrote(task.key)
      }
    },
    failed: (task, error) => {
      troubles.delete(task.key)
      // A policy that is gone: the next list says so.
      if (error.status === 404 && task.status !== undefined) return pace.failed(task.key, error)
      telemetry.count('write-failed')
      if (heldElsewhere(error)) held.set(task.key, coordinates(task.name))
      else {
        const { kind, namespace, name } = task.name
        troubles.set(task.key, `${kind} ${namespace}/${name} cannot be written: ${error.message}`)
      }
      slower(task, error)
    },
    end: () => ({
      statuses,
      foreign: [...held.values()],
      trouble: troubles.values().next().value,
      retryAfter: waits.length === 0 ? undefined : Math.min(...waits),
    }),
  }
}

const heldByOther = new KubeError(409, 'Conflict', 'somebody else writes it')

/** A conflict of server-side apply, unlike one of versions or uids. */
const heldElsewhere = ({ status, message }: KubeError): boolean =>
  status === 409 && message.includes('Apply failed with')

const coordinates = ({ apiVersion, kind, namespace, name }: ObjectName): ObjectName => ({
  apiVersion,
  kind,
  namespace,
  name,
})

/** Runs all in their order, a few at once. */
async function each(tasks: readonly Task[], run: (task: Task) => Promise<void>): Promise<void> {
  const queue = tasks[Symbol.iterator]()
  const worker = async (): Promise<void> => {
    for (const task of queue) await run(task)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, tasks.length) }, worker))
}
