import { unreadable, usable } from './format.ts'
import type { PasswordFormat } from './format.ts'
import { sameBytes } from './same-bytes.ts'

/**
 * The password itself: what `htpasswd -p` writes. Owns what no other format's prefix claims, and never what has the shape
 * of a DES hash: taking a stored hash for a password would let in whoever has seen the file.
 */
export const plaintext: PasswordFormat = {
  name: 'plain text',
  owns: (text) => text !== '' && !/^[${]/.test(text) && !/^[./0-9A-Za-z]{13}$/.test(text),
  examine: (text) =>
    /\p{Cc}/u.test(text) ? unreadable('holds control characters') : usable(0.01, 0, 'is readable by whoever sees it'),
  verify: (password, text) => sameBytes(password, text.normalize('NFC')),
  optIn: 'allowPlaintext',
}
