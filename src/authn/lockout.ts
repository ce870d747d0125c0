import { isIPv6 } from 'node:net'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../model/clock.ts'
import type { Telemetry } from '../model/telemetry.ts'
import { once } from '../model/memo.ts'
import { createKeyedDigest } from './keyed-digest.ts'

/** Who tries: `realm` parts users of different lists, not of different rules that share a list. */
export interface Claimant {
  readonly realm: string
  readonly user: string
  /** Undefined where nobody told: then everybody behind a gateway looks the same. */
  readonly source: string | undefined
}

/** An attempt under way; exactly one of its ends is called. */
export interface Attempt {
  readonly failed: () => void
  readonly succeeded: () => void
  /** Nothing was learned: no time, no room, no caller. */
  readonly dropped: () => void
}

/**
 * Failed attempts on record: growing delays for each user from each source, and for each source. Of an unknown source a long delay
 * would let anybody lock anybody out, so the delay stays within seconds, and who got in lately is let in meanwhile.
 */
export interface Lockout {
  /** Milliseconds until the next attempt is looked at; 0 where it may be made now. */
  readonly wait: (who: Claimant) => number
  /** True where even a password that was right lately is refused: a guesser must not learn from the memory of it. */
  readonly closed: (who: Claimant) => boolean
  /** Opens an attempt; undefined where it has to wait, also for others under way: guessing in parallel gains nothing. */
  readonly begin: (who: Claimant) => Attempt | undefined
}

export interface LockoutLimits {
  /** Failures before the first delay, for a user from one source and for a source. */
  readonly userFailures: number
  readonly sourceFailures: number
  /** Milliseconds of the first delay; each further failure doubles it up to the longest. */
  readonly firstDelay: number
  readonly longestDelay: number
  /** The same for a user of unknown source: short, because it is also the user's own. */
  readonly longestUnknown: number
  /** Guesses a second that the memory may be asked about while a user of unknown source is delayed. */
  readonly recalls: number
  /** Milliseconds after which a record without further failures is forgotten. */
  readonly memory: number
  /** Records of users, and again of sources. */
  readonly entries: number
}

const defaults: LockoutLimits = {
  userFailures: 5,
  sourceFailures: 50,
  firstDelay: 1000,
  longestDelay: 300_000,
  longestUnknown: 4000,
  recalls: 100,
  memory: 900_000,
  entries: 50_000,
}

const second = 1000

interface Entry {
  failures: number
  pending: number
  /** Ticks until which attempts are refused, and until which the record is kept. */
  closedUntil: number
  keptUntil: number
  /** Attempts refused since a tick, within a second of it. */
  refused: number
  refusedSince: number
}

const blank: Readonly<Entry> = {
  failures: 0,
  pending: 0,
  closedUntil: 0,
  keptUntil: 0,
  refused: 0,
  refusedSince: Number.NEGATIVE_INFINITY,
}

export interface LockoutParts {
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly limits?: Partial<LockoutLimits>
}

/**
 * Counts for the process, in bounded tables. A user locked from one source is not locked from another, or anybody could
 * lock anybody out. Success clears the user's record but not the source's: one good account must not buy more guesses.
 */
export function createLockout({ clock, telemetry, limits: given }: LockoutParts): Lockout {
  const limits = { ...defaults, ...given }
  const digest = createKeyedDigest()
  // Made for the first attempt: where no policy has passwords there is none.
  const users = once(() => new LRUCache<string, Entry>({ max: limits.entries }))
  const sources = once(() => new LRUCache<string, Entry>({ max: limits.entries }))

  const find = (table: LRUCache<string, Entry>, key: string): Entry | undefined => {
    const entry = table.get(key)
    if (entry === undefined || entry.pending > 0 || clock.ticks() < entry.keptUntil) return entry
    table.delete(key)
    return undefined
  }
  const open = (table: LRUCache<string, Entry>, key: string): Entry => {
    const entry = find(table, key) ?? { ...blank }
    table.set(key, entry)
    return entry
  }
  const fail = (entry: Entry, free: number, longest = limits.longestDelay): void => {
    entry.failures++
    const delay = Math.min(longest, limits.firstDelay * 2 ** Math.min(32, entry.failures - free))
    entry.closedUntil = entry.failures < free ? 0 : clock.ticks() + delay
    entry.keptUntil = clock.ticks() + delay + limits.memory
  }
  const userKey = ({ realm, user, source }: Claimant): string =>
    digest(realm, user.normalize('NFKC').toLowerCase(), network(source ?? ''))
  const left = (entry: Entry | undefined): number => Math.max(0, (entry?.closedUntil ?? 0) - clock.ticks())

  const wait = (who: Claimant): number => {
    if (users().size === 0 && sources().size === 0) return 0
    const bySource = who.source === undefined ? undefined : find(sources(), network(who.source))
    return Math.max(left(find(users(), userKey(who))), left(bySource))
  }

  const closed = (who: Claimant): boolean => {
    const delayed = wait(who) > 0
    if (!delayed || who.source !== undefined) return delayed
    const entry = find(users(), userKey(who))
    return entry !== undefined && entry.refused >= limits.recalls && clock.ticks() - entry.refusedSince < second
  }

  const refuse = (entry: Entry | undefined): undefined => {
    if (entry === undefined) return
    const fresh = clock.ticks() - entry.refusedSince < second
    Object.assign(entry, fresh ? { refused: entry.refused + 1 } : { refused: 1, refusedSince: clock.ticks() })
  }

  const begin = (who: Claimant): Attempt | undefined => {
    const key = userKey(who)
    if (wait(who) > 0) return refuse(find(users(), key))
    const entry = open(users(), key)
    // Past the free failures one attempt at a time; before, no more than could all fail.
    const room = Math.max(1, limits.userFailures - entry.failures)
    if (entry.pending >= room) return refuse(entry)
    entry.pending++
    const end = (clear: boolean) => (): void => {
      entry.pending--
      if (clear) Object.assign(entry, { failures: 0, closedUntil: 0, keptUntil: 0 })
      if (entry.pending === 0 && entry.failures === 0 && users().peek(key) === entry) users().delete(key)
      telemetry.level('lockout-entries', users().size + sources().size)
    }
    return {
      succeeded: end(true),
      dropped: end(false),
      failed: () => {
        fail(entry, limits.userFailures, who.source === undefined ? limits.longestUnknown : limits.longestDelay)
        if (who.source !== undefined) fail(open(sources(), network(who.source)), limits.sourceFailures)
        end(false)()
      },
    }
  }
  return { wait, closed, begin }
}

/** Whom an address stands for: the /64 of an IPv6 address, because whoever has one has all of it. */
export function network(address: string): string {
  const bare = address.replace(/%.*$/, '')
  if (!isIPv6(bare)) return address
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1]
  if (mapped !== undefined) return mapped
  const [head = '', tail] = new URL(`http://[${bare}]`).hostname.slice(1, -1).split('::')
  const [before, after] = [head, tail ?? ''].map((part) => (part === '' ? [] : part.split(':')))
  const zeros = Array<string>(Math.max(0, 8 - (before?.length ?? 0) - (after?.length ?? 0))).fill('0')
  return `${[...(before ?? []), ...zeros, ...(after ?? [])].slice(0, 4).join(':')}::/64`
}
