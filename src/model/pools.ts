import { once, same } from './memo.ts'

/** What one owner has for each key. */
export type Share<T> = ReadonlyMap<string, readonly T[]>

/** What all owners together have for one key: another object as soon as one of them has something else. */
export interface Pool<T, V> {
  /** By the names of the owners, in their order. */
  readonly shares: readonly (readonly [owner: string, share: readonly T[]])[]
  /** What was made of it: when it is first asked for. */
  readonly made: () => V
}

/**
 * Keeps by its key what several owners have for it. A key is looked at again only where what an owner has for it changed; what is
 * made of it is made of the owners in the order of their names, whichever of them came first.
 */
export function createPools<T, V extends object>(
  make: (all: readonly T[]) => V,
): (owners: ReadonlyMap<string, Share<T>>) => ReadonlyMap<string, Pool<T, V>> {
  let last: ReadonlyMap<string, Share<T>> = new Map()
  let pools: ReadonlyMap<string, Pool<T, V>> = new Map()
  return (owners) => {
    const changed = new Map<string, Map<string, readonly T[]>>()
    for (const name of new Set([...last.keys(), ...owners.keys()])) {
      for (const [key, now] of changes(last.get(name), owners.get(name))) {
        const shares = changed.get(key) ?? new Map(pools.get(key)?.shares)
        changed.set(key, shares)
        if (now.length === 0) shares.delete(name)
        else shares.set(name, now)
      }
    }
    last = owners
    if (changed.size === 0) return pools
    const next = new Map(pools)
    for (const [key, shares] of changed) {
      if (shares.size === 0) next.delete(key)
      else next.set(key, poolOf(shares, make))
    }
    pools = next
    return next
  }
}

/** The keys for which an owner has something else than before, and what that is. */
function* changes<T>(before: Share<T> = new Map(), now: Share<T> = new Map()): Generator<[string, readonly T[]]> {
  if (before === now) return
  for (const [key, some] of now) if (!same(before.get(key) ?? [], some)) yield [key, some]
  for (const key of before.keys()) if (!now.has(key)) yield [key, []]
}

function poolOf<T, V extends object>(
  shares: ReadonlyMap<string, readonly T[]>,
  make: (all: readonly T[]) => V,
): Pool<T, V> {
  const inOrder = [...shares].toSorted(([one], [other]) => (one < other ? -1 : 1))
  return { shares: inOrder, made: once(() => make(inOrder.flatMap(([, some]) => some))) }
}
