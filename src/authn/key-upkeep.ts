import { LRUCache } from 'lru-cache'
import type { Clock } from '../model/clock.ts'
import type { Telemetry } from '../model/telemetry.ts'
import { candidates } from './jwk-set.ts'
import type { KeySet } from './jwk-set.ts'
import type { JwksLocation, KeyLookup, KeySource } from './jwks-store.ts'
import { fetchKeySet } from './key-set-fetch.ts'
import type { PacedDocuments, Visit } from './paced-documents.ts'

/** Milliseconds. */
export interface KeyTimes {
  /** Between refreshes, ± 20 %: the longest that a withdrawn key is still believed, outages aside. */
  readonly refresh: number
  /** Least time between two exchanges for a URL, whatever asks for them; also the pause after a failed attempt. */
  readonly gap: number
  /** How long keys are used after the last good refresh. */
  readonly stale: number
  /** For one document of the issuer. */
  readonly timeout: number
  /** Longest that a request waits, reckoned from the start of the attempt. */
  readonly patience: number
  /** How long a kid that a fresh set did not have is not asked for again. */
  readonly negative: number
}

export const usualKeyTimes: KeyTimes = {
  refresh: 300_000,
  gap: 30_000,
  stale: 86_400_000,
  timeout: 5000,
  patience: 1000,
  negative: 60_000,
}

export interface UpkeepParts {
  readonly documents: PacedDocuments
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly random: () => number
  readonly after: (millis: number, run: () => void) => () => void
  readonly times: KeyTimes
  readonly nextGeneration: () => number
  /** Called after every attempt. */
  readonly attempted: () => void
  /** Keys that an earlier upkeep of the same location held. */
  readonly before?: Held | undefined
}

/** The keys of one issuer, looked after until `stop`. */
export interface KeyUpkeep extends Pick<KeySource, 'find' | 'generation' | 'doubt'> {
  /** Milliseconds since the set in use was fetched. */
  readonly age: () => number | undefined
  readonly held: () => Held | undefined
  readonly stop: () => void
}

/** A key set in use. */
export interface Held {
  readonly set: KeySet
  /** Ticks at which it was asked for. */
  readonly fetched: number
  readonly generation: number
}

/** Fetches at once, then on and on in the background; one attempt at a time, and no URL twice within `gap`. */
export function createKeyUpkeep(location: JwksLocation, parts: UpkeepParts): KeyUpkeep {
  const { clock, telemetry, times } = parts
  const stopped = new AbortController()
  const missing = new LRUCache<string, number>({ max: 1000 }) // kid → when a fresh set lacked it
  let held = parts.before
  let failed = false
  let began = 0 // of the last attempt
  let asked = 0 // of the last exchange that it rests on, which may be another's
  let whole = false // every exchange of it was its own
  let pending: Promise<void> | undefined
  let cancel: () => void = () => undefined

  function attempt(): void {
    if (pending !== undefined || stopped.signal.aborted) return
    cancel()
    began = clock.ticks()
    const visit = parts.documents.visit()
    const request = { http: visit.http, timeout: times.timeout, signal: stopped.signal }
    pending = fetchKeySet(location, request)
      .catch(() => undefined)
      .then((set) => settle(set, visit))
  }

  function settle(set: KeySet | undefined, visit: Visit): void {
    pending = undefined
    if (stopped.signal.aborted) return
    const oldest = visit.oldest() ?? began
    asked = visit.newest() ?? began
    whole = oldest >= began
    failed = set === undefined
    if (set !== undefined) take(set, oldest)
    if (visit.asked()) telemetry.count(failed ? 'jwks-fetch-failed' : 'jwks-fetch-ok')
    parts.attempted()
    // As soon as one of the documents may be asked for again: another's failure must not keep us from a server that is back.
    const pause = failed ? oldest + times.gap - clock.ticks() : times.refresh * (0.8 + 0.4 * parts.random())
    cancel = parts.after(Math.max(pause, 0), attempt)
  }

  /** Swaps the set whole; the generation moves only where the keys do, so that verified tokens stay known. */
  function take(set: KeySet, fetched: number): void {
    const same = held !== undefined && printOf(held.set) === printOf(set)
    const generation = same && held !== undefined ? held.generation : parts.nextGeneration()
    held = { set, fetched, generation }
    if (!same) missing.clear()
    for (const { kind } of set.refused) if (kind === 'exposed') telemetry.count('jwks-private-key')
  }

  const usable = (): Held | undefined =>
    held !== undefined && clock.ticks() - held.fetched <= times.stale ? held : undefined

  const due = (): boolean => clock.ticks() - asked >= times.gap

  const find: KeySource['find'] = (kid, alg, signal) => {
    const answer = lookUp(usable(), kid, alg, failed)
    if (answer !== undefined) return answer
    // An outage is no time to wait: whoever comes now is answered now (REL-03).
    if (failed) return { kind: 'unavailable' }
    const known = usable() !== undefined
    if (known && (kid === undefined || recentlyMissing(kid))) return { kind: 'unknown-key' }
    if (pending === undefined && due()) attempt()
    if (pending === undefined) return { kind: known ? 'unknown-key' : 'unavailable' }
    return settled(pending, began + times.patience - clock.ticks(), signal).then((came) => {
      const found = lookUp(usable(), kid, alg, failed)
      if (found !== undefined) return found
      if (!came || failed || usable() === undefined) return { kind: 'unavailable' }
      if (kid !== undefined && whole) missing.set(kid, clock.ticks())
      return { kind: 'unknown-key' }
    })
  }

  function recentlyMissing(kid: string): boolean {
    const since = missing.get(kid)
    return since !== undefined && clock.ticks() - since < times.negative
  }

  attempt()
  return {
    find,
    generation: () => usable()?.generation,
    doubt: () => {
      if (!failed && due()) attempt()
    },
    age: () => (held === undefined ? undefined : clock.ticks() - held.fetched),
    held: () => held,
    stop: () => {
      stopped.abort()
      cancel()
    },
  }
}

/** What a set says of a kid and algorithm; undefined where a newer set could say more. */
function lookUp(
  held: Held | undefined,
  kid: string | undefined,
  alg: Parameters<KeySource['find']>[1],
  stale: boolean,
): KeyLookup | undefined {
  if (held === undefined) return undefined
  const keys = candidates(held.set.keys, kid, alg)
  if (keys.length > 0) return { kind: 'keys', keys, stale, generation: held.generation }
  return kid !== undefined && held.set.keys.some((key) => key.kid === kid) ? { kind: 'unknown-key' } : undefined
}

const printOf = ({ keys }: KeySet): string =>
  JSON.stringify(keys.map(({ kid, algorithms, print }) => [kid, algorithms, print]))

/** True once the attempt has ended; false when the time or the request ended first. */
function settled(pending: Promise<void>, millis: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted || millis <= 0) return Promise.resolve(false)
  return new Promise((done) => {
    const end = (came: boolean) => (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', gone)
      done(came)
    }
    const gone = end(false)
    const timer = setTimeout(gone, millis)
    signal.addEventListener('abort', gone, { once: true })
    void pending.then(end(true))
  })
}
