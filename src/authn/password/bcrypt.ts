import { createRequire } from 'node:module'
import type * as Bcrypt from '@node-rs/bcrypt'
import { once } from '../../model/memo.ts'
import { unreadable, usable } from './format.ts'
import type { PasswordFormat } from './format.ts'

/** For those that compute: whoever reads a password file only looks at hashes. */
const native = once(() => createRequire(import.meta.url)('@node-rs/bcrypt') as typeof Bcrypt)

const form = /^\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./0-9A-Za-z]{53}$/

/** bcrypt looks at no more: a longer password would equal every other with the same beginning. */
export const bcryptMaxBytes = 72

/** What `htpasswd -B` writes ($2y$), and its twins $2a$ and $2b$. */
export const bcrypt: PasswordFormat = {
  name: 'bcrypt',
  owns: (text) => /^\$2[a-z]?\$/.test(text),
  examine: (text) => {
    // $2x$ marks hashes of an implementation that confused passwords with bytes above 127 (CVE-2011-2483).
    if (/^\$2(x?)\$/.test(text)) return unreadable('is of a broken bcrypt ($2$ or $2x$)')
    const cost = Number(form.exec(text)?.[1] ?? Number.NaN)
    if (Number.isNaN(cost)) return unreadable('is not $2y$, $2b$ or $2a$, a cost and 53 characters')
    return usable(50 * 2 ** (cost - 10), 4, cost < 10 ? `has cost ${cost}; 10 is the least` : undefined)
  },
  verify: (password, text) =>
    password.length <= bcryptMaxBytes && !password.includes(0) && native().verifySync(password, text),
}
