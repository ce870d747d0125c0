import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../model/clock.ts'
import type { Telemetry } from '../model/telemetry.ts'
import type { Manifest } from '../policy/manifest.ts'
import { backOff } from './back-off.ts'
import type { KubeClient } from './client.ts'
import type { WatchEvent } from './event-stream.ts'
import { KubeError, networkError } from './kube-error.ts'
import { listWhole } from './list-whole.ts'
import { createObjectStore } from './object-store.ts'
import { compareVersions } from './resource-version.ts'
import type { WatchedKind } from './resources.ts'
import { defaultPace } from './watch-pace.ts'
import type { Pace } from './watch-pace.ts'
import { createTroubleWatch } from './watch-trouble.ts'
import type { Trouble, TroubleWatch } from './watch-trouble.ts'

/** Where a watch is in its life; it always comes back to `watching`. */
export type WatchState =
  | { readonly kind: 'listing' }
  | { readonly kind: 'watching' }
  | { readonly kind: 'waiting'; readonly millis: number; readonly next: 'listing' | 'watching' }

export interface WatchWorld {
  readonly client: KubeClient
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly random: () => number
  /** Told whenever a watch's objects, its trouble or its being settled change. */
  readonly onChange: () => void
  readonly pace?: Partial<Pace> | undefined
}

/** The objects of one kind, in one namespace or in all, followed from its making until it is closed. */
export class Watch {
  readonly kind: WatchedKind
  readonly namespace: string | undefined
  readonly #world: WatchWorld
  readonly #pace: Pace
  readonly #over = new AbortController()
  readonly #store = createObjectStore()
  readonly #trouble: TroubleWatch
  readonly #running: Promise<void>
  #state: WatchState = { kind: 'listing' }
  #settled = false
  /** The kind in the version that the server has; undefined where that has to be found out. */
  #served: WatchedKind | undefined
  /** In a row. */
  #failures = 0
  /** Of history that the server no longer had, in a row. */
  #expiries = 0
  /** When the list or watch that runs now, or ran last, was begun. */
  #triedAt = -Infinity
  #listedAt = -Infinity
  #heardAt: number

  constructor(kind: WatchedKind, namespace: string | undefined, world: WatchWorld) {
    this.kind = kind
    this.namespace = namespace
    this.#world = world
    this.#pace = { ...defaultPace, ...world.pace }
    this.#trouble = createTroubleWatch({
      clock: world.clock,
      confirm: this.#pace.confirm,
      onChange: () => world.onChange(),
    })
    this.#heardAt = world.clock.ticks()
    this.#running = this.#run()
  }

  get state(): WatchState['kind'] {
    return this.#state.kind
  }

  /** True once it was listed whole, or is known to be out of our reach. */
  get settled(): boolean {
    return this.#settled
  }

  get trouble(): Trouble | undefined {
    return this.#trouble.current()
  }

  /** Milliseconds since the server last said anything; undefined where there is nothing to follow. */
  get age(): number | undefined {
    if (this.#store.resourceVersion() === '' && this.#settled) return undefined
    return this.#world.clock.ticks() - this.#heardAt
  }

  manifests(): Iterable<Manifest> {
    return this.#store.manifests()
  }

  async close(): Promise<void> {
    this.#over.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#over.signal.aborted) this.#state = await this.#step()
  }

  async #step(): Promise<WatchState> {
    const state = this.#state
    try {
      switch (state.kind) {
        case 'listing':
          return await this.#list()
        case 'watching':
          return await this.#follow()
        case 'waiting':
          await sleep(state.millis, undefined, { signal: this.#over.signal, ref: false })
          return { kind: state.next }
      }
    } catch (cause) {
      return this.#over.signal.aborted ? state : this.#failed(networkError(cause))
    }
  }

  async #list(): Promise<WatchState> {
    const { client, clock, telemetry } = this.#world
    const early = this.#listedAt + this.#pace.relist - clock.ticks()
    if (early > 0) return { kind: 'waiting', millis: early, next: 'listing' }
    this.#listedAt = clock.ticks()
    this.#triedAt = clock.ticks()
    telemetry.count('watch-list')
    const whole = await listWhole(client, this.#served ?? this.kind, {
      namespace: this.namespace,
      patience: this.#patience(),
      signal: this.#over.signal,
    })
    this.#served = { ...this.kind, versions: [whole.version] }
    const changed = this.#store.replace(whole.items, whole.resourceVersion)
    this.#heard()
    if (changed) this.#world.onChange()
    this.#settle()
    return { kind: 'watching' }
  }

  async #follow(): Promise<WatchState> {
    const { client, clock, random } = this.#world
    this.#triedAt = clock.ticks()
    const lived = (): number => clock.ticks() - this.#triedAt
    let events = 0
    const take = (event: WatchEvent): void => {
      events += 1
      this.#failures = 0
      this.#expiries = 0
      this.#heardAt = clock.ticks()
      // etcd was restored from a backup: the server would be silent until it has come as far again.
      if (event.kind === 'bookmark' && compareVersions(event.resourceVersion, this.#store.resourceVersion()) < 0)
        throw new KubeError(410, 'Rewound', 'the API server is at an earlier resource version')
      if (this.#store.take(event)) this.#world.onChange()
    }
    const options = {
      namespace: this.namespace,
      labelSelector: this.kind.selector,
      resourceVersion: this.#store.resourceVersion(),
      timeoutSeconds: Math.round(300 + 300 * random()), // so that not all watches of all replicas end at once
      patience: this.#patience(),
      quiet: this.#pace.quiet,
      onOpen: () => this.#heard(),
    }
    try {
      await client.watch(this.#served ?? this.kind, options, take, this.#over.signal)
    } finally {
      if (lived() > 1000) {
        this.#failures = 0
        this.#expiries = 0
      }
    }
    if (events === 0 && lived() < 1000) throw new KubeError(0, 'Ended', 'the watch ended at once')
    return { kind: 'watching' }
  }

  /** Most of the time too short for an outage to outlast its end; now and then long enough for a server that is slow. */
  #patience(): number {
    return this.#failures % 3 === 2 ? 15_000 : 4000
  }

  #failed({ status, retryAfterMillis = 0 }: KubeError): WatchState {
    const { clock, telemetry, random } = this.#world
    this.#failures += 1
    telemetry.count('watch-failed')
    const { firstRetry, lastRetry } = this.#pace
    const step = (count: number): number => backOff({ first: firstRetry, most: lastRetry }, count, random)
    // An attempt that hung for longer than that has been wait enough.
    const wait = Math.max(firstRetry * random(), step(this.#failures) - (clock.ticks() - this.#triedAt))
    // A server that starts asks for 5 s with its 503: longer than it may take us to find it again.
    const away = status === 429 ? retryAfterMillis : Math.min(retryAfterMillis, lastRetry)
    switch (status) {
      case 410: // `Expired`: the server no longer knows what came after our last event, but it is well
        this.#expiries += 1
        return { kind: 'waiting', millis: this.#expiries === 1 ? 0 : step(this.#expiries), next: 'listing' }
      case 404:
        return this.#refused({ code: 'missing-crd', status })
      case 403:
        return this.#refused({ code: 'missing-permission', status })
      default:
        this.#trouble.note({ code: 'api-unreachable', status })
        return { kind: 'waiting', millis: Math.max(wait, away), next: this.#resumption() }
    }
  }

  /** A kind that the server does not have, or does not let us see: looked for again and again, while all else goes on. */
  #refused(trouble: Trouble): WatchState {
    const { confirm, farewell, lastRetry, probe } = this.#pace
    const lasted = this.#trouble.note(trouble)
    const missing = trouble.code === 'missing-crd'
    if (missing) this.#served = undefined
    const next = missing ? 'listing' : this.#resumption()
    const soon = this.#world.random()
    if (lasted < confirm) return { kind: 'waiting', millis: confirm - lasted + 50 * soon, next }
    // With its definition every object of a kind is deleted; without the permission they are only out of sight.
    if (missing && lasted >= farewell && this.#store.clear()) this.#world.onChange()
    this.#settle()
    const most = missing && this.#store.resourceVersion() === '' ? probe : lastRetry
    return { kind: 'waiting', millis: most * (0.7 + 0.3 * soon), next }
  }

  #resumption(): 'listing' | 'watching' {
    return this.#store.resourceVersion() === '' ? 'listing' : 'watching'
  }

  #heard(): void {
    this.#heardAt = this.#world.clock.ticks()
    this.#trouble.clear()
  }

  #settle(): void {
    if (this.#settled) return
    this.#settled = true
    this.#world.onChange()
  }
}
