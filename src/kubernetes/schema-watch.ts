import { setTimeout as sleep } from 'node:timers/promises'
import { backOff } from './back-off.ts'
import { examineSchema } from './schema-fields.ts'
import type { ExperimentalField, SchemaReport } from './schema-fields.ts'
import type { SchemaReader, SchemaReading } from './schema-reader.ts'

/** Keeps to know which experimental fields the cluster's definitions lack. Nothing waits for it, and its failures are nobody's. */
export interface SchemaWatch {
  /** Which kinds there are now. When one came or went, the definitions are looked at anew. */
  readonly update: (kinds: ReadonlySet<string>) => void
  readonly missing: () => readonly ExperimentalField[]
  readonly close: () => Promise<void>
}

export interface SchemaWatchOptions {
  readonly reader: SchemaReader
  readonly random: () => number
  /** Told whenever `missing` changes. */
  readonly onChange: () => void
  readonly pace?: Partial<SchemaPace> | undefined
}

/** Milliseconds: between two looks, because another channel can be installed over the first; and after a failure. */
export interface SchemaPace {
  readonly look: number
  readonly firstRetry: number
}

const usual: SchemaPace = { look: 30_000, firstRetry: 500 }
const nothing: SchemaReport = { whole: true, missing: [] }

/** Begins to read at once: with luck the first state of a source has the answer in it. */
export function createSchemaWatch({ reader, random, onChange, pace }: SchemaWatchOptions): SchemaWatch {
  const { look, firstRetry } = { ...usual, ...pace }
  const over = new AbortController()
  let kinds: ReadonlySet<string> = new Set()
  let report = nothing
  let reading: SchemaReading = { hash: undefined, document: undefined }
  let failures = 0
  let nap = new AbortController()

  function judge(): void {
    const before = report
    report = examineSchema(reading.document, kinds)
    if (before.missing.length !== report.missing.length || before.missing.some((one, at) => one !== report.missing[at]))
      onChange()
  }

  async function read(): Promise<void> {
    const next = await reader.read(reading.hash, over.signal)
    if (next !== undefined) reading = next
    judge()
  }

  async function run(): Promise<void> {
    while (!over.signal.aborted) {
      nap = new AbortController()
      const done = await read().then(
        () => report.whole,
        () => false,
      )
      failures = done ? 0 : failures + 1
      const millis = done ? look : backOff({ first: firstRetry, most: look }, failures, random)
      const signal = AbortSignal.any([over.signal, nap.signal])
      await sleep(millis, undefined, { signal, ref: false }).catch(() => undefined)
    }
  }

  const running = run()
  return {
    update: (next) => {
      if (next.size === kinds.size && [...next].every((kind) => kinds.has(kind))) return
      kinds = next
      nap.abort()
      judge()
    },
    missing: () => report.missing,
    close: async () => {
      over.abort()
      await running
    },
  }
}
