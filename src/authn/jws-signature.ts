import { compactVerify } from 'jose/jws/compact/verify'
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
 */
export async function verifyingKey(
  jws: CompactJws,
  algorithm: SignatureAlgorithm,
  keys: readonly VerificationKey[],
): Promise<VerificationKey | undefined> {
  for (const one of keys) {
    if (one.algorithms.includes(algorithm) && (await holds(jws, algorithm, one))) return one
  }
  return undefined
}

async function holds(jws: CompactJws, algorithm: SignatureAlgorithm, { key }: VerificationKey): Promise<boolean> {
  try {
    await compactVerify(jws.text, key, { algorithms: [algorithm] })
    return true
  } catch {
    return false // whatever it was: a signature that was not seen to hold does not hold
  }
}
