import { createRequire } from 'node:module'
import type UnixCryptTD from 'unix-crypt-td-js'
import { once } from '../../model/memo.ts'
import { unreadable, usable } from './format.ts'
import type { PasswordFormat } from './format.ts'
import { sameBytes } from './same-bytes.ts'

const form = /^[./0-9A-Za-z]{13}$/

const library = once(() => createRequire(import.meta.url)('unix-crypt-td-js') as typeof UnixCryptTD)

/** Traditional DES crypt(3): what `htpasswd -d` writes. Everything after eight bytes is ignored. */
export const desCrypt: PasswordFormat = {
  name: 'DES crypt',
  owns: (text) => form.test(text),
  examine: (text) =>
    form.test(text)
      ? usable(1, 0, 'looks at the first eight bytes of a password only, and is quick to guess')
      : unreadable('is not 13 characters'),
  verify: (password, text) => !password.includes(0) && sameBytes(library()([...password], text.slice(0, 2)), text),
  optIn: 'allowDesCrypt',
}
