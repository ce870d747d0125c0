import { pbkdf2Sync } from 'node:crypto'
import { unreadable, usable } from './format.ts'
import type { PasswordFormat } from './format.ts'
import { parsePhc, unpaddedBase64 } from './phc.ts'
import { sameBytes } from './same-bytes.ts'

interface Stored {
  readonly digest: string
  readonly iterations: number
  readonly salt: Buffer
  readonly hash: Buffer
}

/** Milliseconds for a million iterations, and OWASP's least number of them. */
const strength = { sha256: { millis: 200, least: 600_000 }, sha512: { millis: 500, least: 210_000 } } as const

/** PBKDF2 (RFC 8018) with SHA-256 or SHA-512, as PHC strings (`i=…,l=…`) and as passlib writes it (`$29000$`). */
export const pbkdf2: PasswordFormat = {
  name: 'PBKDF2',
  owns: (text) => text.startsWith('$pbkdf2'),
  examine: (text) => {
    const stored = parse(text)
    if (stored === undefined) return unreadable('is not $pbkdf2-sha256$ or $pbkdf2-sha512$, iterations, salt and hash')
    const { millis, least } = strength[stored.digest === 'sha512' ? 'sha512' : 'sha256']
    const weak = stored.iterations < least ? `has ${stored.iterations} iterations; ${least} are the least` : undefined
    return usable((stored.iterations / 1e6) * millis, 0, weak)
  },
  verify: (password, text) => {
    const stored = parse(text)
    if (stored === undefined) return false
    const { digest, iterations, salt, hash } = stored
    return sameBytes(pbkdf2Sync(password, salt, iterations, hash.length, digest), hash)
  },
}

const fits = ({ iterations, hash }: Stored, size: number): boolean => iterations > 0 && hash.length <= size

const sizes: Readonly<Record<string, number>> = { sha256: 32, sha512: 64 }

function parse(text: string): Stored | undefined {
  const digest = /^\$pbkdf2-(sha256|sha512)\$/.exec(text)?.[1]
  if (digest === undefined) return undefined
  const stored = parsePhcForm(text, digest) ?? parsePasslib(text, digest)
  // Longer output costs its owner more and a guesser nothing; no writer makes it.
  return stored !== undefined && fits(stored, sizes[digest] ?? 0) ? stored : undefined
}

function parsePhcForm(text: string, digest: string): Stored | undefined {
  const phc = parsePhc(text, 'i', 'l') ?? parsePhc(text, 'i')
  if (phc === undefined || phc.version !== undefined) return undefined
  const length = phc.parameter('l')
  if (!Number.isNaN(length) && length !== phc.hash.length) return undefined
  return { digest, iterations: phc.parameter('i'), salt: phc.salt, hash: phc.hash }
}

/** passlib's base 64 has `.` for `+`. */
function parsePasslib(text: string, digest: string): Stored | undefined {
  const [, count, saltText, hashText] =
    /^\$pbkdf2-sha(?:256|512)\$([1-9]\d{0,9})\$([./0-9A-Za-z]{1,172})\$([./0-9A-Za-z]{1,172})$/.exec(text) ?? []
  const salt = unpaddedBase64((saltText ?? '').replaceAll('.', '+'), 8)
  const hash = unpaddedBase64((hashText ?? '').replaceAll('.', '+'), 16)
  return count === undefined || salt === undefined || hash === undefined
    ? undefined
    : { digest, iterations: Number(count), salt, hash }
}
