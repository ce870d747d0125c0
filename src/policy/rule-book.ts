import type { DenyReason } from '../model/decision.ts'
import { ownedSpellings } from '../model/header.ts'
import { fault } from '../model/result.ts'
import type { Finding } from '../model/result.ts'
import { showRoute } from '../model/route.ts'
import type { PolicyCandidate } from './candidate.ts'
import { carriesOurs } from './gateway-api.ts'
import type { HttpRoute, OurService } from './gateway-api.ts'
import type { Manifest } from './manifest.ts'
import { same } from '../model/memo.ts'
import { ruling } from './precedence.ts'
import type { Policy, Rule } from './snapshot.ts'
import { keyOnlySites, sitesOf, surroundingsOf } from './topology.ts'
import type { RuleSite, Topology } from './topology.ts'

/** A rule, the place it came from, and what is wrong with that place. */
export interface Site {
  readonly rule: Rule
  readonly site: RuleSite
  readonly winner: PolicyCandidate | undefined
  readonly findings: readonly { readonly manifest: Manifest; readonly finding: Finding }[]
}

/** The policy of a candidate, where it could be compiled. */
export type PolicyOf = (candidate: PolicyCandidate) => Policy | undefined

/** Judges which policy is in force for each rule; a route whose surroundings did not change keeps the rules it had. */
export interface RuleBook {
  readonly judge: (topology: Topology, candidates: readonly PolicyCandidate[], policyOf: PolicyOf) => readonly Site[]
}

interface Page {
  readonly basis: readonly unknown[]
  readonly sites: readonly Site[]
}

export function createRuleBook(us: OurService | undefined): RuleBook {
  let pages = new Map<HttpRoute, Page>()
  return {
    judge: (topology, candidates, policyOf) => {
      const next = new Map<HttpRoute, Page>()
      for (const route of topology.routes.values()) {
        const surroundings = surroundingsOf(route, topology)
        const basis = [...surroundings.parents, ...surroundings.candidates, ...surroundings.candidates.map(policyOf)]
        const before = pages.get(route)
        const judged = (): readonly Site[] =>
          sitesOf(route, surroundings, topology).map((site) => judge(site, policyOf, us))
        next.set(route, before !== undefined && same(before.basis, basis) ? before : { basis, sites: judged() })
      }
      pages = next
      const keyOnly = keyOnlySites(candidates, topology).map((site) => judge(site, policyOf, us))
      return [...[...pages.values()].flatMap(({ sites }) => sites), ...keyOnly]
    },
  }
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
