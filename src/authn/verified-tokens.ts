import { LRUCache } from 'lru-cache'
import { once } from '../model/memo.ts'
import type { JwtToken } from './jwt-token.ts'

/** A token whose signature held: what was signed, and under which state of the key set. Claims are judged at every use. */
export interface VerifiedToken extends Pick<JwtToken, 'header' | 'claims'> {
  readonly generation: number
}

/** Tokens seen lately, by keyed digest of key source and text: bounded in entries and bytes. */
export interface VerifiedTokens {
  readonly get: (digest: string) => VerifiedToken | undefined
  /** `bytes` is the length of the token, from which the size in memory is reckoned. */
  readonly set: (digest: string, token: VerifiedToken, bytes: number) => void
  readonly clear: () => void
}

// What hangs on an entry, measured with a hundred thousand tokens: claims, identity, and the answers made for it.
const weight = (bytes: number): number => 8 * bytes + 2048

export function createVerifiedTokens(maxEntries = 10_000, maxBytes = 25_165_824): VerifiedTokens {
  const cache = once(() => new LRUCache<string, VerifiedToken>({ max: maxEntries, maxSize: maxBytes }))
  return {
    get: (digest) => cache().get(digest),
    set: (digest, token, bytes) => cache().set(digest, token, { size: weight(bytes) }),
    clear: () => cache().clear(),
  }
}
