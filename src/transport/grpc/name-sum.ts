/** What a header's name is made of beyond lower-case letters, digits and hyphens; the lowest bits of a name's sum. */
export const nameKinds = {
  /** Other ASCII, as it is in lower case: `_`, `.`. */
  unusual: 1,
  /** Upper case, or not ASCII: not yet the name that it stands for. */
  strange: 2,
} as const

const kinds = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte > 0x7e || (byte >= 0x41 && byte <= 0x5a)) return nameKinds.strange
  return /[a-z0-9-]/.test(String.fromCharCode(byte)) ? 0 : nameKinds.unusual
})

/**
 * A number for a name: the same for the same one, seldom for two. It is made of the length and of four bytes each from the beginning,
 * the middle and the end, with the kinds of all its characters.
 */
export function nameSum(bytes: DataView, begin: number, end: number): number {
  let kind = 0
  for (let at = begin; at < end; at++) kind |= kinds[bytes.getUint8(at)] ?? 0
  const length = end - begin
  const middle = begin + (length >> 1)
  const hash =
    length < 4
      ? mixed(bytes.getUint8(begin), mixed(bytes.getUint8(middle), bytes.getUint8(end - 1)))
      : mixed(bytes.getInt32(begin), mixed(bytes.getInt32(middle - 2), bytes.getInt32(end - 4)))
  return (mixed(length, hash) & ~3) | kind
}

/** One step of FNV-1a. */
const mixed = (word: number, hash: number): number => Math.imul(hash ^ word, 0x01000193)

/** Sums that were met before. */
export class SumSet {
  readonly #sums: number[] = []
  #bits = 0

  /** False where the sum is there already. */
  add(sum: number): boolean {
    const bit = 1 << (sum >>> 27)
    if ((this.#bits & bit) !== 0 && this.#sums.includes(sum)) return false
    this.#bits |= bit // most are the first with their bit, and need no search
    this.#sums.push(sum)
    return true
  }
}
