import { createRequire } from 'node:module'
import type * as Argon2 from '@node-rs/argon2'
import { once } from '../../model/memo.ts'
import { unreadable, usable } from './format.ts'
import type { PasswordFormat } from './format.ts'
import { parsePhc } from './phc.ts'

/** For those that compute: whoever reads a password file only looks at hashes. */
const native = once(() => createRequire(import.meta.url)('@node-rs/argon2') as typeof Argon2)

/** Argon2id and Argon2i (RFC 9106) as PHC strings. */
export const argon2: PasswordFormat = {
  name: 'Argon2',
  owns: (text) => text.startsWith('$argon2'),
  examine: (text) => {
    const phc = parsePhc(text, 'm', 't', 'p')
    if (phc === undefined) return unreadable('is not $argon2id$v=19$m=…,t=…,p=…$salt$hash')
    if (!/^argon2(id|i)$/.test(phc.id)) return unreadable('is neither Argon2id nor Argon2i')
    if (phc.version !== '19' && phc.version !== '16') return unreadable('is of a version other than 19 and 16')
    const [memory, passes, lanes] = [phc.parameter('m'), phc.parameter('t'), phc.parameter('p')]
    if (lanes < 1 || lanes > 64 || passes < 1 || memory < 8 * lanes) return unreadable('has parameters out of range')
    // OWASP's equivalents run from 46 MiB in one pass to 7 MiB in five; all of them reach this product.
    const weak = memory * passes < 35_840 || memory < 7168 ? 'has too little memory or too few passes' : undefined
    return usable((memory * passes * 10) / 38_912, memory, weak)
  },
  verify: (password, text) => native().verifySync(text, password),
}
