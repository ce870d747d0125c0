/*
 * Messages are put together as latin-1 text, one character for each byte: a length is known before what it is the length of is
 * copied, and the bytes are made once, at the end. Nothing is left out for being empty or 0: an answer says all that it means.
 */

/** A field whose value is text or a message that was written before. */
export const lengthDelimited = (number: number, bytes: string): string =>
  varint((number << 3) | 2) + varint(bytes.length) + bytes

/** A field whose value is a whole number of up to 31 bits. */
export const numeric = (number: number, value: number): string => varint(number << 3) + varint(value)

/** A field whose value is text, which is written as UTF-8. */
export const string = (number: number, text: string): string => lengthDelimited(number, utf8(text))

/** The bytes of a message. */
export const message = (bytes: string): Buffer => Buffer.from(bytes, 'latin1')

/** A message with what gRPC puts before it: that it is not compressed, and its length in four bytes. */
export const framedMessage = (bytes: string): string =>
  `\0${[24, 16, 8, 0].map((shift) => String.fromCharCode((bytes.length >>> shift) & 0xff)).join('')}${bytes}`

const ascii = /^[\x00-\x7f]*$/
const utf8 = (text: string): string => (ascii.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1'))

function varint(value: number): string {
  if (!(value >= 0 && value < 2 ** 31)) throw new RangeError('no length and no number of a field')
  let written = ''
  let left = value
  for (; left > 0x7f; left >>>= 7) written += String.fromCharCode((left & 0x7f) | 0x80)
  return written + String.fromCharCode(left)
}
