import { isUtf8 } from 'node:buffer'
import type { DenyReason } from '../model/decision.ts'
import { repeated, single } from '../model/header.ts'
import type { HeaderMap } from '../model/header.ts'

/** What a request says under the Basic scheme (RFC 7617). */
export type BasicCredential =
  | { readonly kind: 'absent' }
  | { readonly kind: 'refused'; readonly reason: DenyReason }
  | { readonly kind: 'credential'; readonly user: string; readonly password: string }

const absent: BasicCredential = { kind: 'absent' }
const malformed: BasicCredential = { kind: 'refused', reason: 'malformed-credential' }
const tooLarge: BasicCredential = { kind: 'refused', reason: 'too-large' }

export const basicLimits = {
  headerBytes: 8192,
  // The SHA crypts take time that grows with the square of the length (CVE-2016-20013).
  passwordBytes: 1024,
} as const

/**
 * Base 64 in its one spelling (RFC 4648 §3.5): padded, and with no bit set that belongs to no byte. Node's decoder takes spaces, junk,
 * both alphabets and any padding.
 */
const pairForm =
  /^.{5} ((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==))$/

/** Reads `Authorization: Basic …` in its one spelling. Another scheme is absent; everything else is refused. */
export function basicCredential(headers: HeaderMap): BasicCredential {
  const value = single(headers, 'authorization')
  if (value === undefined) return absent
  if (value === repeated) return { kind: 'refused', reason: 'repeated-credential' }
  const scheme = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}/.exec(value)?.[0]
  if (scheme?.toLowerCase() !== 'basic') return absent
  if (value.length > basicLimits.headerBytes) return tooLarge
  const pair = decoded(pairForm.exec(value)?.[1])
  return pair === undefined ? malformed : split(pair)
}

/** Splits at the first colon: a user name has none (RFC 7617 §2). NFC is what clients should send and files are read as. */
function split(pair: string): BasicCredential {
  const colon = pair.indexOf(':')
  if (colon < 1) return malformed
  const password = normal(pair.slice(colon + 1))
  if (passwordFault(password) !== undefined) return malformed
  return { kind: 'credential', user: normal(pair.slice(0, colon)), password }
}

/** The text behind the base 64, if it is UTF-8 without control characters (RFC 7617 §2). */
function decoded(encoded: string | undefined): string | undefined {
  if (encoded === undefined) return undefined
  const bytes = Buffer.from(encoded, 'base64')
  const text = bytes.toString('latin1')
  if (isPlain(text)) return text
  if (!isUtf8(bytes)) return undefined
  const wide = bytes.toString('utf8')
  return /\p{Cc}/u.test(wide) ? undefined : wide
}

/** Printable ASCII, as most of it is: one byte each in every encoding, and its own normal form. */
const isPlain = (text: string): boolean => /^[ -~]*$/.test(text)

const normal = (text: string): string => (isPlain(text) ? text : text.normalize('NFC'))

/** Why no client could ever present this password, or undefined. `gatehouse hash` asks before it makes a line of one. */
export function passwordFault(password: string): string | undefined {
  if (password === '') return 'the password is empty'
  if (/\p{Cc}/u.test(password)) return 'the password holds control characters'
  const bytes = Buffer.byteLength(normal(password))
  return bytes > basicLimits.passwordBytes
    ? `the password is longer than ${basicLimits.passwordBytes} bytes`
    : undefined
}
