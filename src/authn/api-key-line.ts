import { hash, randomBytes } from 'node:crypto'
import { failed, fault, ok, weakness } from '../model/result.ts'
import type { Finding, Path, Result } from '../model/result.ts'

/** One key as it lies in a Secret: its digest, never the key. */
export interface ApiKeyLine {
  /** SHA-256 in canonical Base64url. A slow hash would add nothing: keys are random, not remembered. */
  readonly digest: string
  /** Milliseconds since the epoch from which it is no longer taken. */
  readonly expires: number | undefined
}

const prefix = '$gatehouse-key$'
const hashed = /^\$gatehouse-key\$sha256\$([A-Za-z0-9_-]{43})(?:\$expires=([^$]{1,64}))?$/

/** The longest key that is taken, from Secrets and from clients. */
export const longestKey = 1024

/** What a key, which is visible ASCII, is compared by. */
export const keyDigest = (key: string): string => hash('sha256', key, 'base64url')

/** A new random key of 256 bits. */
export const newApiKey = (): string => `ghk_${randomBytes(32).toString('base64url')}`

/** The line that stands for a key in a Secret: `$gatehouse-key$sha256$<base64url digest>[$expires=<RFC 3339 time>]`. */
export function hashApiKey(key: string, expires?: Date): string {
  const until = expires === undefined ? '' : `$expires=${expires.toISOString().replace('.000Z', 'Z')}`
  return `${prefix}sha256$${keyDigest(key)}${until}`
}

/** Why this text cannot be an API key, or undefined. */
export function apiKeyFault(key: string): string | undefined {
  if (key.length < 8) return 'is shorter than 8 bytes'
  if (key.length > longestKey) return `is longer than ${longestKey} bytes`
  // What a header, a cookie and a query parameter can all carry as it is.
  return /^[\x21-\x7e]+$/.test(key) ? undefined : 'holds spaces or characters beyond ASCII'
}

/** Keys with what is weak in them. */
interface Lines {
  readonly lines: readonly ApiKeyLine[]
  readonly findings: readonly Finding[]
}

/** Reads one entry of a Secret: a key or a hash on each line, so that an old and a new one can overlap. */
export function parseApiKeys(bytes: Uint8Array, path: Path): Result<Lines> {
  if (bytes.length > 65_536) return failed([fault('too-large', path, 'is over 64 KiB')])
  const texts = Buffer.from(bytes).toString('latin1').split('\n')
  const lines: ApiKeyLine[] = []
  const findings: Finding[] = []
  for (const [index, raw] of texts.entries()) {
    const text = raw.replace(/\r$/, '')
    if (text === '') continue
    const line = text.startsWith(prefix) ? hashedLine(text) : plainLine(text)
    const where = texts.length > 1 ? `line ${index + 1} ` : ''
    if (typeof line === 'string') findings.push(fault('bad-key', path, where + line, mend))
    else lines.push(line)
    if (!text.startsWith(prefix) && text.length >= 8 && text.length < 16) {
      findings.push(weakness('weak-key', path, `${where}is a key of fewer than 16 bytes`, mend))
    }
  }
  if (findings.some(({ severity }) => severity === 'error')) return failed(findings)
  if (lines.length === 0) return failed([fault('bad-key', path, 'holds no key', mend)])
  return ok({ lines, findings })
}

const mend = 'make one with `gatehouse hash key`'

function plainLine(text: string): ApiKeyLine | string {
  return apiKeyFault(text) ?? { digest: keyDigest(text), expires: undefined }
}

function hashedLine(text: string): ApiKeyLine | string {
  const [matched, digest = '', until] = hashed.exec(text) ?? []
  if (matched === undefined) return `is not ${prefix}sha256$<digest>[$expires=<time>]`
  if (Buffer.from(digest, 'base64url').toString('base64url') !== digest)
    return 'has a digest that is not canonical base64url'
  const expires = until === undefined ? undefined : parseExpiry(until)
  if (until !== undefined && expires === undefined)
    return 'has an expiry that is not a time such as 2027-01-01T00:00:00Z'
  return { digest, expires }
}

/** An RFC 3339 time with its offset, or undefined: no other spelling, because Date takes nearly anything. */
export function parseExpiry(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/.test(text)) return undefined
  const time = Date.parse(text)
  const day = Number(text.slice(8, 10))
  // Date turns 30 February into 2 March.
  const lastDay = new Date(Date.UTC(Number(text.slice(0, 4)), Number(text.slice(5, 7)), 0)).getUTCDate()
  return Number.isNaN(time) || day > lastDay ? undefined : time
}
