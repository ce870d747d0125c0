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

/** Remembers the last answer, and gives it again as long as every argument is the very same. */
export function latest<A extends readonly unknown[], V>(make: (...given: A) => V): (...given: A) => V {
  let last: { readonly given: A; readonly made: V } | undefined
  return (...given) => {
    if (last === undefined || !same(last.given, given)) last = { given, made: make(...given) }
    return last.made
  }
}

/** Gives the list that it gave last as long as the same things are in it: what was made from that list stays known. */
export function steady<T>(): (list: readonly T[]) => readonly T[] {
  let last: readonly T[] = []
  return (list) => {
    if (!same(last, list)) last = list
    return last
  }
}

/** True where two lists hold the same things in the same order. */
export const same = (one: readonly unknown[], other: readonly unknown[]): boolean =>
  one.length === other.length && one.every((item, index) => item === other[index])
