import { malformed, wire } from './wire-cursor.ts'
import type { WireCursor } from './wire-cursor.ts'

/** Where in a check one header is: an entry of the `headers` map or a `HeaderValue` of `header_map`. */
export interface HeaderRange {
  readonly name: number
  readonly nameEnd: number
  readonly value: number
  readonly valueEnd: number
  /** True where the value came as `raw_value`. */
  readonly raw: boolean
}

// field number << 3 | wire type
const key = (1 << 3) | wire.bytes
const value = (2 << 3) | wire.bytes
const rawValue = (3 << 3) | wire.bytes

/** Reads one header up to the end of the cursor. Only a `HeaderValue` has a `raw_value`, which counts where it is not empty. */
export function readHeaderRange(cursor: WireCursor, kind: 'joined' | 'raw', depth: number): HeaderRange {
  let name = 0
  let nameEnd = 0
  let text = 0
  let textEnd = 0
  let raw = 0
  let rawEnd = 0
  while (cursor.at < cursor.end) {
    const tag = cursor.tag()
    if (tag === key) {
      nameEnd = cursor.stop()
      name = cursor.at
      cursor.at = nameEnd
    } else if (tag === value) {
      textEnd = cursor.stop()
      text = cursor.at
      cursor.at = textEnd
    } else if (tag === rawValue && kind === 'raw') {
      rawEnd = cursor.stop()
      raw = cursor.at
      cursor.at = rawEnd
    } else if (tag >>> 3 <= (kind === 'raw' ? 3 : 2)) throw malformed
    else cursor.skip(tag, depth)
  }
  return raw < rawEnd
    ? { name, nameEnd, value: raw, valueEnd: rawEnd, raw: true }
    : { name, nameEnd, value: text, valueEnd: textEnd, raw: false }
}
