import { wire, WireCursor } from './wire-cursor.ts'

/** Every text or message that a message holds under this number, in order. */
export function parts(message: Buffer, number: number): readonly Buffer[] {
  const found: Buffer[] = []
  const cursor = new WireCursor(message)
  while (cursor.at < cursor.end) {
    const tag = cursor.tag()
    if (tag !== ((number << 3) | wire.bytes)) cursor.skip(tag, 0)
    else {
      const stop = cursor.stop()
      found.push(message.subarray(cursor.at, stop))
      cursor.at = stop
    }
  }
  return found
}

/** The one that counts where there can be one: the last. */
export const part = (message: Buffer, number: number): Buffer | undefined => parts(message, number).at(-1)

/** A map of texts to whatever its values are read as. */
export const mapOf = <T>(message: Buffer, number: number, read: (value: Buffer) => T): Record<string, T> =>
  Object.fromEntries(
    parts(message, number).map((entry) => [text(part(entry, 1) ?? empty), read(part(entry, 2) ?? empty)]),
  )

export const text = (bytes: Buffer): string => bytes.toString('utf8')

const empty = Buffer.alloc(0)
