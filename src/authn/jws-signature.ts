import { constants, createHmac, timingSafeEqual, verify } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { compactVerify } from 'jose/jws/compact/verify'
import { memo } from '../model/memo.ts'
import { signatureAlgorithms } from './jwk.ts'
import type { SignatureAlgorithm, VerificationKey } from './jwk.ts'
import type { CompactJws } from './jwt-token.ts'

const known: ReadonlyMap<string, SignatureAlgorithm> = new Map(signatureAlgorithms.map((one) => [one, one]))

/** The algorithm that a header names, if the policy allows it; `none` and its spellings are on no list. */
export function allowedAlgorithm(alg: string, allowed: readonly SignatureAlgorithm[]): SignatureAlgorithm | undefined {
  const algorithm = known.get(alg)
  return algorithm !== undefined && allowed.includes(algorithm) ? algorithm : undefined
}

/**
 * The first of these keys under which the signature holds, or undefined. The algorithm is the one that the caller allowed
 * and the key can do; the header's word is not asked again (RFC 8725 §3.1).
 *
 * At once where that takes less than handing it to a thread and hearing back (PERFORMANCE.md §3: 25 µs for RS256 against 60):
 * RSA of usual size, P-256 and shared secrets. Other curves take longer, so jose does them beside the event loop.
 */
export function verifyingKey(
  jws: CompactJws,
  algorithm: SignatureAlgorithm,
  keys: readonly VerificationKey[],
): VerificationKey | undefined | Promise<VerificationKey | undefined> {
  const able = keys.filter(({ algorithms }) => algorithms.includes(algorithm))
  const quick = quickly[algorithm]
  return quick !== undefined && able.every(({ key }) => isQuick(key))
    ? able.find(({ key }) => safely(() => quick(jws, key)))
    : slowly(jws, algorithm, able)
}

/** A signature that was not seen to hold does not hold, whatever went wrong. */
function safely(holds: () => boolean): boolean {
  try {
    return holds()
  } catch {
    return false
  }
}

type Quick = (jws: CompactJws, key: KeyObject) => boolean

/** RFC 7518 §3.3: what Node does with an RSA key by default. To say so beside the key would double the time. */
const pkcs1 =
  (hash: string): Quick =>
  ({ signed, signature }, key) =>
    verify(hash, signed, key, signature)

/** RFC 7518 §3.5: the salt is as long as the hash. */
const pss =
  (hash: string): Quick =>
  ({ signed, signature }, key) =>
    verify(
      hash,
      signed,
      { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST },
      signature,
    )

/** RFC 7518 §3.4, as DER: to have Node make that of it, with `dsaEncoding` beside the key, takes half as long again. */
const ecdsa =
  (hash: string, size: number): Quick =>
  ({ signed, signature }, key) =>
    signature.length === 2 * size && verify(hash, signed, key, derSignature(signature, size))

/** `SEQUENCE { INTEGER r, INTEGER s }` (RFC 3279 §2.2.3) of two numbers of so many octets behind each other. */
function derSignature(signature: Uint8Array, size: number): Uint8Array {
  const [r, s] = [derInteger(signature.subarray(0, size)), derInteger(signature.subarray(size))]
  return Buffer.concat([Uint8Array.of(0x30, r.length + s.length), r, s])
}

/** No zeros before the number, but one where its first bit would be taken for a sign. */
function derInteger(bytes: Uint8Array): Uint8Array {
  let first = 0
  while (first < bytes.length - 1 && bytes[first] === 0) first += 1
  const sign = (bytes[first] ?? 0) < 0x80 ? 0 : 1
  const integer = Buffer.alloc(2 + sign + bytes.length - first)
  integer[0] = 0x02
  integer[1] = integer.length - 2
  integer.set(bytes.subarray(first), 2 + sign)
  return integer
}

/** RFC 7518 §3.2. */
const mac =
  (hash: string): Quick =>
  ({ signed, signature }, key) => {
    const right = createHmac(hash, key).update(signed).digest()
    return right.length === signature.length && timingSafeEqual(right, signature)
  }

const quickly: Readonly<Record<SignatureAlgorithm, Quick | undefined>> = {
  RS256: pkcs1('sha256'),
  RS384: pkcs1('sha384'),
  RS512: pkcs1('sha512'),
  PS256: pss('sha256'),
  PS384: pss('sha384'),
  PS512: pss('sha512'),
  HS256: mac('sha256'),
  HS384: mac('sha384'),
  HS512: mac('sha512'),
  ES256: ecdsa('sha256', 32),
  ES384: undefined,
  ES512: undefined,
  EdDSA: undefined,
  Ed25519: undefined,
}

/** Of the curves P-256 alone. The time of an RSA check grows with the square of the modulus, and with the length of the exponent. */
const isQuick = memo(({ type, asymmetricKeyType, asymmetricKeyDetails: of = {} }: KeyObject): boolean => {
  if (type === 'secret') return true
  if (asymmetricKeyType === 'ec') return of.namedCurve === 'prime256v1'
  return asymmetricKeyType === 'rsa' && (of.modulusLength ?? Infinity) <= 3072 && (of.publicExponent ?? 0n) <= 65_537n
})

async function slowly(
  { text }: CompactJws,
  algorithm: SignatureAlgorithm,
  keys: readonly VerificationKey[],
): Promise<VerificationKey | undefined> {
  for (const one of keys) {
    const holds = await compactVerify(text, one.key, { algorithms: [algorithm] }).then(
      () => true,
      () => false,
    )
    if (holds) return one
  }
  return undefined
}
