import { watch } from 'node:fs'
import type { FSWatcher } from 'node:fs'
import type { Source, SourceState } from './source.ts'
import { createFileMemory } from './file-memory.ts'
import type { FileMemory } from './file-memory.ts'
import { scan } from './directory-scan.ts'
import type { Scan } from './directory-scan.ts'

export interface FileSourceOptions {
  readonly directory: string
  /** Milliseconds between two looks at the directory; notices of the file system only make a look come sooner. */
  readonly interval?: number
  /** Milliseconds for which nothing may have changed before a change is read. */
  readonly settle?: number
  /** Milliseconds for which a file has to be gone before its objects are. */
  readonly farewell?: number
}

/** Reads a directory once, for `gatehouse check`. */
export async function readDirectory(directory: string): Promise<SourceState> {
  const memory = createFileMemory({ farewell: 0 })
  await memory.take(await scan(directory))
  return memory.state()
}

/**
 * A directory of YAML and JSON files, followed by looking again and again: notices of the file system get lost on network file
 * systems and in containers, so they only hasten a look.
 */
export function createFileSource(options: FileSourceOptions): Source {
  const { directory, interval = 1000, settle = 75, farewell = 500 } = options
  const memory = createFileMemory({ farewell })
  let tell: (state: SourceState) => void = () => undefined
  let told: string | undefined
  let timer: NodeJS.Timeout | undefined
  let watcher: FSWatcher | undefined
  let looking: Promise<void> | undefined
  let due = Infinity
  let closed = false

  async function look(): Promise<void> {
    const started = performance.now()
    due = Infinity
    const resting = told === undefined ? await atRest(directory) : undefined
    const { seen, moving } = resting ?? (await settled(directory, memory, settle))
    await memory.take(seen, moving)
    announce()
    // A directory that takes long to look through is looked at less often: one part in ten of the time at most.
    plan(memory.pending() ? Math.min(interval, farewell + 20) : Math.max(interval, 10 * (performance.now() - started)))
  }

  /** Told once it was taken: a state that could not be put in force is told again at the next look. */
  function announce(): void {
    const version = memory.version()
    if (closed || version === told) return
    tell(memory.state())
    told = version
  }

  /** The soonest of what is asked for: a storm of notices must not put the look off. */
  function plan(wait: number): void {
    const at = performance.now() + wait
    if (closed || at >= due) return
    clearTimeout(timer)
    due = at
    timer = setTimeout(run, wait)
    timer.unref()
  }

  function run(): void {
    if (looking !== undefined) {
      due = Infinity
      return plan(settle)
    }
    looking = look()
      .catch(() => plan(interval))
      .finally(() => (looking = undefined))
  }

  function listen(): void {
    try {
      watcher = watch(directory, { persistent: false }, () => plan(settle))
      watcher.on('error', () => watcher?.close())
    } catch {
      // The looks by the clock are enough.
    }
  }

  return {
    start: async (onChange) => {
      tell = onChange
      listen()
      await look()
    },
    close: async () => {
      closed = true
      clearTimeout(timer)
      watcher?.close()
      await looking
    },
  }
}

const mostLooks = 10

interface Settled {
  readonly seen: Scan
  readonly moving: ReadonlySet<string>
}

/** Milliseconds since the last change of any file after which nobody is taken to be writing. */
const rest = 1000

/**
 * The directory, if its files have been at rest for a while: at the start there is nothing in force yet that half an edit could
 * take out of force, so there is no waiting to see them rest.
 */
async function atRest(directory: string): Promise<Settled | undefined> {
  const seen = await scan(directory)
  const now = Date.now()
  const quiet = [...seen.files.values()].every(({ changed }) => now - changed > rest)
  return quiet ? { seen, moving: new Set() } : undefined
}

/** Looks until two looks see the same. What changes for longer is being written, and left alone. */
async function settled(directory: string, memory: FileMemory, settle: number): Promise<Settled> {
  let seen = await scan(directory)
  let moving: ReadonlySet<string> = new Set()
  for (let looks = 0; looks < mostLooks && memory.differs(seen); looks += 1) {
    await new Promise((done) => setTimeout(done, settle))
    const next = await scan(directory)
    moving = changed(seen, next)
    const quiet = moving.size === 0 && seen.files.size === next.files.size
    seen = next
    if (quiet) break
  }
  return { seen, moving }
}

/** Files that the later look sees otherwise, or for the first time. */
function changed(earlier: Scan, later: Scan): ReadonlySet<string> {
  const files = [...later.files]
  return new Set(files.filter(([path, { print }]) => earlier.files.get(path)?.print !== print).map(([path]) => path))
}
