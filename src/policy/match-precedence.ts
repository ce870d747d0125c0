import type { Entry } from './match-entry.ts'

/* The order of httproute_types.go among matches that fit a request (GATEWAYS.md §A.5). */

const rank = { exact: 0, regex: 1, prefix: 1 } as const

/** Negative where a gateway takes the first before the second, given both fit. */
export function byPrecedence(one: Entry, other: Entry): number {
  return bySpecificity(one, other) || byRoute(one, other)
}

function bySpecificity(one: Entry, other: Entry): number {
  return (
    rank[one.path.kind] - rank[other.path.kind] ||
    other.path.length - one.path.length ||
    Number(one.method === undefined) - Number(other.method === undefined) ||
    other.headers - one.headers ||
    other.queries - one.queries
  )
}

const byRoute = (one: Entry, other: Entry): number =>
  (one.route.created ?? 0) - (other.route.created ?? 0) ||
  (one.route.name < other.route.name ? -1 : one.route.name > other.route.name ? 1 : 0) ||
  one.route.position - other.route.position

/** True where gateways may prefer the other: regexes rank as each likes, and a tie goes by an age that is not known. */
export function unsettled(winner: Entry, other: Entry): boolean {
  if (winner.path.kind === 'regex' || other.path.kind === 'regex') return winner.path.kind !== 'exact'
  if (bySpecificity(winner, other) !== 0 || winner.route.name === other.route.name) return false
  return winner.route.created === undefined || other.route.created === undefined
}
