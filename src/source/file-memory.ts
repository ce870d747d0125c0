import { once } from '../model/memo.ts'
import type { Problem } from '../model/result.ts'
import { kindFault } from '../policy/distinct.ts'
import { isMisspelt, meantKind } from '../policy/kinds.ts'
import { address, showObject, unknownKind } from '../policy/manifest.ts'
import type { Manifest } from '../policy/manifest.ts'
import type { Scan, SeenFile } from './directory-scan.ts'
import { unknownObject } from './manifest-objects.ts'
import type { Objects } from './manifest-objects.ts'
import { readPlainManifests } from './plain-manifests.ts'
import { readSeen } from './read-seen.ts'
import type { Read } from './read-seen.ts'
import type { SourceState } from './source.ts'

/** What each file last said that could be used, and what is wrong with it now. */
export interface FileMemory {
  /** True where the look shows something that was not taken yet. */
  readonly differs: (seen: Scan) => boolean
  /** Reads what changed. Files in `moving` are still being written, and left for the next look. */
  readonly take: (seen: Scan, moving?: ReadonlySet<string>) => Promise<void>
  readonly state: () => SourceState
  /** Differs wherever the state does. */
  readonly version: () => string
  /** True where something waits for the next look: a file that is gone, empty, or being written. */
  readonly pending: () => boolean
}

export interface FileMemoryOptions {
  /** Milliseconds for which a file has to be gone, or empty, before its objects are. */
  readonly farewell: number
  readonly ticks?: () => number
}

interface Remembered {
  /** Of the file as last read, or undefined where it has to be read again. */
  print: string | undefined
  digest: string
  manifests: readonly Manifest[]
  problems: readonly Problem[]
  /** False where the manifests are what a broken file left standing at its first reading. */
  good: boolean
  /** Of a file that came later: what stood before it. */
  readonly stood: ReadonlySet<string> | undefined
  /** Since when the file has been gone or empty. */
  since: number | undefined
}

/**
 * Remembers a directory's files: what cannot be read or parsed keeps its last good content, and what disappears does so only
 * when it stays away, so that no edit in the middle of its making takes a policy out of force.
 */
export function createFileMemory({ farewell, ticks = () => performance.now() }: FileMemoryOptions): FileMemory {
  const files = new Map<string, Remembered>()
  let around: readonly Problem[] = []
  let first: ReadonlySet<string> | undefined
  let before: ReadonlySet<string> = new Set()
  let generation = 0
  let waiting = false

  function store(path: string, next: Remembered): void {
    const known = files.get(path)
    if (known?.digest !== next.digest || known.manifests !== next.manifests) generation += 1
    files.set(path, next)
  }

  /** A file that was there at the start may always have been what kept requests out. */
  const stoodBefore = (path: string): ReadonlySet<string> | undefined =>
    files.has(path) ? files.get(path)?.stood : first?.has(path) ? undefined : before

  /** True where the absence has lasted long enough. */
  function gone(file: Remembered): boolean {
    file.since ??= ticks()
    const over = ticks() - file.since >= farewell
    if (!over) waiting = true
    return over
  }

  async function takeFile(path: string, seen: SeenFile): Promise<void> {
    const known = files.get(path)
    const reading = await readSeen(path, seen)
    switch (reading.kind) {
      case 'moved':
        waiting = true
        return
      case 'failed': {
        const stood = stoodBefore(path)
        const kept = known ?? { digest: '', manifests: [unknownFile(path)], good: false, stood, since: undefined }
        return store(path, { ...kept, print: undefined, problems: keeping(kept.good, [reading.problem]) })
      }
      case 'text':
        return takeText(path, seen, reading)
    }
  }

  async function takeText(path: string, seen: SeenFile, { text, digest }: Read): Promise<void> {
    const known = files.get(path)
    const same = known?.digest === digest && known.good && known.problems.length === 0
    if (same) return store(path, { ...known, print: seen.print, since: undefined })
    const { manifests, problems } = await readManifests(path, text)
    const good = known?.good === true
    const misspelt = misspellings(manifests)
    if (problems.length + misspelt.length > 0 && good) {
      const wrong = keeping(true, [...problems, ...misspelt])
      return store(path, { ...known, print: seen.print, problems: wrong, since: undefined })
    }
    const emptied = good && manifests.length === 0 && known.manifests.length > 0
    // An editor that truncates before it writes must not free what the file protects.
    if (emptied && !gone(known)) return
    const fine = problems.length + misspelt.length === 0
    const stood = stoodBefore(path)
    store(path, { print: seen.print, digest, manifests, problems, good: fine, stood, since: undefined })
  }

  function forget(seen: Scan): void {
    const present = new Set([...seen.files.keys()].map((path) => files.get(path)?.digest))
    for (const [path, file] of files) {
      if (seen.files.has(path)) continue
      const hidden = seen.unseen.some((place) => path === place || path.startsWith(`${place}/`))
      // The same bytes under another name: the file was renamed, and two of each object would be one too many.
      if (!hidden && (present.has(file.digest) || gone(file))) {
        files.delete(path)
        generation += 1
      }
    }
  }

  async function take(seen: Scan, moving: ReadonlySet<string> = new Set()): Promise<void> {
    waiting = moving.size > 0
    around = seen.lost === undefined ? seen.problems : [keptAll(seen.lost, files.size > 0)]
    if (seen.lost !== undefined) return
    first ??= new Set([...seen.files.keys(), ...seen.unseen])
    if ([...seen.files.keys()].some((path) => !files.has(path))) before = protecting(files)
    for (const [path, file] of seen.files) {
      const known = files.get(path)
      if (known?.print !== file.print && !moving.has(path)) await takeFile(path, file)
      // It is there, if only while it is being written: an absence before that is over.
      else if (known !== undefined) known.since = undefined
    }
    for (const path of seen.unseen) takeUnseen(path)
    forget(seen)
  }

  /** What is there and was never read may be anything, as a file that cannot be read is; its problem is told with the look. */
  function takeUnseen(path: string): void {
    if ([...files.keys()].some((known) => known === path || known.startsWith(`${path}/`))) return
    const stood = stoodBefore(path)
    const nothing = { digest: '', print: undefined, problems: [], good: false, since: undefined }
    store(path, { ...nothing, manifests: [unknownFile(path)], stood })
  }

  const problems = (): readonly Problem[] => [...around, ...inOrder(files).flatMap((file) => file.problems)]

  return {
    differs: (seen) => {
      if (seen.lost !== undefined) return false
      const hidden = seen.unseen.filter((path) => files.has(path)).length
      return (
        seen.files.size + hidden !== files.size ||
        [...seen.files].some(([path, { print }]) => files.get(path)?.print !== print)
      )
    },
    take,
    state: () => ({ manifests: inForce(files), problems: problems() }),
    version: () => `${generation} ${JSON.stringify(problems())}`,
    pending: () => waiting,
  }
}

/** Only what is not plain needs the library that knows every mistake, and the time to load it. */
const readManifests = async (path: string, text: string): Promise<Objects> =>
  readPlainManifests(path, text) ?? (await import('./yaml-manifests.ts')).readYaml(path, text)

/** Names of the objects that may keep requests out. */
const protecting = (files: ReadonlyMap<string, Remembered>): ReadonlySet<string> =>
  new Set(
    [...files.values()]
      .flatMap(({ manifests }) => manifests)
      .filter(({ kind }) => meantKind(kind) !== undefined)
      .map(showObject),
  )

/**
 * All objects. What came later and may be anything cannot be what keeps requests out, as long as all that did so before is there:
 * a new file that is broken takes nothing out of force. As soon as something of that is gone, it may have been moved there.
 */
function inForce(files: ReadonlyMap<string, Remembered>): readonly Manifest[] {
  const present = once(() => protecting(files))
  return inOrder(files).flatMap(({ manifests, stood }) =>
    stood !== undefined && [...stood].every((name) => present().has(name))
      ? manifests.filter(({ kind }) => kind !== unknownKind)
      : manifests,
  )
}

/** Kinds that are a mistake, and a policy or route the less: the compiler tells them, where they are not kept from it. */
const misspellings = (manifests: readonly Manifest[]): readonly Problem[] =>
  manifests.flatMap((manifest) => {
    const wrong = isMisspelt(manifest.kind) ? kindFault(manifest) : undefined
    return wrong === undefined ? [] : [address(manifest, wrong)]
  })

/** Nothing of it was ever read. */
const unknownFile = (file: string): Manifest =>
  unknownObject({ file, object: undefined, line: () => undefined, prefix: [] }, '')

/** By path, so that which of two objects of one name comes first does not depend on when it was written. */
const inOrder = (files: ReadonlyMap<string, Remembered>): readonly Remembered[] =>
  [...files].toSorted(([one], [other]) => (one < other ? -1 : 1)).map(([, file]) => file)

const keeping = (good: boolean, problems: readonly Problem[]): readonly Problem[] =>
  good
    ? problems.map((problem) => ({ ...problem, say: `${problem.say} (the last good version stays in force)` }))
    : problems

const keptAll = (problem: Problem, any: boolean): Problem =>
  any ? { ...problem, say: `${problem.say} (all that was read before stays in force)` } : problem
