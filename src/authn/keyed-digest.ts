import { createHmac, createSecretKey, randomBytes } from 'node:crypto'

/** HMAC-SHA-256 over length-delimited parts under a process-wide random key; the result serves as a map key. */
export type KeyedDigest = (...parts: readonly (string | Uint8Array)[]) => string

/** Parts are delimited by their length, so that no two lists of parts ever meet in one digest (SECURITY.md E7). */
export function createKeyedDigest(secret: Uint8Array = randomBytes(32)): KeyedDigest {
  // A KeyObject, because a Buffer key costs ten times as much on current Node.
  const key = createSecretKey(secret)
  return (...parts) => {
    const mac = createHmac('sha256', key)
    for (const part of parts) {
      const bytes = typeof part === 'string' ? Buffer.from(part, 'utf8') : part
      mac.update(`${bytes.length}:`).update(bytes)
    }
    return mac.digest('base64url')
  }
}
