import { fault } from '../model/result.ts'
import type { Finding } from '../model/result.ts'
import { kindsRead } from './kinds.ts'
import { showObject } from './manifest.ts'
import type { Manifest } from './manifest.ts'
import { suggestion } from './parse.ts'

/** Manifests of known kinds, each object once. */
export interface Distinct {
  readonly of: (kind: string) => readonly Manifest[]
  readonly all: readonly Manifest[]
}

/** Sorts manifests by kind; a kind or version that is not read, and the second object of a name, are problems. */
export function distinct(
  manifests: readonly Manifest[],
  report: (manifest: Manifest, findings: readonly Finding[]) => void,
): Distinct {
  const seen = new Map<string, Manifest>()
  const byKind = new Map<string, Manifest[]>()
  for (const manifest of manifests) {
    const name = showObject(manifest)
    const wrong = kindFault(manifest) ?? nameFault(seen.get(name), name)
    if (wrong !== undefined) report(manifest, [wrong])
    // A policy of a version that is not read is still a policy: its rules deny.
    const claims = wrong === undefined || (manifest.kind === 'AuthPolicy' && !seen.has(name))
    if (!claims) continue
    seen.set(name, manifest)
    const list = byKind.get(manifest.kind)
    if (list === undefined) byKind.set(manifest.kind, [manifest])
    else list.push(manifest)
  }
  return { of: (kind) => byKind.get(kind) ?? [], all: [...byKind.values()].flat() }
}

function kindFault({ kind, apiVersion }: Manifest): Finding | undefined {
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
