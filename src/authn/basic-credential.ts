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
 * Reads `Authorization: Basic …` in its one spelling. Node's base 64 decoder takes spaces, junk, both alphabets and any
 * padding; here only what encodes back to itself is taken. Another scheme is absent; everything else is refused.
 */
export function basicCredential(headers: HeaderMap): BasicCredential {
  const value = single(headers, 'authorization')
  if (value === undefined) return absent
  if (value === repeated) return { kind: 'refused', reason: 'repeated-credential' }
  const scheme = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}/.exec(value)?.[0]
  if (scheme?.toLowerCase() !== 'basic') return absent
  if (value.length > basicLimits.headerBytes) return tooLarge
  const pair = decoded(/^.{5} ([A-Za-z0-9+/]+={0,2})$/.exec(value)?.[1])
  return pair === undefined ? malformed : split(pair)
}

/** Splits at the first colon: a user name has none (RFC 7617 §2). NFC is what clients should send and files are read as. */
function split(pair: string): BasicCredential {
  const colon = pair.indexOf(':')
  if (colon < 1) return malformed
  const password = pair.slice(colon + 1).normalize('NFC')
  if (passwordFault(password) !== undefined) return malformed
  return { kind: 'credential', user: pair.slice(0, colon).normalize('NFC'), password }
}

/** The text behind the base 64, if it is UTF-8 without control characters (RFC 7617 §2). */
function decoded(encoded: string | undefined): string | undefined {
  if (encoded === undefined) return undefined
  const bytes = Buffer.from(encoded, 'base64')
  if (bytes.toString('base64') !== encoded || !isUtf8(bytes)) return undefined
  const text = bytes.toString('utf8')
  return /\p{Cc}/u.test(text) ? undefined : text
}

/** Why no client could ever present this password, or undefined. `gatehouse hash` asks before it makes a line of one. */
export function passwordFault(password: string): string | undefined {
  if (password === '') return 'the password is empty'
  if (/\p{Cc}/u.test(password)) return 'the password holds control characters'
  const bytes = Buffer.byteLength(password.normalize('NFC'))
  return bytes > basicLimits.passwordBytes
    ? `the password is longer than ${basicLimits.passwordBytes} bytes`
    : undefined
}
