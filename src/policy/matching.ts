import type { AuthRequest } from '../model/request.ts'
import type { HttpRouteMatch, OurService } from './gateway-api.ts'
import { entries, trimmed, valueTest } from './match-entry.ts'
import type { Entry, Fit, Matched } from './match-entry.ts'
import { memo, same } from '../model/memo.ts'
import type { Site } from './rule-book.ts'
import type { Resolution } from './snapshot.ts'

/** Entries of one hostname, found by the path alone; cost does not grow with the number of rules on the host. */
interface HostIndex {
  readonly exact: Map<string, Entry[]>
  readonly prefix: Map<string, Entry[]>
  readonly regex: { readonly fits: (path: string) => Fit; readonly entry: Entry }[]
}

/**
 * Chooses among all known rules as a gateway would (httproute_types.go): hostname, then exact path, longest prefix, method,
 * number of headers, number of query parameters, oldest route, name, order. What gateways may decide differently is refused.
 * A host's index is made when it is first asked for, and kept as long as the rules of that host stay the same.
 */
export function createMatcher(
  us: OurService | undefined,
): (sites: readonly Site[]) => (request: AuthRequest) => Resolution {
  const entriesOf = memo((site: Site) => entries(site, us))
  let kept = new Map<string, { readonly sites: readonly Site[]; readonly index: () => HostIndex }>()
  return (sites) => {
    const next: typeof kept = new Map()
    for (const [host, ofHost] of byHost(sites)) {
      const before = kept.get(host)
      const unchanged = before !== undefined && same(before.sites, ofHost)
      next.set(host, unchanged ? before : { sites: ofHost, index: once(() => hostIndex(ofHost.flatMap(entriesOf))) })
    }
    kept = next
    return (request) => {
      if (request.fault !== undefined) return { kind: 'refused', reason: request.fault }
      if (request.target.ambiguous !== undefined) return { kind: 'refused', reason: 'ambiguous-target' }
      for (const host of hostCandidates(request.host)) {
        const index = next.get(host)?.index()
        const resolution = index === undefined ? undefined : choose(found(index, request), request)
        if (resolution !== undefined) return resolution
      }
      return { kind: 'refused', reason: 'no-match' }
    }
  }
}

function byHost(sites: readonly Site[]): ReadonlyMap<string, readonly Site[]> {
  const hosts = new Map<string, Site[]>()
  for (const site of sites) {
    for (const host of site.site.hostnames) {
      const list = hosts.get(host)
      if (list === undefined) hosts.set(host, [site])
      else list.push(site)
    }
  }
  return hosts
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => (made ??= { value: make() }).value
}

/** The host itself, its wildcards from the longest to the shortest, then any. */
function hostCandidates(host: string): readonly string[] {
  const labels = host.split('.')
  return [host, ...labels.slice(1).map((_, index) => `*.${labels.slice(index + 1).join('.')}`), '']
}

function hostIndex(all: readonly Matched[]): HostIndex {
  const index: HostIndex = { exact: new Map(), prefix: new Map(), regex: [] }
  for (const { match, entry } of all) insert(index, match, entry)
  return index
}

function insert(index: HostIndex, match: HttpRouteMatch, entry: Entry): void {
  const { value } = match.path
  const add = (map: Map<string, Entry[]>, key: string): void => {
    const list = map.get(key)
    if (list === undefined) map.set(key, [entry])
    else list.push(entry)
  }
  switch (entry.path.kind) {
    case 'exact':
      return add(index.exact, value)
    case 'prefix':
      return add(index.prefix, trimmed(value))
    case 'regex':
      index.regex.push({ fits: valueTest('RegularExpression', value), entry })
  }
}

interface Found {
  readonly entry: Entry
  readonly fits: Fit
}

/** Every entry whose path may fit: one look-up for each segment of the path, however many rules the host has. */
function found(index: HostIndex, { target: { path } }: AuthRequest): readonly Found[] {
  const all = [...(index.exact.get(path) ?? [])]
  for (let key = trimmed(path); ; key = key.slice(0, key.lastIndexOf('/'))) {
    all.push(...(index.prefix.get(key) ?? []))
    if (key === '' || !key.startsWith('/')) break
  }
  const certain = all.map((entry) => ({ entry, fits: 'yes' as const }))
  return [...certain, ...index.regex.map(({ entry, fits }) => ({ entry, fits: fits(path) }))]
}

/** The best of the entries that match, or a refusal where gateways could choose another; undefined where none matches. */
function choose(candidates: readonly Found[], request: AuthRequest): Resolution | undefined {
  const tested = candidates
    .map(({ entry, fits }) => ({ entry, fits: fits === 'no' ? fits : both(fits, entry.test(request)) }))
    .filter(({ fits }) => fits !== 'no')
  if (tested.length === 0) return undefined
  const [first, ...others] = tested.toSorted((one, other) => byPrecedence(one.entry, other.entry))
  if (first === undefined) return undefined
  const rivals = others.filter(({ entry }) => entry.rule !== first.entry.rule)
  const open = first.fits === 'unknown' || rivals.some(({ entry }) => unsettled(first.entry, entry))
  if (open) return { kind: 'refused', reason: 'ambiguous-match' }
  const { rule, asks } = first.entry
  // A rule without our filter wins: the gateway would not have asked, so our picture of it is not right.
  if (!asks(request.via)) return { kind: 'refused', reason: 'no-match' }
  if (rule.policy === undefined) return { kind: 'refused', reason: rule.refusal ?? 'no-policy', rule }
  return { kind: 'rule', rule }
}

const both = (one: Fit, other: Fit): Fit => (one === 'unknown' && other === 'yes' ? one : other)

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
