import { hash, randomBytes } from 'node:crypto'

/** SHA-256 over a process-wide random secret and length-delimited parts; the result serves as a map key. */
export type KeyedDigest = (...parts: readonly (string | Uint8Array)[]) => string

/**
 * Parts are delimited by their length, so that no two lists of parts ever meet in one digest (SECURITY.md E7). The secret comes
 * first and not in an HMAC, because one call costs a quarter: what HMAC adds, that nobody can extend a digest, is of no use to
 * somebody who never sees one whole.
 */
export function createKeyedDigest(secret: Uint8Array = randomBytes(32)): KeyedDigest {
  const prefix = Buffer.from(secret).toString('base64')
  return (...parts) => {
    let text = prefix
    for (const part of parts) {
      const plain = typeof part === 'string' ? part : Buffer.from(part).toString('latin1')
      text += `${plain.length}:${plain}`
    }
    return hash('sha256', text, 'base64url')
  }
}
