import { createPublicKey, createSecretKey } from 'node:crypto'
import type { JsonWebKey, KeyObject } from 'node:crypto'
import { decodeBase64url } from './base64url.ts'
import { isJsonObject } from './strict-json.ts'
import type { JsonObject } from './strict-json.ts'
import { ed25519Weakness, rsaWeakness } from './weak-key.ts'

const rsaAlgorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const
const macAlgorithms = ['HS256', 'HS384', 'HS512'] as const

/** Every signature algorithm that a policy may allow; RFC 8725 §3.1 wants the list on our side. */
export const signatureAlgorithms = [
  ...rsaAlgorithms,
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
  ...macAlgorithms,
] as const
export type SignatureAlgorithm = (typeof signatureAlgorithms)[number]

/** One usable key of a set. */
export interface VerificationKey {
  readonly kid: string | undefined
  /** What it may verify: one entry where the JWK pins `alg`, else all of its type. */
  readonly algorithms: readonly SignatureAlgorithm[]
  readonly key: KeyObject
  /** Equal for equal keys: its type and its public members. */
  readonly print: string
}

/** `published`: anybody can read the set, so nothing secret may be in it. `local`: the operator's own Secret or ConfigMap. */
export type KeyOrigin = 'published' | 'local'

/** A key that is not used. `exposed`: private or symmetric material in a public set; `foreign`: for another purpose. */
export interface RefusedKey {
  readonly kind: 'exposed' | 'weak' | 'foreign' | 'malformed'
  /** One clause with the key as its subject. */
  readonly say: string
}

/** The verdict on one member of a set. */
export type Examination =
  { readonly ok: true; readonly key: VerificationKey } | { readonly ok: false; readonly refused: RefusedKey }

/** A verdict against a key. */
export const refuse = (kind: RefusedKey['kind'], say: string): Examination => ({ ok: false, refused: { kind, say } })

/** Decides whether a JWK (RFC 7517) may verify signatures: purpose, type, strength and form; nothing is taken on trust. */
export function examineKey(jwk: unknown, origin: KeyOrigin): Examination {
  if (!isJsonObject(jwk)) return refuse('malformed', 'is not a JSON object')
  const { kty, kid } = jwk
  if (kty === 'oct' ? origin === 'published' : privateMembers.some((name) => name in jwk)) {
    return refuse('exposed', 'holds private key material; a key set has public keys only')
  }
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > 256)) return refuse('malformed', 'has a bad kid')
  const purpose = purposeFault(jwk)
  if (purpose !== undefined) return refuse('foreign', purpose)
  const material = materialOf(jwk)
  if (!('algorithms' in material)) return { ok: false, refused: material }
  const algorithms = material.algorithms.filter((one) => jwk['alg'] === undefined || one === jwk['alg'])
  if (algorithms.length === 0) return refuse('foreign', 'has an alg that its type and size cannot serve')
  const key = keyObject(material.jwk)
  if (key === undefined) return refuse('malformed', 'is not a valid key')
  // RFC 9864: for this curve `EdDSA` and `Ed25519` say the same.
  const all = kty === 'OKP' ? (['EdDSA', 'Ed25519'] as const) : algorithms
  return { ok: true, key: { kid, algorithms: all, key, print: JSON.stringify(material.jwk) } }
}

const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

/** RFC 7517 §4.2, §4.3: who says what a key is for has to say that it verifies signatures. */
function purposeFault({ use, key_ops: operations }: JsonObject): string | undefined {
  if (use !== undefined && use !== 'sig') return 'is not for signatures (use)'
  if (operations === undefined) return undefined
  const list = Array.isArray(operations) ? (operations as unknown[]) : []
  const repeated = new Set(list).size !== list.length
  return repeated || !list.includes('verify') ? 'is not for verifying (key_ops)' : undefined
}

interface Material {
  readonly algorithms: readonly SignatureAlgorithm[]
  /** Public members only (or `k`), each in canonical form. */
  readonly jwk: JsonWebKey
}

function materialOf(jwk: JsonObject): Material | RefusedKey {
  switch (jwk['kty']) {
    case 'RSA':
      return rsaMaterial(jwk)
    case 'EC':
      return ecMaterial(jwk)
    case 'OKP':
      return okpMaterial(jwk)
    case 'oct':
      return macMaterial(jwk)
    default:
      return { kind: 'foreign', say: 'is of a type that is not used for signatures here (kty)' }
  }
}

const malformed = (say: string): RefusedKey => ({ kind: 'malformed', say })

function rsaMaterial(jwk: JsonObject): Material | RefusedKey {
  const n = bytesOf(jwk, 'n')
  const e = bytesOf(jwk, 'e')
  if (n === undefined || e === undefined) return malformed('lacks a proper n or e')
  const weakness = rsaWeakness(n, e)
  if (weakness !== undefined) return { kind: 'weak', say: weakness }
  return { algorithms: rsaAlgorithms, jwk: { kty: 'RSA', n: n.toString('base64url'), e: e.toString('base64url') } }
}

const curves: ReadonlyMap<unknown, readonly [SignatureAlgorithm, number]> = new Map([
  ['P-256', ['ES256', 32]],
  ['P-384', ['ES384', 48]],
  ['P-521', ['ES512', 66]],
] as const)

function ecMaterial(jwk: JsonObject): Material | RefusedKey {
  const curve = curves.get(jwk['crv'])
  if (curve === undefined) return { kind: 'foreign', say: 'is on a curve that is not used here (P-256, P-384, P-521)' }
  const [algorithm, size] = curve
  const x = bytesOf(jwk, 'x')
  const y = bytesOf(jwk, 'y')
  // RFC 7518 §6.2.1.2: coordinates have the full size of the field.
  if (x?.length !== size || y?.length !== size) return malformed('lacks a proper x or y')
  const point = { x: x.toString('base64url'), y: y.toString('base64url') }
  return { algorithms: [algorithm], jwk: { kty: 'EC', crv: String(jwk['crv']), ...point } }
}

function okpMaterial(jwk: JsonObject): Material | RefusedKey {
  if (jwk['crv'] !== 'Ed25519') return { kind: 'foreign', say: 'is not on the curve Ed25519' }
  const x = bytesOf(jwk, 'x')
  if (x?.length !== 32) return malformed('lacks a proper x')
  const weakness = ed25519Weakness(x)
  if (weakness !== undefined) return { kind: 'weak', say: weakness }
  return { algorithms: ['EdDSA', 'Ed25519'], jwk: { kty: 'OKP', crv: 'Ed25519', x: x.toString('base64url') } }
}

/** RFC 7518 §3.2: a MAC key is at least as long as the hash. */
function macMaterial(jwk: JsonObject): Material | RefusedKey {
  const k = bytesOf(jwk, 'k')
  if (k === undefined) return malformed('lacks a proper k')
  const fitting = macAlgorithms.filter((one) => k.length * 8 >= Number(one.slice(2)))
  const wanted = jwk['alg']
  const strong = wanted === undefined ? fitting.length > 0 : fitting.some((one) => one === wanted)
  const known = wanted === undefined || macAlgorithms.some((one) => one === wanted)
  if (known && !strong) return { kind: 'weak', say: 'is shorter than the hash of its algorithm (RFC 7518 §3.2)' }
  return { algorithms: fitting, jwk: { kty: 'oct', k: k.toString('base64url') } }
}

function bytesOf(jwk: JsonObject, name: string): Buffer | undefined {
  const text = jwk[name]
  if (typeof text !== 'string' || text.length > 4096) return undefined
  const bytes = decodeBase64url(text)
  return bytes === undefined || (bytes.length === 0 && name !== 'k') ? undefined : bytes
}

function keyObject(jwk: JsonWebKey): KeyObject | undefined {
  try {
    return jwk.kty === 'oct'
      ? createSecretKey(Buffer.from(jwk.k ?? '', 'base64url'))
      : createPublicKey({ key: jwk, format: 'jwk' }) // refuses points that are not on their curve
  } catch {
    return undefined
  }
}
