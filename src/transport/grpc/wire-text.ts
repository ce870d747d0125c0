// Header values are latin-1 text everywhere inside: one character for each byte, as Node's HTTP parser gives them.
// Protobuf strings are UTF-8, so what is not ASCII has to be taken apart and put together again at this border.

const ascii = /^[\x00-\x7f]*$/

/** One well-formed UTF-8 sequence of a byte string (Unicode §3.9, table 3-7), or else any one byte. */
const sequence =
  /[\x00-\x7f]+|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|[^]/g

/** Bytes of a protobuf string, as latin-1 text. */
export const fromWire = (text: string): string =>
  ascii.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1')

/**
 * Raw header bytes as latin-1 text, each byte that is not UTF-8 replaced by `!`: that is what Envoy itself does when it fills the
 * header map, so both encodings of a request are judged alike (CTR-15).
 */
export function fromRaw(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
  return ascii.test(text) ? text : text.replace(sequence, (part) => (part.length === 1 && part > '\x7f' ? '!' : part))
}

/** Latin-1 text as the protobuf string with the same bytes; text whose bytes are not UTF-8 is encoded as characters. */
export function toWire(text: string): string {
  if (ascii.test(text)) return text
  const bytes = Buffer.from(text, 'latin1')
  const decoded = bytes.toString('utf8')
  return Buffer.from(decoded, 'utf8').equals(bytes) ? decoded : text
}
