import { createHash, timingSafeEqual } from 'node:crypto'

/** Equality that takes the same time wherever two values differ, and however long they are (timingSafeEqual throws). */
export const sameBytes = (one: string | Uint8Array, other: string | Uint8Array): boolean =>
  timingSafeEqual(sha256(one), sha256(other))

const sha256 = (value: string | Uint8Array): Buffer => createHash('sha256').update(value).digest()
