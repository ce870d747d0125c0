/** True where all bytes are visible ASCII or spaces, so that text and bytes are one. Takes four bytes at a time. */
export function plainText(view: DataView, begin: number, end: number): boolean {
  let at = begin
  for (; at + 4 <= end; at += 4) if (!plainWord(view.getInt32(at))) return false
  for (; at < end; at++) if (!plainWord(0x20202000 | view.getUint8(at))) return false
  return true
}

/** Each byte is looked at by itself: taking away 0x20 borrows only below 0x20, adding 1 carries only from 0x7f on. */
const plainWord = (word: number): boolean => ((word | (word - 0x20202020) | (word + 0x01010101)) & 0x80808080) === 0
