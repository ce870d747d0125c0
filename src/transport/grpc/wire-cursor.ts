/** Wire types of protobuf (Encoding, "Message Structure"). */
export const wire = { varint: 0, fixed64: 1, bytes: 2, group: 3, groupEnd: 4, fixed32: 5 } as const

/** How deep messages and groups may be nested, which is what protobuf libraries take by default. */
export const deepest = 100

/** Thrown for bytes that are not a message. One for all: nobody reads more than that it was thrown. */
export const malformed = new Error('not a protobuf message')

/**
 * Goes through protobuf's wire format, more strictly than most libraries: throws `malformed` for what is cut off, for numbers with
 * more bits than they can have, for field number 0 and for groups that do not end.
 */
export class WireCursor {
  readonly bytes: Buffer
  /** What is read next. */
  at = 0
  /** Where the message that is being read ends. */
  end: number

  constructor(bytes: Buffer) {
    this.bytes = bytes
    this.end = bytes.length
  }

  /** The next field: its number in the upper bits, its wire type in the lowest three. */
  tag(): number {
    const tag = this.#uint32()
    if (tag < 8) throw malformed
    return tag
  }

  /** Where the text or message ends whose length comes next. */
  stop(): number {
    const length = this.#uint32()
    if (length > this.end - this.at) throw malformed
    return this.at + length
  }

  /** Goes past the value of a field that nobody reads. */
  skip(tag: number, depth: number): void {
    if (depth > deepest) throw malformed
    switch (tag & 7) {
      case wire.varint:
        return this.#varint()
      case wire.fixed64:
        return this.#past(8)
      case wire.bytes:
        this.at = this.stop()
        return undefined
      case wire.group:
        return this.#group(tag, depth)
      case wire.fixed32:
        return this.#past(4)
      default:
        throw malformed
    }
  }

  #uint32(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      if (this.at >= this.end) throw malformed
      const byte = this.bytes[this.at++] ?? 0
      if (byte < 0x80) {
        if (shift === 28 && byte > 0x0f) throw malformed
        return (value | (byte << shift)) >>> 0
      }
      value |= (byte & 0x7f) << shift
    }
    throw malformed
  }

  /** A number of up to 32 bits: in up to five bytes, or in ten where it is negative. */
  number(): void {
    const begin = this.at
    this.#varint()
    const length = this.at - begin
    if (length > 5 && length < 10) throw malformed
  }

  #varint(): void {
    for (let length = 1; length <= 10; length++) {
      if (this.at >= this.end) throw malformed
      const byte = this.bytes[this.at++] ?? 0
      if (byte < 0x80) {
        if (length === 10 && byte > 1) throw malformed
        return
      }
    }
    throw malformed
  }

  #past(count: number): void {
    if (count > this.end - this.at) throw malformed
    this.at += count
  }

  #group(start: number, depth: number): void {
    for (;;) {
      const tag = this.tag()
      if ((tag & 7) === wire.groupEnd) {
        if (tag >>> 3 !== start >>> 3) throw malformed
        return
      }
      this.skip(tag, depth + 1)
    }
  }
}
