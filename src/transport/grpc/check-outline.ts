import { checkRequest, slots } from './check-fields.ts'
import type { Field, Message } from './check-fields.ts'
import { readHeaderRange } from './header-range.ts'
import type { HeaderRange } from './header-range.ts'
import { deepest, malformed, WireCursor } from './wire-cursor.ts'

/** Where in a check everything is that it is judged by. */
export interface CheckOutline {
  readonly bytes: Buffer
  /** Begin and end by `slot`; -1 for what is not there. */
  readonly spans: readonly number[]
  /** Entries of `headers`, in order, repeats included. */
  readonly joined: readonly HeaderRange[]
  /** Entries of `header_map`. */
  readonly raw: readonly HeaderRange[]
}

/**
 * Goes through the whole of a check once and notes where things are. Fields that are not known are skipped; scalars that come twice
 * count as last written. Throws for what is no message, for known fields of another wire type, and for messages that come twice
 * where there can be one, which protobuf libraries read differently: some merge them, some take the last.
 */
export function outline(bytes: Buffer): CheckOutline {
  const walk = new Walk(bytes)
  walk.through(checkRequest, 0)
  return walk
}

class Walk extends WireCursor implements CheckOutline {
  readonly spans: number[] = absent.slice()
  readonly joined: HeaderRange[] = []
  readonly raw: HeaderRange[] = []

  /** Reads a message from here to the end. */
  through({ fields, valued }: Message, depth: number): void {
    if (depth > deepest) throw malformed
    let seen = 0
    while (this.at < this.end) {
      const begin = this.at
      const tag = this.tag()
      const field = fields[tag >>> 3]
      if (field === undefined) this.skip(tag, depth)
      else {
        const bit = 1 << (tag >>> 3)
        if (field.wire !== (tag & 7) || (field.use === 'one' && (seen & bit) !== 0)) throw malformed
        seen |= bit
        this.#known(field, depth, begin)
      }
    }
    if (valued && (seen & (1 << 2)) === 0) throw malformed
  }

  #known(field: Field, depth: number, begin: number): void {
    if (field.use === 'skip') this.skip(field.wire, depth)
    else if (field.use === 'number') this.number()
    else this.#part(field, depth, begin)
  }

  /** A text or message, to its own end. */
  #part(field: Field, depth: number, begin: number): void {
    const { end } = this
    const stop = this.stop()
    if (field.slot >= 0) this.#note(field, begin, stop)
    this.end = stop
    this.#inside(field, depth)
    this.at = stop
    this.end = end
  }

  #inside({ use, message }: Field, depth: number): void {
    switch (use) {
      case 'one':
      case 'each':
        return this.through(message, depth + 1)
      case 'entry':
      case 'span':
        return this.through(message, depth)
      case 'joined':
        this.joined.push(readHeaderRange(this, 'joined', depth))
        return undefined
      case 'raw':
        this.raw.push(readHeaderRange(this, 'raw', depth + 1))
        return undefined
      case 'text':
      case 'skip':
      case 'number':
        return undefined
    }
  }

  /** The content of a text or message; of a map everything from its first entry, tag included, to the end of its last. */
  #note({ use, slot }: Field, begin: number, stop: number): void {
    const first = this.spans[slot] ?? -1
    this.spans[slot] = use !== 'span' ? this.at : first < 0 ? begin : first
    this.spans[slot + 1] = stop
  }
}

const absent: readonly number[] = Array.from({ length: slots }, () => -1)
