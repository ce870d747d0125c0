import type { DenyReason } from '../model/decision.ts'
import { claimAt } from '../model/identity.ts'
import type { Identity } from '../model/identity.ts'
import type { JwsHeader } from './jwt-token.ts'
import type { JsonObject } from './strict-json.ts'

/**
 * Which kind of token a policy takes; their rules exclude each other (RFC 8725 §3.12). `AccessToken`: RFC 9068 to the
 * letter. `IdToken`: OpenID Connect ID tokens. `Any`: whatever is not made for another purpose.
 */
export type Profile = 'Any' | 'AccessToken' | 'IdToken'

/** What a policy asks of the claims, besides the issuer. */
export interface ClaimRules {
  readonly issuer: string
  readonly audiences: readonly string[]
  readonly profile: Profile
  readonly clockSkewSeconds: number
  readonly maxAgeSeconds: number | undefined
}

type Judged = { readonly header: JwsHeader; readonly claims: JsonObject }

/**
 * Why the token does not pass at this moment, or undefined. Asked before the signature, because it is cheap, and at every
 * use of a verified token, because time passes and policies differ. Nothing here grants anything.
 */
export function claimsFault(token: Judged, rules: ClaimRules, now: number): DenyReason | undefined {
  return claimsFit(token, rules) ? timeFault(timesOf(token.claims), rules, now) : 'bad-credential'
}

/** Whether the token is of the kind that is asked for, whatever the time is. */
export function claimsFit({ header, claims }: Judged, rules: ClaimRules): boolean {
  return (
    claims['iss'] === rules.issuer &&
    typeFits(header.typ, claims, rules.profile) &&
    forUs(claims['aud'], rules.audiences) &&
    subjectFits(claims['sub']) &&
    claims['cnf'] === undefined && // RFC 9449 §7.1, RFC 8705 §3: bound to a key, so it is no bearer token
    (rules.profile !== 'AccessToken' || ['iat', 'jti', 'client_id'].every((name) => claims[name] !== undefined)) &&
    ['jti', 'client_id'].every((name) => claims[name] === undefined || isText(claims[name]))
  )
}

/** RFC 8725 §3.11: what a token says it is for. A type that is on no list is for another purpose. */
function typeFits(typ: string | undefined, claims: JsonObject, profile: Profile): boolean {
  switch (profile) {
    case 'AccessToken':
      return typ === 'at+jwt' // RFC 9068 §4
    case 'IdToken':
      return typ === undefined || typ === 'jwt'
    case 'Any':
      return typ === 'at+jwt' || ((typ === undefined || typ === 'jwt') && !otherPurpose(claims))
  }
}

/**
 * Untyped tokens tell by their claims: hashes and nonce belong to ID tokens (OpenID Connect Core §2, §3.3.2.11), `events`
 * to security events and logouts (RFC 8417), `token_introspection` to RFC 9701; Keycloak writes the purpose into `typ`.
 */
function otherPurpose(claims: JsonObject): boolean {
  const { typ } = claims
  if (typ !== undefined && typ !== 'Bearer') return true
  if (typ === undefined && claims['nonce'] !== undefined) return true
  return ['at_hash', 'c_hash', 's_hash', 'events', 'token_introspection'].some((name) => claims[name] !== undefined)
}

/** RFC 8725 §3.9: one of ours, to the letter; a list of anything but strings is not a list of audiences. */
function forUs(aud: unknown, ours: readonly string[]): boolean {
  if (typeof aud === 'string') return ours.includes(aud)
  if (!Array.isArray(aud)) return false
  const list = aud as readonly unknown[]
  return list.every((one) => typeof one === 'string') && list.some((one) => ours.includes(one))
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '' && value.length <= 1024

const subjectFits = (sub: unknown): boolean => isText(sub) && !/[\x00-\x1f\x7f]/.test(sub)

/** NumericDate (RFC 7519 §2), whole seconds only: 1e400 is no date. */
const isDate = (value: unknown): value is number => Number.isSafeInteger(value)

/** What a token says of its time, in seconds since the epoch. */
export interface Times {
  readonly exp: number
  readonly nbf: number | undefined
  readonly iat: number | undefined
}

/** Undefined where `exp` is missing or any of them is no date. */
export function timesOf({ exp, nbf, iat }: JsonObject): Times | undefined {
  const right = isDate(exp) && (nbf === undefined || isDate(nbf)) && (iat === undefined || isDate(iat))
  return right ? { exp, nbf, iat } : undefined
}

/** `exp` is the first second that is too late; skew is given on both sides. */
export function timeFault(times: Times | undefined, rules: ClaimRules, now: number): DenyReason | undefined {
  if (times === undefined) return 'bad-credential'
  const { exp, nbf, iat } = times
  const seconds = now / 1000
  const { clockSkewSeconds: skew, maxAgeSeconds: maxAge } = rules
  if (seconds >= exp + skew) return 'expired-credential'
  if (before(seconds, nbf, skew) || before(seconds, iat, skew)) return 'expired-credential'
  if (maxAge === undefined) return undefined
  if (iat === undefined) return 'bad-credential'
  return seconds >= iat + maxAge + skew ? 'expired-credential' : undefined
}

const before = (seconds: number, start: number | undefined, skew: number): boolean =>
  start !== undefined && seconds < start - skew

/** Where a policy finds scopes and groups among the claims. */
export interface ClaimPlaces {
  readonly scopes: readonly string[] | undefined
  readonly groups: readonly string[]
}

/** The identity that a verified and judged token stands for. */
export function identityOf(claims: JsonObject, places: ClaimPlaces, method: string): Identity {
  const scopes = places.scopes === undefined ? (claims['scope'] ?? claims['scp']) : claimAt(claims, places.scopes)
  return {
    subject: String(claims['sub']),
    method,
    issuer: String(claims['iss']),
    claims,
    scopes: words(scopes),
    groups: words(claimAt(claims, places.groups)),
  }
}

/** A list of strings, or a string of words parted by single spaces (RFC 6749 §3.3); anything else grants nothing. */
function words(value: unknown): readonly string[] {
  if (typeof value === 'string') return [...new Set(value.split(' '))].filter((word) => word !== '')
  if (!Array.isArray(value)) return []
  const list = value as readonly unknown[]
  return list.every((one) => typeof one === 'string') ? [...new Set(list)] : []
}
