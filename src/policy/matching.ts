import type { AuthRequest } from '../model/request.ts'
import type { HttpRouteMatch, OurService } from './gateway-api.ts'
import { everywhere } from './arenas.ts'
import type { Arenas } from './arenas.ts'
import { chosen } from './choice.ts'
import type { Candidate } from './choice.ts'
import { entries, trimmed, valueTest } from './match-entry.ts'
import type { Entry, Fit } from './match-entry.ts'
import { memo } from '../model/memo.ts'
import { createPools } from '../model/pools.ts'
import type { Site, SitesOf } from './rule-book.ts'
import type { Resolution } from './snapshot.ts'

/** What one host's rules have to do with it. */
interface Stand {
  readonly host: string
  readonly site: Site
  readonly arenas: Arenas
}

/** An entry with the places where its route serves the host. */
interface Placed {
  readonly entry: Entry
  readonly arenas: Arenas
}

/** Entries of one hostname, found by the path alone; cost does not grow with the number of rules on the host. */
interface HostIndex {
  readonly exact: Map<string, Placed[]>
  readonly prefix: Map<string, Placed[]>
  readonly regex: { readonly fits: (path: string) => Fit; readonly placed: Placed }[]
}

/**
 * Chooses among all known rules as a gateway would (httproute_types.go): hostname, then exact path, longest prefix, method,
 * number of headers, number of query parameters, oldest route, name, order. What gateways may decide differently is refused.
 * In a cluster, a rule competes where its route was accepted. A host's index is made when it is first asked for, and kept as
 * long as the rules of that host stay the same.
 */
export function createMatcher(
  us: OurService | undefined,
): (namespaces: readonly SitesOf[]) => (request: AuthRequest) => Resolution {
  const entriesOf = memo((site: Site) => entries(site, us))
  const standsOf = memo((site: Site) => stands(site, us))
  const standsIn = memo((sites: readonly Site[]) => Map.groupBy(sites.flatMap(standsOf), ({ host }) => host))
  const placed = ({ site, arenas }: Stand): readonly (Placed & { readonly match: HttpRouteMatch })[] =>
    entriesOf(site).map(({ match, entry }) => ({ match, entry, arenas }))
  const hosts = createPools((all: readonly Stand[]) => hostIndex(all.flatMap(placed)))
  return (namespaces) => {
    const known = hosts(new Map(namespaces.map(({ namespace, sites }) => [namespace.name, standsIn(sites)])))
    return (request) => {
      if (request.fault !== undefined) return { kind: 'refused', reason: request.fault }
      if (request.rooted) return { kind: 'refused', reason: 'ambiguous-match' }
      if (request.target.ambiguous !== undefined) return { kind: 'refused', reason: 'ambiguous-target' }
      let candidates: readonly Candidate[] = []
      for (const [tier, host] of hostCandidates(request.host).entries()) {
        const index = known.get(host)?.made()
        if (index !== undefined) candidates = [...candidates, ...found(index, request, tier)]
        // Where there is one arena only, the first host that has a match decides.
        if (us === undefined && candidates.length > 0) break
      }
      return chosen(candidates, request.via)
    }
  }
}

const stands = (site: Site, us: OurService | undefined): readonly Stand[] =>
  us === undefined
    ? site.site.hostnames.map((host) => ({ host, site, arenas: everywhere }))
    : [...site.site.arenas].map(([host, arenas]) => ({ host, site, arenas }))

/** The host itself, its wildcards from the longest to the shortest, then any. */
function hostCandidates(host: string): readonly string[] {
  const labels = host.split('.')
  return [host, ...labels.slice(1).map((_, index) => `*.${labels.slice(index + 1).join('.')}`), '']
}

function hostIndex(all: readonly (Placed & { readonly match: HttpRouteMatch })[]): HostIndex {
  const index: HostIndex = { exact: new Map(), prefix: new Map(), regex: [] }
  for (const { match, ...placed } of all) insert(index, match, placed)
  return index
}

function insert(index: HostIndex, match: HttpRouteMatch, placed: Placed): void {
  const { value } = match.path
  const add = (map: Map<string, Placed[]>, key: string): void => {
    const list = map.get(key)
    if (list === undefined) map.set(key, [placed])
    else list.push(placed)
  }
  switch (placed.entry.path.kind) {
    case 'exact':
      return add(index.exact, value)
    case 'prefix':
      return add(index.prefix, trimmed(value))
    case 'regex':
      index.regex.push({ fits: valueTest('RegularExpression', value), placed })
  }
}

/** Every entry that may fit: one look-up for each segment of the path, however many rules the host has. */
function found(index: HostIndex, request: AuthRequest, tier: number): readonly Candidate[] {
  const { path } = request.target
  const all = [...(index.exact.get(path) ?? [])]
  for (let key = trimmed(path); ; key = key.slice(0, key.lastIndexOf('/'))) {
    all.push(...(index.prefix.get(key) ?? []))
    if (key === '' || !key.startsWith('/')) break
  }
  const certain = all.map((placed) => candidate(placed, 'yes', request, tier))
  const open = index.regex.map(({ placed, fits }) => candidate(placed, fits(path), request, tier))
  return [...certain, ...open].filter(({ fits }) => fits !== 'no')
}

const candidate = ({ entry, arenas }: Placed, path: Fit, request: AuthRequest, tier: number): Candidate => ({
  entry,
  arenas,
  tier,
  fits: path === 'no' ? path : both(path, entry.test(request)),
})

const both = (one: Fit, other: Fit): Fit => (one === 'unknown' && other === 'yes' ? one : other)
