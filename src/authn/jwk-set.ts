import { examineKey, refuse } from './jwk.ts'
import type { Examination, KeyOrigin, RefusedKey, SignatureAlgorithm, VerificationKey } from './jwk.ts'
import { isJsonObject, parseStrictJson } from './strict-json.ts'

/** More bytes and keys than any issuer needs; a set beyond is not used at all. */
export const keySetLimits = { maxBytes: 262_144, maxKeys: 100 } as const

/** The usable keys of one JWK Set, and why the others are not used. */
export interface KeySet {
  readonly keys: readonly VerificationKey[]
  readonly refused: readonly (RefusedKey & { readonly index: number })[]
}

/** Reads a JWK Set (RFC 7517 §5): bad keys are left out and told; undefined where it is no set at all. */
export function readKeySet(text: string | Uint8Array, origin: KeyOrigin): KeySet | undefined {
  const document = parseStrictJson(text, { maxBytes: keySetLimits.maxBytes })
  const list = isJsonObject(document) ? document['keys'] : undefined
  if (!Array.isArray(list) || list.length > keySetLimits.maxKeys) return undefined
  const members = (list as unknown[]).map((jwk) => ({ jwk, examined: examineKey(jwk, origin) }))
  const hasPublic = members.some(({ examined }) => examined.ok && examined.key.key.type === 'public')
  const judged = members.map((member) => judge(member, members, hasPublic))
  return {
    keys: judged.flatMap((one) => (one.ok ? [one.key] : [])),
    refused: judged.flatMap((one, index) => (one.ok ? [] : [{ ...one.refused, index }])),
  }
}

interface Member {
  readonly jwk: unknown
  readonly examined: Examination
}

/** What one key is worth in the company of the others. */
function judge(member: Member, all: readonly Member[], hasPublic: boolean): Examination {
  const { examined } = member
  if (!examined.ok) return examined
  if (hasPublic && examined.key.key.type === 'secret') {
    // One slip from "public key as HMAC secret" (RFC 8725 §2.1): the secret loses.
    return refuse('foreign', 'is a shared secret in a set of public keys; give it a set of its own')
  }
  return all.some((other) => ambiguous(member, other))
    ? refuse('malformed', 'shares its kid with another key of its type')
    : examined
}

/** Two keys of one kid and type leave open which was meant (RFC 7517 §4.5), unless they are one key. */
function ambiguous({ jwk, examined }: Member, other: Member): boolean {
  if (!isJsonObject(jwk) || !isJsonObject(other.jwk) || jwk['kid'] === undefined) return false
  if (jwk['kid'] !== other.jwk['kid'] || jwk['kty'] !== other.jwk['kty']) return false
  if (!other.examined.ok) return other.examined.refused.kind !== 'foreign'
  return examined.ok && examined.key.print !== other.examined.key.print
}

/** How many keys are tried for a token that names none: each try costs a signature check (JWT-34). */
const mostTries = 4

/**
 * Keys that could have signed a token with this `kid` and `alg`: with a kid those that bear it, without one the first
 * four that can do the algorithm.
 */
export function candidates(
  keys: readonly VerificationKey[],
  kid: string | undefined,
  alg: SignatureAlgorithm,
): readonly VerificationKey[] {
  const able = keys.filter(({ algorithms }) => algorithms.includes(alg))
  const named = kid === undefined ? able : able.filter((key) => key.kid === kid)
  return named.slice(0, mostTries)
}
