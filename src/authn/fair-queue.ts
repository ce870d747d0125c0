/** Waiting work of several owners, taken in turns, so that a flood for one does not keep the others waiting. */
export interface FairQueue<T> {
  /** False where the queue, or the owner's half of it, is full. */
  readonly put: (owner: string, item: T) => boolean
  readonly take: () => T | undefined
  readonly remove: (owner: string, item: T) => void
  readonly size: () => number
}

/** A queue of at most `room` items, of which one owner has half at most. */
export function createFairQueue<T>(room: number): FairQueue<T> {
  // A Map keeps the order of insertion: the first owner is the next whose turn it is.
  const lines = new Map<string, T[]>()
  let size = 0
  return {
    put: (owner, item) => {
      const line = lines.get(owner) ?? []
      if (size >= room || line.length >= Math.max(1, Math.ceil(room / 2))) return false
      line.push(item)
      lines.set(owner, line)
      size++
      return true
    },
    take: () => {
      for (const [owner, line] of lines) {
        const item = line.shift()
        lines.delete(owner)
        if (line.length > 0) lines.set(owner, line)
        size--
        return item
      }
      return undefined
    },
    remove: (owner, item) => {
      const line = lines.get(owner) ?? []
      const at = line.indexOf(item)
      if (at < 0) return
      line.splice(at, 1)
      size--
      if (line.length === 0) lines.delete(owner)
    },
    size: () => size,
  }
}
