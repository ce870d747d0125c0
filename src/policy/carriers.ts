import { memo, same } from '../model/memo.ts'
import type { AuthRequest, Via } from '../model/request.ts'
import { routeKey, showRoute } from '../model/route.ts'
import type { RouteKey } from '../model/route.ts'
import { parseTarget } from '../model/target.ts'
import { carriesOurs } from './gateway-api.ts'
import type { ExternalAuth, OurService } from './gateway-api.ts'
import { hostMatches, intersectHostname, nearness } from './hostname.ts'
import { entries, pathTest } from './match-entry.ts'
import type { Entry, Fit, Matched } from './match-entry.ts'
import { byPrecedence, unsettled } from './match-precedence.ts'
import type { Site, SitesOf } from './rule-book.ts'
import type { Rule } from './snapshot.ts'

/*
 * Rules whose filter carries the key of another (GATEWAYS.md R4): a check that names that other rule may be for either, and which
 * one it is for, the request has to tell.
 */

/** What the `http.path` of a filter makes of a request: a check in this way, for this key, with this put before the target. */
interface Lead {
  readonly via: Via
  readonly key: RouteKey
  readonly tail: string
}

/** A rule whose filter leads to another one's key. */
interface Carrier extends Lead {
  readonly site: Site
  readonly matches: readonly Prepared[]
}

type Prepared = Matched & { readonly path: (path: string) => Fit }

const prepared = (site: Site, us: OurService | undefined): readonly Prepared[] =>
  entries(site, us).map((one) => ({ ...one, path: pathTest(one.match) }))

/**
 * Makes the rules that other rules' filters name tell whose a request is. A route's owner can write any key, so a carrier of another
 * namespace counts only where a gateway took it beside the rule, and takes no more than the requests that are its own for
 * certain; of a carrier of the same namespace, or directory, whatever may be its own is refused. Rules without carriers stay as they are.
 */
export function createContests(
  us: OurService | undefined,
): <T extends SitesOf>(namespaces: readonly T[]) => readonly T[] {
  const carriersOf = memo((site: Site) => carriers(site, us))
  const carriersIn = memo((sites: readonly Site[]) => sites.flatMap(carriersOf))
  const known = new WeakMap<Site, Contested>()
  const settled = new WeakMap<readonly Site[], { readonly of: readonly Carrier[]; readonly sites: readonly Site[] }>()
  const settle = (sites: readonly Site[], of: readonly Carrier[]): readonly Site[] => {
    const byKey = Map.groupBy(of, ({ key }) => showRoute(key))
    return sites.map((site) => {
      const rivals = (byKey.get(site.rule.id) ?? []).filter((one) => meets(one, site) && counts(one, site, us))
      if (rivals.length === 0) return site
      const before = known.get(site)
      const kept = before !== undefined && same(before.rivals, rivals) ? before : contest(site, rivals, us)
      known.set(site, kept)
      return kept.made
    })
  }
  return (namespaces) => {
    const all = namespaces.flatMap(({ sites }) => carriersIn(sites))
    const byNamespace = Map.groupBy(all, ({ key }) => key.namespace)
    return namespaces.map((one) => {
      const { sites } = one
      const of = byNamespace.get(one.namespace.name)
      if (of === undefined) return one
      const before = settled.get(sites)
      const now = before !== undefined && same(before.of, of) ? before : { of, sites: settle(sites, of) }
      settled.set(sites, now)
      return { ...one, sites: now.sites }
    })
  }
}

interface Contested {
  readonly rivals: readonly Carrier[]
  readonly made: Site
}

function carriers(site: Site, us: OurService | undefined): readonly Carrier[] {
  const { key, route, rules } = site.site
  if (route === undefined) return []
  const own = showRoute(key)
  return rules.flatMap((rule) => {
    const { externalAuth } = rule
    if (externalAuth === undefined || (us !== undefined && !carriesOurs(externalAuth, route, us))) return []
    const lead = leadOf(externalAuth)
    if (lead === undefined || showRoute(lead.key) === own) return []
    return [{ ...lead, site, matches: prepared({ ...site, site: { ...site.site, rules: [rule] } }, us) }]
  })
}

// Some gateways put the first slash there where it is missing.
const keyed = /^\/?v1\/(?:(check)\/([^/]+)\/([^/]+)\/([^/]+)\/-((?:\/.*)?)|(ngf)\/([^/]+)\/([^/]+)\/([^/]+))$/

function leadOf({ protocol, path }: ExternalAuth): Lead | undefined {
  const found = protocol === 'HTTP' && path !== undefined ? keyed.exec(path) : null
  if (found === null) return undefined
  const [via, namespace = '', route = '', rule = '', tail = ''] =
    found[1] === undefined ? found.slice(6) : found.slice(1)
  const key = routeKey(namespace, route, rule)
  return key && { via: via === 'ngf' ? 'ngf' : 'check', key, tail }
}

const meets = ({ site: one }: Carrier, other: Site): boolean =>
  one.rule.hostnames.some((a) => other.rule.hostnames.some((b) => intersectHostname(a, b) !== undefined))

const near = ({ site: one }: Carrier, other: Site, us: OurService | undefined): boolean =>
  us === undefined || one.rule.key.namespace === other.rule.key.namespace

function counts(one: Carrier, other: Site, us: OurService | undefined): boolean {
  if (near(one, other, us)) return true
  const parents = other.site.route?.parents ?? new Set()
  return [...(one.site.site.route?.acceptedAt ?? [])].some((parent) => parents.has(parent))
}

// Looked at one by one for each check of the rule.
const most = 1024

function contest(site: Site, rivals: readonly Carrier[], us: OurService | undefined): Contested {
  const own = prepared(site, us)
  const close = rivals.filter((one) => near(one, site, us))
  const far = rivals.filter((one) => !close.includes(one))
  let room = most - close.reduce((sum, { matches }) => sum + matches.length, 0)
  const crowded = room < 0
  const heard = far.filter(({ matches }) => (room -= matches.length) >= 0)
  const contested = (request: AuthRequest): boolean => {
    if (request.fault !== undefined || (request.via !== 'check' && request.via !== 'ngf')) return false
    if (crowded) return true
    const unclear = request.rooted || request.target.ambiguous !== undefined
    const mine = claims(own, site.rule, request)
    const taken = (theirs: readonly Claim[], tail: string): boolean => beats(theirs, mine, tail)
    const open = (theirs: readonly Claim[], tail: string): boolean =>
      theirs.length > 0 && (unclear || !beats(mine, theirs, tail))
    return (
      close.some((one) => open(claimsOf(one, request), one.tail)) ||
      (!unclear && heard.some((one) => taken(claimsOf(one, request), one.tail)))
    )
  }
  return { rivals, made: { ...site, rule: Object.freeze({ ...site.rule, contested }) } }
}

/** A match that fits a request, and how near its host is. */
interface Claim {
  readonly entry: Entry
  readonly fits: Fit
  readonly host: number
}

/** What a carrier can say of a request: without what its filter put before the target. */
function claimsOf({ via, tail, site, matches }: Carrier, request: AuthRequest): readonly Claim[] {
  if (via !== request.via || !request.target.raw.startsWith(tail)) return []
  if (tail === '') return claims(matches, site.rule, request)
  const target = parseTarget(request.target.raw.slice(tail.length))
  return target === undefined ? [] : claims(matches, site.rule, { ...request, target })
}

function claims(matches: readonly Prepared[], { hostnames }: Rule, request: AuthRequest): readonly Claim[] {
  const host = Math.max(...hostnames.map((pattern) => (hostMatches(pattern, request.host) ? nearness(pattern) : -1)))
  if (host < 0) return []
  return matches
    .map((one) => ({ entry: one.entry, fits: fitOf(one, request), host }))
    .filter(({ fits }) => fits !== 'no')
}

function fitOf({ path: test, entry }: Prepared, request: AuthRequest): Fit {
  const path = request.target.ambiguous === undefined ? test(request.target.path) : 'unknown'
  if (path === 'no') return path
  const rest = entry.test(request)
  // Some gateways leave the query out of a check (GATEWAYS.md §B.3).
  if (rest === 'no') return entry.queries > 0 && request.target.query === undefined ? 'unknown' : rest
  return path === 'unknown' ? path : rest
}

/** True where the best of these wins over all of those for certain. Targets that differ have no precedence. */
function beats(these: readonly Claim[], those: readonly Claim[], tail: string): boolean {
  const [first, ...rest] = these.filter(({ fits }) => fits === 'yes')
  if (first === undefined) return false
  const best = rest.reduce((one, other) => (byPrecedence(other.entry, one.entry) < 0 ? other : one), first)
  return those.length === 0 || (tail === '' && those.every((other) => wins(best, other)))
}

function wins({ entry: one, host }: Claim, { entry: other, host: theirs }: Claim): boolean {
  return host === theirs ? byPrecedence(one, other) < 0 && !unsettled(one, other) : host > theirs
}
