import type { Clock } from '../model/clock.ts'
import type { Telemetry } from '../model/telemetry.ts'
import type { HttpClient } from './http-client.ts'
import { candidates } from './jwk-set.ts'
import type { SignatureAlgorithm, VerificationKey } from './jwk.ts'
import { createKeyUpkeep, usualKeyTimes } from './key-upkeep.ts'
import type { Held, KeyTimes, KeyUpkeep } from './key-upkeep.ts'
import { createPacedDocuments } from './paced-documents.ts'
import { createVerifiedTokens } from './verified-tokens.ts'
import type { VerifiedTokens } from './verified-tokens.ts'

/** Where an issuer's keys are to be had. */
export type JwksLocation =
  { readonly kind: 'discovery'; readonly issuer: string } | { readonly kind: 'uri'; readonly uri: string }

/** What is known of an issuer's keys right now; never waits for the network once a set is known. */
export type KeyLookup =
  | {
      readonly kind: 'keys'
      readonly keys: readonly VerificationKey[]
      /** True where the last refresh failed and the keys are of an earlier one. */
      readonly stale: boolean
      readonly generation: number
    }
  | { readonly kind: 'unknown-key' }
  | { readonly kind: 'unavailable' }

/** The keys of all issuers in use: refreshed in the background, kept through outages. */
export interface JwksStore {
  /** Starts (or shares) the upkeep of one issuer's keys; call `release` when no policy uses them any more. */
  readonly acquire: (location: JwksLocation) => KeySource
  /** Tokens verified lately under keys of this store. */
  readonly verified: VerifiedTokens
  readonly close: () => void
}

export interface KeySource {
  /** Equal for sources of the same keys: parts cache keys (SECURITY.md E7). */
  readonly id: string
  /**
   * Keys that could have signed a token with this `kid` and `alg`. A kid that is not in the set asks for one refresh
   * (bounded in rate) and answers from it if it comes before `signal` aborts.
   */
  readonly find: (
    kid: string | undefined,
    alg: SignatureAlgorithm,
    signal: AbortSignal,
  ) => KeyLookup | Promise<KeyLookup>
  /** Changes whenever the usable keys change; undefined where none are usable. */
  readonly generation: () => number | undefined
  /** Tells that a signature failed under a key that was found: asks for a refresh in the background, bounded in rate. */
  readonly doubt: () => void
  readonly release: () => void
}

export interface JwksStoreParts {
  readonly http: HttpClient
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** 0 ≤ r < 1: jitter of the refresh. */
  readonly random?: () => number
  /** Runs something later and gives the way to call it off; never keeps the process alive. */
  readonly after?: (millis: number, run: () => void) => () => void
  readonly times?: Partial<KeyTimes>
}

interface Entry {
  readonly upkeep: KeyUpkeep
  users: number
  /** Ticks at which the last user let go. */
  left: number
}

/** Made once for the process; close it once. */
export function createJwksStore(parts: JwksStoreParts): JwksStore {
  const { clock, telemetry, random = Math.random, after = timer } = parts
  const upkeeps = new Map<string, Entry>()
  const verified = createVerifiedTokens()
  const times = { ...usualKeyTimes, ...parts.times }
  const documents = createPacedDocuments({ http: parts.http, clock, gap: times.gap })
  let generation = 0

  const reportAge = (): void => {
    const ages = [...upkeeps.values()].flatMap(({ upkeep, users }) => (users > 0 ? (upkeep.age() ?? []) : []))
    telemetry.level('jwks-age-seconds', ages.length === 0 ? 0 : Math.round(Math.max(...ages) / 1000))
  }

  const begin = (location: JwksLocation, before: Held | undefined): KeyUpkeep =>
    createKeyUpkeep(location, {
      documents,
      before,
      clock,
      telemetry,
      random,
      after,
      times,
      nextGeneration: () => ++generation,
      attempted: reportAge,
    })

  /** What nobody uses is kept for a while: a policy that is written anew must not come back without the keys that it had. */
  function forget(): void {
    for (const [id, { users, left }] of upkeeps) {
      if (users === 0 && clock.ticks() - left >= times.gap) upkeeps.delete(id)
    }
  }

  function acquire(location: JwksLocation): KeySource {
    const id = location.kind === 'uri' ? `uri ${location.uri}` : `discovery ${location.issuer}`
    forget()
    const last = upkeeps.get(id)
    const entry =
      last !== undefined && last.users > 0 ? last : { upkeep: begin(location, last?.upkeep.held()), users: 0, left: 0 }
    upkeeps.set(id, entry)
    entry.users += 1
    let held = true
    const release = (): void => {
      if (!held) return
      held = false
      entry.users -= 1
      if (entry.users > 0) return
      entry.upkeep.stop()
      entry.left = clock.ticks()
      forget()
    }
    const { find, generation: current, doubt } = entry.upkeep
    return { id, find, generation: current, doubt, release }
  }

  return {
    acquire,
    verified,
    close: () => {
      for (const { upkeep } of upkeeps.values()) upkeep.stop()
      upkeeps.clear()
      documents.close()
      verified.clear()
    },
  }
}

function timer(millis: number, run: () => void): () => void {
  const handle = setTimeout(run, millis).unref()
  return () => clearTimeout(handle)
}

/** Keys that the operator gave in a Secret or ConfigMap: `id` names their bytes, so that other bytes are another source. */
export function localKeySource(keys: readonly VerificationKey[], id: string): KeySource {
  return {
    id: `local ${id}`,
    find: (kid, alg) => {
      const found = candidates(keys, kid, alg)
      return found.length === 0 ? { kind: 'unknown-key' } : { kind: 'keys', keys: found, stale: false, generation: 0 }
    },
    generation: () => 0,
    doubt: () => undefined,
    release: () => undefined,
  }
}
