import type { Clock } from '../model/clock.ts'
import type { Telemetry } from '../model/telemetry.ts'
import type { HttpClient } from './http-client.ts'
import type { Lockout } from './lockout.ts'
import type { PasswordPool } from './password-pool.ts'
import type { KeyedDigest } from './keyed-digest.ts'
import type { JwksStore } from './jwks-store.ts'
import type { Reviews } from './kubernetes-reviews.ts'
import type { Introspector } from './introspector.ts'

/**
 * What outlives snapshots: pools, stores, caches and counters that methods share. Made once, closed once.
 * Each member has a file of its own with a `create…` function.
 */
export interface Services {
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** Digests under a key that only this process knows: cache keys, API key lookups, subject hashes. */
  readonly digest: KeyedDigest
  readonly http: HttpClient
  readonly passwords: PasswordPool
  readonly lockout: Lockout
  readonly jwks: JwksStore
  readonly introspector: Introspector
  /** Questions to the API server about tokens and permissions; undefined where there is no cluster. */
  readonly reviews?: Reviews | undefined
}
