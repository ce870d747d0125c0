import { once, same } from '../model/memo.ts'

/** What one namespace has for each host. */
export type Part<T> = ReadonlyMap<string, readonly T[]>

/** What all namespaces together have for one host. */
export interface Host<T, V> {
  readonly parts: ReadonlyMap<string, readonly T[]>
  /** What was made of it: when it is first asked for. */
  readonly made: () => V
}

/**
 * Keeps by its host what several namespaces have for it. A host is looked at again only where what a namespace has for it changed;
 * what is made of it is made of the namespaces in the order of their names, whichever of them came first.
 */
export function createHosts<T, V extends object>(
  make: (all: readonly T[]) => V,
): (namespaces: ReadonlyMap<string, Part<T>>) => ReadonlyMap<string, Host<T, V>> {
  let last: ReadonlyMap<string, Part<T>> = new Map()
  let hosts: ReadonlyMap<string, Host<T, V>> = new Map()
  return (namespaces) => {
    const changed = new Map<string, Map<string, readonly T[]>>()
    for (const name of new Set([...last.keys(), ...namespaces.keys()])) {
      for (const [host, now] of changes(last.get(name), namespaces.get(name))) {
        const parts = changed.get(host) ?? new Map(hosts.get(host)?.parts)
        changed.set(host, parts)
        if (now.length === 0) parts.delete(name)
        else parts.set(name, now)
      }
    }
    const next = new Map(hosts)
    for (const [host, parts] of changed) {
      if (parts.size === 0) next.delete(host)
      else next.set(host, { parts, made: once(() => make(inOrder(parts))) })
    }
    last = namespaces
    hosts = next
    return next
  }
}

/** The hosts of which a namespace has something else than before, and what that is. */
function* changes<T>(before: Part<T> = new Map(), now: Part<T> = new Map()): Generator<[string, readonly T[]]> {
  if (before === now) return
  for (const [host, some] of now) if (!same(before.get(host) ?? [], some)) yield [host, some]
  for (const host of before.keys()) if (!now.has(host)) yield [host, []]
}

const inOrder = <T>(parts: ReadonlyMap<string, readonly T[]>): readonly T[] =>
  [...parts].toSorted(([one], [other]) => (one < other ? -1 : 1)).flatMap(([, some]) => some)
