/**
 * Remembers what was made from up to `limit` texts; one more, and all are forgotten. For texts of strangers and functions of
 * nothing but the text: forgetting costs time only. The text is kept, so it must not be a part of a longer one.
 */
export function boundedMemo<V>(limit: number, make: (text: string) => V): (text: string) => V {
  const known = new Map<string, V>()
  return (text) => {
    const before = known.get(text)
    if (before !== undefined || known.has(text)) return before as V
    if (known.size >= limit) known.clear()
    const made = make(text)
    known.set(text, made)
    return made
  }
}
