import { memo } from '../model/memo.ts'
import { failed } from '../model/result.ts'
import type { Finding, Result } from '../model/result.ts'
import { showObject } from './manifest.ts'
import type { Manifest } from './manifest.ts'

export type Report = (manifest: Manifest, findings: readonly Finding[]) => void

/** What became of the objects of one kind. */
export interface Readings<T> {
  /** As they are, or as they last were before an edit broke them. */
  readonly usable: readonly T[]
  /** Those that are there and of which nothing is known for sure: unreadable from the start, or several of one name. */
  readonly lost: readonly Manifest[]
}

/**
 * Reads objects of one kind; one that an edit broke stays as it last was, and its findings say so. So does one that an edit left
 * alike, where `alike` says so: whatever was made of it stays, too.
 */
export function createLastGood<T>(
  parse: (manifest: Manifest) => Result<T>,
  alike: (one: T, other: T) => boolean = () => false,
): (manifests: readonly Manifest[], doubled: ReadonlySet<string>, report: Report) => Readings<T> {
  const parsed = memo(parse)
  const resultOf = (manifest: Manifest): Result<T> => (manifest.broken ? failed([]) : parsed(manifest))
  let lastGood: ReadonlyMap<string, T> = new Map()
  return (manifests, doubled, report) => {
    const next = new Map<string, T>()
    const lost: Manifest[] = []
    for (const manifest of manifests) {
      const name = showObject(manifest)
      const result = resultOf(manifest)
      // Which of two is meant nobody knows: the first is for naming rules only.
      const before = doubled.has(name) ? next.get(name) : lastGood.get(name)
      const read = (value: T): T => (before !== undefined && alike(before, value) ? before : value)
      const value = result.ok ? (next.get(name) ?? read(result.value)) : before
      if (!result.ok) report(manifest, value === undefined ? result.findings : result.findings.map(stillInForce))
      if (value === undefined || doubled.has(name)) lost.push(manifest)
      if (value !== undefined) next.set(name, value)
    }
    lastGood = new Map([...next].filter(([name]) => !doubled.has(name)))
    return { usable: [...next.values()], lost }
  }
}

/** The finding of an object whose last good version is used instead. */
export const stillInForce = (finding: Finding): Finding => ({
  ...finding,
  say: `${finding.say} (the last good version stays in force)`,
})
