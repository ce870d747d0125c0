import type { Clock } from '../model/clock.ts'
import type { KubeClient } from './client.ts'
import { KubeError } from './kube-error.ts'
import type { KubeObject } from './kube-object.ts'
import { resources } from './resources.ts'

/** Who of several replicas writes: the others only decide. */
export interface Lease {
  /** Asked before each write; false as soon as it was not renewed in time, even if nobody could tell us. */
  readonly held: () => boolean
  readonly start: () => void
  /** Gives it back, so that another one does not have to wait for its end. */
  readonly close: () => Promise<void>
}

export interface LeaseOptions {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'update'>
  readonly clock: Clock
  readonly namespace: string
  readonly name: string
  /** Another one for each replica: the Pod's name. */
  readonly identity: string
  readonly onChange: (held: boolean) => void
  readonly warn: (sentence: string) => void
  /** Labels and owner of the Lease object. */
  readonly metadata?: () => object
  readonly times?: LeaseTimes
}

/** Milliseconds. The holder stops `renewWithin` after it last asked, others take over after `duration` without a change. */
export interface LeaseTimes {
  readonly duration: number
  readonly renewWithin: number
  readonly retry: number
}

// What controllers of Kubernetes itself use.
const usual: LeaseTimes = { duration: 15_000, renewWithin: 10_000, retry: 2000 }

/** What was seen of the Lease, and when by our own clock: those of others may be wrong. */
interface Seen {
  readonly version: string
  readonly at: number
}

/** Leader election by a Lease (coordination.k8s.io). Losing it is an everyday event: only writing stops. */
export function createLease(options: LeaseOptions): Lease {
  const { clock, identity, onChange, warn, times = usual } = options
  const stop = new AbortController()
  let renewed: number | undefined
  let seen: Seen = { version: '', at: 0 }
  let told = false
  let troubled = false
  let timer: NodeJS.Timeout | undefined
  let turning: Promise<void> = Promise.resolve()

  const held = (): boolean => renewed !== undefined && clock.ticks() - renewed < times.renewWithin
  const tell = (): void => {
    if (held() === told) return
    told = !told
    onChange(told)
  }
  const free = (lease: KubeObject): boolean => {
    const { holder, duration } = specOf(lease)
    const version = lease.metadata.resourceVersion ?? ''
    if (version !== seen.version) seen = { version, at: clock.ticks() }
    return holder === '' || clock.ticks() - seen.at > (duration ?? times.duration)
  }
  const take = async (signal: AbortSignal): Promise<boolean> => {
    const { client, namespace, name } = options
    const lease = await client.get(resources.Lease, namespace, name, signal)
    if (lease !== undefined && specOf(lease).holder !== identity && !free(lease)) return false
    const next = renewal(lease, options, times)
    await (lease === undefined
      ? client.create(resources.Lease, next, {}, signal)
      : client.update(resources.Lease, next, signal))
    return true
  }
  const turn = async (): Promise<void> => {
    const asked = clock.ticks()
    try {
      renewed = (await take(AbortSignal.any([stop.signal, AbortSignal.timeout(times.renewWithin / 2)])))
        ? asked
        : undefined
      troubled = false
    } catch (cause) {
      // 409: another one was faster. Anything else leaves us what we have until it runs out.
      if (cause instanceof KubeError && cause.status === 409) renewed = undefined
      else if (!troubled && !stop.signal.aborted) {
        troubled = true
        warn(
          `The Lease ${options.namespace}/${options.name} cannot be renewed: ${cause instanceof Error ? cause.message : 'unknown'}.`,
        )
      }
    }
    tell()
  }
  const schedule = (): void => {
    timer = setTimeout(() => {
      turning = turn().then(schedule)
    }, times.retry).unref()
    // What runs out between two turns is told as well.
    if (stop.signal.aborted) clearTimeout(timer)
  }
  return {
    held,
    start: () => {
      turning = turn().then(schedule)
    },
    close: async () => {
      const had = held()
      stop.abort()
      clearTimeout(timer)
      await turning
      clearTimeout(timer)
      renewed = undefined
      tell()
      if (had) await giveBack(options).catch(() => undefined)
    },
  }
}

function renewal(
  lease: KubeObject | undefined,
  { clock, identity, namespace, name, metadata }: LeaseOptions,
  times: LeaseTimes,
): KubeObject {
  const at = new Date(clock.now()).toISOString().replace('Z', '000Z') // MicroTime
  const old = (lease?.['spec'] ?? {}) as Readonly<Record<string, unknown>>
  const mine = old['holderIdentity'] === identity
  const transitions = typeof old['leaseTransitions'] === 'number' ? old['leaseTransitions'] : 0
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { ...lease?.metadata, ...metadata?.(), namespace, name },
    spec: {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(times.duration / 1000),
      acquireTime: mine ? old['acquireTime'] : at,
      renewTime: at,
      leaseTransitions: mine ? transitions : transitions + (lease === undefined ? 0 : 1),
    },
  }
}

async function giveBack({ client, namespace, name, identity }: LeaseOptions): Promise<void> {
  const signal = AbortSignal.timeout(2000)
  const lease = await client.get(resources.Lease, namespace, name, signal)
  if (lease === undefined || specOf(lease).holder !== identity) return
  await client.update(resources.Lease, { ...lease, spec: { ...(lease['spec'] as object), holderIdentity: '' } }, signal)
}

function specOf(lease: KubeObject): { readonly holder: string; readonly duration: number | undefined } {
  const { holderIdentity, leaseDurationSeconds } = (lease['spec'] ?? {}) as Readonly<Record<string, unknown>>
  return {
    holder: typeof holderIdentity === 'string' ? holderIdentity : '',
    duration: typeof leaseDurationSeconds === 'number' ? leaseDurationSeconds * 1000 : undefined,
  }
}
