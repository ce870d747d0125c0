/** Remembers what was made from an object for as long as that very object lives: an unchanged one is never read again. */
export function memo<K extends object, V>(make: (key: K) => V): (key: K) => V {
  const known = new WeakMap<K, V>()
  return (key) => {
    const before = known.get(key)
    if (before !== undefined || known.has(key)) return before as V
    const made = make(key)
    known.set(key, made)
    return made
  }
}

/** Makes a thing when it is first asked for, and once. */
export function once<T extends object>(make: () => T): () => T {
  let made: T | undefined
  return () => (made ??= make())
}

/** True where two lists hold the same things in the same order. */
export const same = (one: readonly unknown[], other: readonly unknown[]): boolean =>
  one.length === other.length && one.every((item, index) => item === other[index])
