import { memo } from '../model/memo.ts'
import { fault } from '../model/result.ts'
import type { Finding } from '../model/result.ts'
import { kindsRead, meantKind } from './kinds.ts'
import { showObject, unknownKind } from './manifest.ts'
import type { Manifest } from './manifest.ts'
import { suggestion } from './parse.ts'

/** Manifests of known kinds, sorted. */
export interface Distinct {
  /** Each object once, but every one of a kind that keeps requests out, readable or not: none of them may count as absent. */
  readonly of: (kind: string) => readonly Manifest[]
  /** What can be read of known kinds, each object once. */
  readonly all: readonly Manifest[]
  /** Names (`showObject`) that several objects have. */
  readonly doubled: ReadonlySet<string>
  /** What may be anything. */
  readonly unknown: readonly Manifest[]
}

/** Sorts manifests by kind; a kind or version that is not read, and the second object of a name, are problems. */
export function distinct(
  manifests: readonly Manifest[],
  report: (manifest: Manifest, findings: readonly Finding[]) => void,
): Distinct {
  const seen = new Map<string, Manifest>()
  const doubled = new Set<string>()
  const byKind = new Map<string, Manifest[]>()
  const all: Manifest[] = []
  const unknown: Manifest[] = []
  const keep = (manifest: Manifest): void => {
    const list = byKind.get(manifest.kind)
    if (list === undefined) byKind.set(manifest.kind, [manifest])
    else list.push(manifest)
  }
  const take = (manifest: Manifest): void => {
    const name = showObject(manifest)
    const second = nameFault(seen.get(name), name)
    if (second === undefined) {
      seen.set(name, manifest)
      if (!manifest.broken) all.push(manifest)
    } else {
      report(manifest, [second])
      doubled.add(name)
    }
    if (second === undefined || meantKind(manifest.kind) !== undefined) keep(manifest)
  }
  for (const given of manifests) {
    const wrong = given.broken ? undefined : kindFault(given)
    if (wrong !== undefined) report(given, [wrong])
    const manifest = wrong === undefined ? given : asMeant(given)
    if (manifest?.kind === unknownKind) unknown.push(manifest)
    else if (manifest !== undefined) take(manifest)
  }
  return { of: (kind) => byKind.get(kind) ?? [], all, doubled, unknown }
}

/** An object of a kind or version that is not read as what it may be for; undefined where that keeps nobody out. */
const asMeant = memo((manifest: Manifest): Manifest | undefined => {
  const kind = meantKind(manifest.kind)
  if (kind === undefined) return holdsItems(manifest) ? { ...manifest, kind: unknownKind, broken: true } : undefined
  // A policy of a version that is not read is still a policy, and says itself what is wrong with it.
  return kind === manifest.kind && kind === 'AuthPolicy' ? manifest : { ...manifest, kind, broken: true }
})

/** A list under a wrong name: what is in it is not known. */
const holdsItems = ({ kind, object }: Manifest): boolean =>
  !kindsRead.has(kind) && typeof object === 'object' && object !== null && 'items' in object

/** Why an object's kind or version is not read. */
export function kindFault({ kind, apiVersion }: Manifest): Finding | undefined {
  const versions = kindsRead.get(kind)
  if (versions === undefined) {
    const mend = suggestion(kind, [...kindsRead.keys()])
    return fault('unknown-kind', ['kind'], `Gatehouse reads no objects of kind "${kind}"`, mend)
  }
  if (versions.includes(apiVersion)) return undefined
  return fault(
    'unknown-kind',
    ['apiVersion'],
    `"${apiVersion}" has no ${kind} that Gatehouse reads`,
    suggestion(apiVersion, versions),
  )
}

function nameFault(earlier: Manifest | undefined, name: string): Finding | undefined {
  if (earlier === undefined) return undefined
  const say = `a second ${name}; the first is in ${earlier.file ?? 'the same source'}`
  return fault('duplicate-object', ['metadata', 'name'], say, 'rename or remove one of them')
}
