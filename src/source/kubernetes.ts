import type { KubeClient } from '../kubernetes/client.ts'
import { createSchemaWatch } from '../kubernetes/schema-watch.ts'
import type { SchemaPace } from '../kubernetes/schema-watch.ts'
import type { SchemaReader } from '../kubernetes/schema-reader.ts'
import { watchedKinds } from '../kubernetes/resources.ts'
import type { WatchedKind } from '../kubernetes/resources.ts'
import { Watch } from '../kubernetes/watch.ts'
import type { Pace } from '../kubernetes/watch-pace.ts'
import type { Clock } from '../model/clock.ts'
import type { Telemetry } from '../model/telemetry.ts'
import type { Source, SourceState } from './source.ts'
import { missingFields, watchProblems } from './watch-problems.ts'

export interface KubernetesSourceOptions {
  /** Closed by whoever made it, after the source. */
  readonly client: KubeClient
  /** Closed likewise. Without it nobody looks whether the definitions have what we are built on. */
  readonly schemas?: SchemaReader | undefined
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** Only these; all of the cluster where nothing is said. */
  readonly namespaces?: readonly string[] | undefined
  readonly kinds?: readonly WatchedKind[]
  readonly random?: () => number
  /** Told what keeps the first state from being known, once each time. */
  readonly warn?: (sentence: string) => void
  readonly pace?: Partial<Pace & SchemaPace>
  /** Milliseconds without a change after which a state is told … */
  readonly settle?: number
  /** … and after which it is told in the middle of changes. */
  readonly patience?: number
}

/** Milliseconds between two readings of the gauges. */
const gaugePeriod = 5000
/** Milliseconds after which a state that could not be put in force is told again. */
const retry = 1000

/** A cluster, followed by one watch for each kind (and namespace). */
export function createKubernetesSource(options: KubernetesSourceOptions): Source {
  const {
    client,
    clock,
    telemetry,
    random = Math.random,
    warn = () => undefined,
    settle = 75,
    patience = 500,
  } = options
  let watches: readonly Watch[] = []
  let tell: ((state: SourceState) => void) | undefined
  let told: SourceState | undefined
  let warned = ''
  let firstState = (): void => undefined
  let timer: NodeJS.Timeout | undefined
  let burstBegan: number | undefined
  let gauges: NodeJS.Timeout | undefined

  const schemas =
    options.schemas && createSchemaWatch({ reader: options.schemas, random, onChange: changed, pace: options.pace })

  function changed(): void {
    const now = clock.ticks()
    burstBegan ??= now
    plan(Math.max(0, Math.min(settle, burstBegan + patience - now)))
  }

  function plan(millis: number): void {
    if (tell === undefined) return
    clearTimeout(timer)
    timer = setTimeout(announce, millis)
    timer.unref()
  }

  /** A state is told whole or not at all: never before every watch has its first list. */
  function announce(): void {
    burstBegan = undefined
    schemas?.update(kindsThere(watches))
    const unsettled = watches.filter(({ settled }) => !settled)
    if (unsettled.length > 0) return complain(watchProblems(unsettled).map(({ say }) => say))
    try {
      const manifests = watches.flatMap((watch) => [...watch.manifests()])
      const state = { manifests, problems: [...watchProblems(watches), ...missingFields(schemas?.missing() ?? [])] }
      if (told === undefined || differs(told, state)) tell?.(state)
      told = state
      firstState()
    } catch {
      plan(retry)
    }
  }

  function complain(sentences: readonly string[]): void {
    const text = sentences.join('; ')
    if (text !== '' && text !== warned) warn(`Not ready: ${text}.`)
    warned = text
  }

  function measure(): void {
    const ages = watches.flatMap((watch) => watch.age ?? [])
    telemetry.level('watch-age-seconds', Math.round(Math.max(0, ...ages) / 1000))
    telemetry.level('watches-behind', watches.filter((watch) => watch.state !== 'watching').length)
  }

  return {
    start: async (onChange) => {
      tell = onChange
      const world = { client, clock, telemetry, random, onChange: changed, pace: options.pace }
      watches = (options.kinds ?? watchedKinds).flatMap((kind) =>
        (kind.namespaced ? (options.namespaces ?? [undefined]) : [undefined]).map(
          (namespace) => new Watch(kind, namespace, world),
        ),
      )
      gauges = setInterval(measure, gaugePeriod)
      gauges.unref()
      await new Promise<void>((done) => {
        firstState = done
        if (told !== undefined) done()
      })
    },
    close: async () => {
      tell = undefined
      clearTimeout(timer)
      clearInterval(gauges)
      await Promise.all([schemas?.close(), ...watches.map((watch) => watch.close())])
      firstState()
    },
  }
}

const kindsThere = (watches: readonly Watch[]): ReadonlySet<string> =>
  new Set(
    watches.filter(({ settled, trouble }) => settled && trouble?.code !== 'missing-crd').map(({ kind }) => kind.kind),
  )

/** A manifest is one object for as long as it is the same. */
const differs = (one: SourceState, other: SourceState): boolean =>
  one.manifests.length !== other.manifests.length ||
  one.manifests.some((manifest, at) => manifest !== other.manifests[at]) ||
  JSON.stringify(one.problems) !== JSON.stringify(other.problems)
