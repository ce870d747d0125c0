import type { Ask } from './exchange.ts'
import { unless404 } from './kube-error.ts'
import { isFields } from '../model/fields.ts'

/** A kind as the server has it in one version. */
export interface ServedKind {
  readonly version: string
  readonly kind: string
  readonly plural: string
  readonly namespaced: boolean
}

/** Asks for the versions of a group, and for the kinds of each. */
export async function discover(
  ask: (one: Ask) => Promise<unknown>,
  group: string,
  signal: AbortSignal | undefined,
): Promise<readonly ServedKind[]> {
  const base = group === '' ? '/api' : `/apis/${encodeURIComponent(group)}`
  const found = await unless404(ask({ method: 'GET', path: base, signal }))
  const versions = strings(isFields(found) ? found['versions'] : [])
  const lists = versions.map(async (version) => {
    const list = await unless404(ask({ method: 'GET', path: `${base}/${version}`, signal }))
    const rows = isFields(list) && Array.isArray(list['resources']) ? (list['resources'] as readonly unknown[]) : []
    return rows.flatMap((row) => served(version, row) ?? [])
  })
  return (await Promise.all(lists)).flat()
}

/** Core writes `versions: [v1]`, groups write `versions: [{version: v1}]`. */
const strings = (versions: unknown): readonly string[] =>
  (Array.isArray(versions) ? (versions as readonly unknown[]) : []).flatMap((one) => {
    const version = isFields(one) ? one['version'] : one
    return typeof version === 'string' ? [version] : []
  })

function served(version: string, row: unknown): ServedKind | undefined {
  if (!isFields(row)) return undefined
  const { name, kind, namespaced } = row
  // `httproutes/status` is a part of a kind.
  if (typeof name !== 'string' || typeof kind !== 'string' || name.includes('/')) return undefined
  return { version, kind, plural: name, namespaced: namespaced === true }
}
