import { isIPv6 } from 'node:net'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../model/clock.ts'
import type { Telemetry } from '../model/telemetry.ts'
import { createKeyedDigest } from './keyed-digest.ts'

/** Who tries: `realm` parts users of different lists, not of different rules that share a list. */
export interface Claimant {
  readonly realm: string
  readonly user: string
  readonly source: string | undefined
}

/** An attempt under way; exactly one of its ends is called. */
export interface Attempt {
  readonly failed: () => void
  readonly succeeded: () => void
  /** Nothing was learned: no time, no room, no caller. */
  readonly dropped: () => void
}

/** Failed attempts on record: growing delays for each user from each source, and for each source. */
export interface Lockout {
  /** Milliseconds until the next attempt is looked at; 0 where it may be made now. */
  readonly wait: (who: Claimant) => number
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
  memory: 900_000,
  entries: 50_000,
}

interface Entry {
  failures: number
  pending: number
  /** Ticks until which attempts are refused, and until which the record is kept. */
  closedUntil: number
  keptUntil: number
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
  const users = new LRUCache<string, Entry>({ max: limits.entries })
  const sources = new LRUCache<string, Entry>({ max: limits.entries })

  const find = (table: LRUCache<string, Entry>, key: string): Entry | undefined => {
    const entry = table.get(key)
    if (entry === undefined || entry.pending > 0 || clock.ticks() < entry.keptUntil) return entry
    table.delete(key)
    return undefined
  }
  const open = (table: LRUCache<string, Entry>, key: string): Entry => {
    const entry = find(table, key) ?? { failures: 0, pending: 0, closedUntil: 0, keptUntil: 0 }
    table.set(key, entry)
    return entry
  }
  const fail = (entry: Entry, free: number): void => {
    entry.failures++
    const delay = Math.min(limits.longestDelay, limits.firstDelay * 2 ** Math.min(32, entry.failures - free))
    entry.closedUntil = entry.failures < free ? 0 : clock.ticks() + delay
    entry.keptUntil = clock.ticks() + delay + limits.memory
  }
  const userKey = ({ realm, user, source }: Claimant): string =>
    digest(realm, user.normalize('NFKC').toLowerCase(), network(source ?? ''))
  const left = (entry: Entry | undefined): number => Math.max(0, (entry?.closedUntil ?? 0) - clock.ticks())

  const wait = (who: Claimant): number => {
    if (users.size === 0 && sources.size === 0) return 0
    const bySource = who.source === undefined ? undefined : find(sources, network(who.source))
    return Math.max(left(find(users, userKey(who))), left(bySource))
  }

  const begin = (who: Claimant): Attempt | undefined => {
    if (wait(who) > 0) return undefined
    const key = userKey(who)
    const entry = open(users, key)
    // Past the free failures one attempt at a time; before, no more than could all fail.
    const room = Math.max(1, limits.userFailures - entry.failures)
    if (entry.pending >= room) return undefined
    entry.pending++
    const end = (clear: boolean) => (): void => {
      entry.pending--
      if (clear) Object.assign(entry, { failures: 0, closedUntil: 0, keptUntil: 0 })
      if (entry.pending === 0 && entry.failures === 0 && users.peek(key) === entry) users.delete(key)
      telemetry.level('lockout-entries', users.size + sources.size)
    }
    return {
      succeeded: end(true),
      dropped: end(false),
      failed: () => {
        fail(entry, limits.userFailures)
        if (who.source !== undefined) fail(open(sources, network(who.source)), limits.sourceFailures)
        end(false)()
      },
    }
  }
  return { wait, begin }
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
