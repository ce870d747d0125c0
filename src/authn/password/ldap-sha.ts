import { createHash } from 'node:crypto'
import { unreadable, usable } from './format.ts'
import type { PasswordFormat } from './format.ts'
import { sameBytes } from './same-bytes.ts'

const form = /^\{SHA\}([A-Za-z0-9+/]{27}=)$/
const saltedForm = /^\{SSHA\}([A-Za-z0-9+/]{28,172}={0,2})$/

/** A bare SHA-1: what `htpasswd -s` writes. */
export const sha: PasswordFormat = {
  name: '{SHA}',
  owns: (text) => text.startsWith('{SHA}'),
  examine: (text) =>
    form.test(text) && bytesOf(form, text).length === 20
      ? usable(0.01, 0, 'is one SHA-1 without a salt')
      : unreadable('is not {SHA} and the base 64 of 20 bytes'),
  verify: (password, text) => sameBytes(sha1(password), bytesOf(form, text)),
}

/** A salted SHA-1, as LDAP servers and nginx know it (RFC 2307). */
export const saltedSha: PasswordFormat = {
  name: '{SSHA}',
  owns: (text) => text.startsWith('{SSHA}'),
  examine: (text) =>
    bytesOf(saltedForm, text).length > 20
      ? usable(0.01, 0, 'is one SHA-1')
      : unreadable('is not {SSHA} and the base 64 of 20 bytes and a salt'),
  verify: (password, text) => {
    const stored = bytesOf(saltedForm, text)
    return stored.length > 20 && sameBytes(sha1(password, stored.subarray(20)), stored.subarray(0, 20))
  },
}

const sha1 = (...parts: readonly Uint8Array[]): Buffer => createHash('sha1').update(Buffer.concat(parts)).digest()

/** The bytes behind the prefix; none where the text is not in its one spelling. */
function bytesOf(shape: RegExp, text: string): Buffer {
  const encoded = shape.exec(text)?.[1] ?? ''
  const bytes = Buffer.from(encoded, 'base64')
  return bytes.toString('base64') === encoded ? bytes : Buffer.alloc(0)
}
