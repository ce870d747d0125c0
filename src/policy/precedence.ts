import type { PolicyCandidate } from './candidate.ts'

/** How near a target is to a rule (GEP-713): the higher, the more specific. */
export const levels = { gateway: 0, listener: 1, route: 2, rule: 3 } as const
export type Level = (typeof levels)[keyof typeof levels]

/** One policy that targets a rule, at the most specific of its targets. */
export interface Attachment {
  readonly candidate: PolicyCandidate
  readonly level: Level
}

/** The one policy in force for a rule, and those that lost to an equal. */
export interface Ruling {
  readonly winner: PolicyCandidate | undefined
  /** Policies of the winner's own level: an error of theirs (Conflicted), unlike being overridden. */
  readonly conflicted: readonly PolicyCandidate[]
}

/**
 * GEP-713, merge strategy Atomic: the least specific policy that Overrides wins; without one the most specific wins whole.
 * Among equals the older, then the first by namespace and name.
 */
export function ruling(attachments: readonly Attachment[]): Ruling {
  const overriding = attachments.filter(({ candidate }) => candidate.strategy === 'Overrides')
  const field = overriding.length > 0 ? overriding : attachments
  const wanted = field
    .map(({ level }) => level)
    .reduce<Level | undefined>((best, level) => {
      if (best === undefined) return level
      return overriding.length > 0 === level < best ? level : best
    }, undefined)
  const [winner, ...conflicted] = field
    .filter(({ level }) => level === wanted)
    .map(({ candidate }) => candidate)
    .sort(byAgeThenName)
  return { winner, conflicted }
}

/** Older first; an object without a timestamp is younger than all that have one. */
function byAgeThenName(one: PolicyCandidate, other: PolicyCandidate): number {
  const age = (one.created ?? Infinity) - (other.created ?? Infinity)
  if (age !== 0 && !Number.isNaN(age)) return age
  return one.id < other.id ? -1 : one.id > other.id ? 1 : 0
}
