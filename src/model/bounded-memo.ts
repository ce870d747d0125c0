/**
 * Remembers what was made from up to `limit` texts; one more, and all are forgotten. For texts of strangers and functions of
 * nothing but the text: forgetting costs time only.
 */
export function boundedMemo<V>(limit: number, make: (text: string) => V): (text: string) => V {
  const known = new Map<string, V>()
  return (text) => {
    const before = known.get(text)
    if (before !== undefined || known.has(text)) return before as V
    if (known.size >= limit) known.clear()
    const made = make(text)
    known.set(detached(text), made)
    return made
  }
}

/** The same text as one of its own: a part of a longer one would keep all of that in memory. */
const detached = (text: string): string => Buffer.from(text, 'utf16le').toString('utf16le')
