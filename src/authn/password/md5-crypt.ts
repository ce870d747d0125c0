import { hash } from 'node:crypto'
import { cryptBase64 } from './crypt-base64.ts'
import { unreadable, usable } from './format.ts'
import type { PasswordFormat } from './format.ts'
import { sameBytes } from './same-bytes.ts'

const form = /^\$apr1\$([./0-9A-Za-z]{1,8})\$([./0-9A-Za-z]{22})$/

/** Apache's variant of Poul-Henning Kamp's MD5 crypt: what `htpasswd -m` writes. */
export const apr1: PasswordFormat = {
  name: 'apr1 (MD5)',
  owns: (text) => text.startsWith('$apr1$'),
  examine: (text) =>
    form.test(text)
      ? usable(2, 0, 'is a thousand rounds of MD5')
      : unreadable('is not $apr1$, a salt and 22 characters'),
  verify: (password, text) => {
    const [, salt = '', digest = ''] = form.exec(text) ?? []
    return sameBytes(md5Crypt(password, Buffer.from(salt)), digest)
  },
}

const md5 = (...parts: readonly Uint8Array[]): Buffer => hash('md5', Buffer.concat(parts), 'buffer')

function md5Crypt(password: Uint8Array, salt: Uint8Array): string {
  const inner = md5(password, salt, password)
  const parts: Uint8Array[] = [password, Buffer.from('$apr1$'), salt]
  for (let left = password.length; left > 0; left -= 16) parts.push(inner.subarray(0, Math.min(left, 16)))
  // The bits of the length: a zero byte for a one, the password's first byte for a zero. A slip of 1994, kept by all.
  for (let bits = password.length; bits > 0; bits >>= 1) {
    parts.push((bits & 1) === 1 ? Buffer.of(0) : password.subarray(0, 1))
  }
  let digest = md5(...parts)
  for (let round = 0; round < 1000; round++) {
    const odd = round % 2 === 1
    const middle = [...(round % 3 === 0 ? [] : [salt]), ...(round % 7 === 0 ? [] : [password])]
    digest = md5(odd ? password : digest, ...middle, odd ? digest : password)
  }
  const byte = (at: number): number => digest[at] ?? 0
  const groups = [0, 1, 2, 3, 4].map((at) => cryptBase64(byte(at), byte(at + 6), byte(at === 4 ? 5 : at + 12), 4))
  return groups.join('') + cryptBase64(0, 0, byte(11), 2)
}
