import type { Via } from '../model/request.ts'
import type { Arenas } from './arenas.ts'
import type { Entry, Fit } from './match-entry.ts'
import { byPrecedence, unsettled } from './match-precedence.ts'
import type { Resolution } from './snapshot.ts'

/** A match that may fit a request. */
export interface Candidate {
  readonly entry: Entry
  readonly fits: Fit
  /** How far down the request's hosts it is found: the host itself is 0. */
  readonly tier: number
  readonly arenas: Arenas
}

/** One that competes in an arena. */
interface Contender extends Candidate {
  readonly near: number
  readonly sure: boolean
}

/** What the gateways of one arena do: ask for this rule, or not at all; undefined where they may differ. */
type Outcome = { readonly asked: Entry['rule'] | undefined; readonly sure: boolean } | undefined

/**
 * The rule for which a gateway asked. The check does not tell which gateway it was: each arena has a winner of its own, and
 * those whose winner asks for us in this way have to agree (GATEWAYS.md §1).
 */
export function chosen(candidates: readonly Candidate[], via: Via): Resolution {
  const all = groups(candidates)
  // Whatever wins in an arena where nobody asks us, the check did not come from there.
  const asking = all.length > 1 ? all.filter((group) => group.some(({ entry }) => entry.asks(via))) : all
  const outcomes = asking.map((group) => outcome(group, via))
  const [first, ...others] = outcomes.filter((one) => one?.asked !== undefined || one?.sure !== true)
  // A rule without our filter wins: the gateway would not have asked, so our picture of it is not right.
  const rule = first?.asked
  if (outcomes.includes(undefined) || others.some((one) => one?.asked !== rule))
    return { kind: 'refused', reason: 'ambiguous-match' }
  if (rule === undefined) return { kind: 'refused', reason: 'no-match' }
  if (rule.policy === undefined) return { kind: 'refused', reason: rule.refusal ?? 'no-policy', rule }
  return { kind: 'rule', rule }
}

/** Those who compete with each other, for each way in which a gateway may see it. */
function groups(candidates: readonly Candidate[]): readonly (readonly Contender[])[] {
  const [first] = candidates
  if (first === undefined) return []
  const alike = candidates.every(({ arenas }) => arenas.key === first.arenas.key)
  if (alike && first.arenas.sure) return [candidates.map((one) => ({ ...one, near: 0, sure: true }))]
  const contenders = candidates.flatMap((one) =>
    one.arenas.all.map(({ name, near, sure }) => ({ ...one, near, sure, name })),
  )
  return [...Map.groupBy(contenders, ({ name }) => name).values()].flatMap((all) => {
    // Gateways that isolate listeners give a request to the nearest one's routes; others to the routes of all (gateway_types.go).
    const nearest = Math.max(...all.map(({ near }) => near))
    const isolated = all.filter(({ near }) => near === nearest)
    return isolated.length === all.length ? [all] : [all, isolated]
  })
}

/** The best of those that match, unless gateways could choose another. */
function outcome(group: readonly Contender[], via: Via): Outcome {
  const tier = Math.min(...group.map((one) => one.tier))
  const [first, ...others] = group
    .filter((one) => one.tier === tier)
    .toSorted((one, other) => byPrecedence(one.entry, other.entry))
  if (first === undefined) return undefined
  const rivals = others.filter(({ entry }) => entry.rule !== first.entry.rule)
  const open = first.fits === 'unknown' || rivals.some(({ entry }) => unsettled(first.entry, entry))
  // Nobody has accepted it yet: it may not be in force, and must not answer for the rule of a stranger.
  const unsure = !first.sure && group.some((one) => namespaceOf(one) !== namespaceOf(first))
  if (open || unsure) return undefined
  return { asked: first.entry.asks(via) ? first.entry.rule : undefined, sure: first.sure }
}

const namespaceOf = ({ entry }: Candidate): string => entry.rule.key.namespace
