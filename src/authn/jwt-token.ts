import { boundedMemo } from '../model/bounded-memo.ts'
import { decodeBase64url } from './base64url.ts'
import { isJsonObject, parseStrictJson } from './strict-json.ts'
import type { JsonObject } from './strict-json.ts'

/** No longer token is looked at (SECURITY.md E8). */
export const maxTokenBytes = 16_384

/** A signed object in its one canonical spelling; nothing in it is verified yet. */
export interface CompactJws {
  readonly text: string
  readonly header: JwsHeader
  readonly payload: Uint8Array
  /** What the signature is over: the first two parts and the dot between them (RFC 7515 §5.2). */
  readonly signed: Uint8Array
  readonly signature: Uint8Array
}

/** The header members that are looked at. `jku`, `x5u`, `jwk`, `x5c` are not: no client picks its own key (RFC 8725 §3.10). */
export interface JwsHeader {
  readonly alg: string
  readonly kid: string | undefined
  /** Media type in lower case and without `application/` (RFC 7515 §4.1.9). */
  readonly typ: string | undefined
}

/** A JWT whose form is right; its signature and claims are not judged yet. */
export interface JwtToken extends CompactJws {
  readonly claims: JsonObject
}

/**
 * Takes compact JWS (RFC 7515 §7.1) apart: three parts, each in canonical Base64url, a strict JSON header. Undefined for
 * everything else: encrypted or nested tokens, JSON serialisation, `crit`, `b64`.
 */
export function readJws(text: string): CompactJws | undefined {
  if (text.length > maxTokenBytes) return undefined
  const [first = '', second, third = '', ...more] = text.split('.', 4)
  if (second === undefined || third === '' || more.length > 0) return undefined
  const payload = decodeBase64url(second)
  const header = payload === undefined ? undefined : headerOf(first)
  const signature = decodeBase64url(third)
  if (header === undefined || payload === undefined || signature === undefined) return undefined
  const signed = Buffer.from(text.slice(0, -third.length - 1), 'latin1')
  return { text, header, payload, signed, signature }
}

/** A JWS whose payload is a JSON object: claims. */
export function readJwt(text: string): JwtToken | undefined {
  const jws = readJws(text)
  const claims = jws === undefined ? undefined : parseStrictJson(jws.payload, { maxBytes: maxTokenBytes })
  return jws === undefined || !isJsonObject(claims) ? undefined : { ...jws, claims }
}

/** All tokens of an issuer have the same few headers: those of usual length are read once. */
const headerOf = (text: string): JwsHeader | undefined => (text.length > 512 ? readHeaderText(text) : usualHeader(text))

const usualHeader = boundedMemo(256, readHeaderText)

function readHeaderText(text: string): JwsHeader | undefined {
  const bytes = decodeBase64url(text)
  return bytes === undefined ? undefined : readHeader(bytes)
}

/** `crit` (RFC 7515 §4.1.11) and `b64` (RFC 7797) name extensions that we have none of; `enc` and `zip` belong to JWE. */
const refusedMembers = ['crit', 'b64', 'enc', 'zip']

function readHeader(bytes: Uint8Array): JwsHeader | undefined {
  const header = parseStrictJson(bytes, { maxBytes: 8192, maxMembers: 100 })
  if (!isJsonObject(header) || refusedMembers.some((name) => name in header)) return undefined
  const alg = textOf(header, 'alg', 64)
  const kid = textOf(header, 'kid', 256)
  const typ = textOf(header, 'typ', 256)
  const cty = textOf(header, 'cty', 256)
  if (typeof alg !== 'string' || kid === bad || typ === bad || cty === bad) return undefined
  // RFC 7519 §5.2: a token inside a token would have to be verified as a whole (RFC 8725 §3.3).
  if (cty !== undefined && mediaType(cty) === 'jwt') return undefined
  return { alg, kid, typ: typ === undefined ? undefined : mediaType(typ) }
}

const bad = Symbol('not a proper text')

function textOf(header: JsonObject, name: string, limit: number): string | undefined | typeof bad {
  const value = header[name]
  if (value === undefined) return undefined
  return typeof value === 'string' && value !== '' && value.length <= limit ? value : bad
}

const mediaType = (text: string): string => text.toLowerCase().replace(/^application\//, '')
