import { scryptSync } from 'node:crypto'
import { unreadable, usable } from './format.ts'
import type { PasswordFormat } from './format.ts'
import { parsePhc } from './phc.ts'
import { sameBytes } from './same-bytes.ts'

/** scrypt (RFC 7914) as PHC strings and passlib write it. */
export const scrypt: PasswordFormat = {
  name: 'scrypt',
  owns: (text) => text.startsWith('$scrypt$'),
  examine: (text) => {
    const stored = parse(text)
    if (stored === undefined) return unreadable('is not $scrypt$ln=…,r=…,p=…$salt$hash')
    const { N, r, p } = stored
    if (N < 2 || r < 1 || p < 1 || r * p >= 2 ** 30) return unreadable('has parameters out of range')
    const work = N * r * p
    return usable((work * 350) / 2 ** 20, (N * r) / 8, work < 2 ** 19 ? 'has too low a cost' : undefined)
  },
  verify: (password, text) => {
    const stored = parse(text)
    if (stored === undefined) return false
    const { N, r, p, salt, hash } = stored
    // Node's default bound of 32 MiB is below the recommended costs.
    const maxmem = 256 * (N * r + r * p) + 1024
    return sameBytes(scryptSync(password, salt, hash.length, { N, r, p, maxmem }), hash)
  },
}

interface Stored {
  readonly N: number
  readonly r: number
  readonly p: number
  readonly salt: Buffer
  readonly hash: Buffer
}

function parse(text: string): Stored | undefined {
  const phc = parsePhc(text, 'ln', 'r', 'p')
  if (phc === undefined || phc.version !== undefined) return undefined
  const [N, r, p] = [2 ** phc.parameter('ln'), phc.parameter('r'), phc.parameter('p')]
  return { N, r, p, salt: phc.salt, hash: phc.hash }
}
