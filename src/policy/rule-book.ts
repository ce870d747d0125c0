import type { DenyReason } from '../model/decision.ts'
import { ownedSpellings } from '../model/header.ts'
import { fault } from '../model/result.ts'
import type { Finding } from '../model/result.ts'
import { showRoute } from '../model/route.ts'
import type { PolicyCandidate } from './candidate.ts'
import { carriesOurs } from './gateway-api.ts'
import type { HttpRoute, OurService } from './gateway-api.ts'
import { lookingAround } from './around.ts'
import type { Around, Looked } from './around.ts'
import type { Located } from './manifest.ts'
import { same, steady } from '../model/memo.ts'
import type { Namespace } from './namespace.ts'
import { ruling } from './precedence.ts'
import type { Rule } from './snapshot.ts'
import { keyOnlySites, sitesOf, surroundingsOf } from './topology.ts'
import type { RuleSite } from './topology.ts'

/** A rule, the place it came from, and what is wrong with that place. */
export interface Site {
  readonly rule: Rule
  readonly site: RuleSite
  readonly winner: PolicyCandidate | undefined
  readonly findings: readonly Located[]
}

/** The rules of one namespace: one and the same list as long as they are the same. */
export interface SitesOf {
  readonly namespace: { readonly name: string }
  readonly sites: readonly Site[]
}

/** The policy of a candidate, where it could be compiled. */
type PolicyOf = Around['policyOf']

/**
 * Judges which policy is in force for each rule of one namespace. As long as neither the namespace nor what its routes lead to
 * changes, its rules are the same; and else a route keeps those it had as long as its own surroundings are.
 */
export type RuleBook = (namespace: Namespace, around: Around) => readonly Site[]

interface Page {
  readonly basis: readonly unknown[]
  readonly sites: readonly Site[]
}

export function createRuleBook(us: OurService | undefined): RuleBook {
  let last: { readonly namespace: Namespace; readonly holds: Looked['holds'] } | undefined
  let pages: ReadonlyMap<HttpRoute | string, Page> = new Map()
  let sites: readonly Site[] = []
  const listed = steady<Site>()
  return (namespace, around) => {
    if (last?.namespace === namespace && last.holds(around)) return sites
    const { around: looked, holds } = lookingAround(around)
    pages = read({ namespace, around: looked, us }, pages)
    sites = listed([...pages.values()].flatMap((page) => page.sites))
    last = { namespace, holds }
    return sites
  }
}

interface Reading {
  readonly namespace: Namespace
  readonly around: Around
  readonly us: OurService | undefined
}

/** One page for each route, and for each rule that only policies know. */
function read(
  { namespace, around, us }: Reading,
  pages: ReadonlyMap<HttpRoute | string, Page>,
): ReadonlyMap<HttpRoute | string, Page> {
  const { candidates, claims, routesByName: routes } = namespace
  const { policyOf } = around
  const topology = { ...around, routes, claims }
  const next = new Map<HttpRoute | string, Page>()
  const keep = (of: HttpRoute | string, basis: readonly unknown[], sitesNow: () => readonly RuleSite[]): void => {
    const before = pages.get(of)
    const kept = before !== undefined && same(before.basis, basis)
    next.set(of, kept ? before : { basis, sites: sitesNow().map((site) => judge(site, policyOf, us)) })
  }
  for (const route of routes.values()) {
    const surroundings = surroundingsOf(route, topology)
    const basis = [...surroundings.parents, ...surroundings.candidates, ...surroundings.candidates.map(policyOf)]
    keep(route, basis, () => sitesOf(route, surroundings, topology))
  }
  for (const site of keyOnlySites(candidates.all, routes)) {
    const basis = site.attachments.flatMap(({ candidate, level }) => [candidate, level, policyOf(candidate)])
    keep(showRoute(site.key), basis, () => [site])
  }
  return next
}

/** The rule that a site becomes: its one policy, or why it refuses everything. */
function judge(site: RuleSite, policyOf: PolicyOf, us: OurService | undefined): Site {
  const { winner, conflicted } = ruling(site.attachments)
  const policy = site.duplicate || winner === undefined ? undefined : policyOf(winner)
  const managed = site.attachments.flatMap(({ candidate }) => policyOf(candidate)?.managed ?? [])
  const rule: Rule = Object.freeze({
    key: site.key,
    id: showRoute(site.key),
    policy,
    refusal: policy === undefined ? refusalOf(site, winner) : undefined,
    owned: ownedSpellings(managed),
    hostnames: site.hostnames,
    ...httpChecks(site, us),
    contested: undefined,
    acceptedBy: us === undefined ? undefined : site.route?.acceptedBy,
  })
  const conflicts = conflicted.map(({ manifest }) => ({ manifest, finding: conflict(site, winner) }))
  return { rule, site, winner, findings: [...conflicts, ...duplicates(site)] }
}

const refusalOf = (site: RuleSite, winner: PolicyCandidate | undefined): DenyReason =>
  site.duplicate ? 'duplicate-rule' : winner === undefined ? 'no-policy' : 'broken-policy'

/**
 * Over HTTP the filter's path is the key; a filter without one is served by matching only. In a cluster a rule without a
 * filter of ours has nothing to ask us for.
 */
function httpChecks({ route, rules }: RuleSite, us: OurService | undefined): Pick<Rule, 'checkPath' | 'copiesLength'> {
  // Nothing is known of the gateway's configuration; Envoy's own default copies no header (GATEWAYS.md §G.3).
  if (route === undefined) return { checkPath: undefined, copiesLength: false }
  const filters = rules.flatMap(({ externalAuth }) => externalAuth ?? []).filter(({ protocol }) => protocol === 'HTTP')
  const ours = us === undefined ? filters : filters.filter((filter) => carriesOurs(filter, route, us))
  if (ours.length === 0) return { checkPath: us === undefined ? undefined : '', copiesLength: false }
  return {
    checkPath: ours.find(({ path }) => path !== undefined)?.path ?? '',
    copiesLength: ours.some((one) => one.copiesLength),
  }
}

function conflict({ key }: RuleSite, winner: PolicyCandidate | undefined): Finding {
  const say = `${showRoute(key)} already has policy ${winner?.id ?? ''} at the same level, which is older or first by name`
  return fault('conflict', ['spec', 'targetRefs'], say, 'target something else, or remove one of the two')
}

/** At the places where the doctor says it too, so that `check` can tell the two for one. */
function duplicates({ duplicate, route, rules, key }: RuleSite): Site['findings'] {
  if (!duplicate || route === undefined) return []
  const say = `several rules are named "${key.rule}"; all of them are refused`
  return rules.slice(1).map((rule) => {
    const path = ['spec', 'rules', route.rules.indexOf(rule), 'name']
    return { manifest: route.manifest, finding: fault('duplicate-rule', path, say, 'give each rule a name of its own') }
  })
}
