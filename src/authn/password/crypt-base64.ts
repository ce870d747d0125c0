const alphabet = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** crypt(3)'s own base 64 of up to three bytes: 24 bits, the lowest six first. */
export function cryptBase64(high: number, middle: number, low: number, characters: number): string {
  let bits = (high << 16) | (middle << 8) | low
  let text = ''
  for (let written = 0; written < characters; written++) {
    text += alphabet.charAt(bits & 63)
    bits >>= 6
  }
  return text
}
