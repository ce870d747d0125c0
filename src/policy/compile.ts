import type { Services } from '../authn/services.ts'
import { latest, memo, steady } from '../model/memo.ts'
import type { Finding, Problem } from '../model/result.ts'
import { showRoute } from '../model/route.ts'
import type { RouteKey } from '../model/route.ts'
import { aroundOf, createHolders } from './around.ts'
import type { PolicyCandidate } from './candidate.ts'
import { createContests } from './carriers.ts'
import { createDoubts, lostOf } from './doubt.ts'
import type { OurService } from './gateway-api.ts'
import { address } from './manifest.ts'
import type { Manifest } from './manifest.ts'
import { createMatcher } from './matching.ts'
import { createNamespace } from './namespace.ts'
import type { Namespace } from './namespace.ts'
import type { PolicyReport } from './report.ts'
import { createReports } from './reports-of.ts'
import { createRuleBook } from './rule-book.ts'
import type { RuleBook, Site, SitesOf } from './rule-book.ts'
import type { Rule, Snapshot } from './snapshot.ts'
import { targetFault } from './target-fault.ts'

export { address } from './manifest.ts'

/** A snapshot with everything that is wrong, weak or worth knowing about what it was made from. */
export interface Compilation {
  readonly snapshot: Snapshot
  /** How many of its rules have a policy that can be used. */
  readonly protectedRules: number
  /** The same rules by their namespaces, each with the policy that rules it. */
  readonly sites: readonly SitesOf[]
  readonly problems: readonly Problem[]
  /** What became of each AuthPolicy; made when it is asked for. */
  readonly reports: () => readonly PolicyReport[]
}

/** Turns manifests into snapshots. What did not change since the last time is not made again. */
export type Compiler = (manifests: readonly Manifest[]) => Compilation

/**
 * Makes a compiler. What methods keep running (key sets, caches) lives in `services` and survives every compilation. With `us`,
 * in a cluster, only rules whose filter asks our Service are ours.
 *
 * A world is compiled by its namespaces. What is made of one is the very same object as long as it would be made of the same, and
 * whatever is made of that is known by it: one change costs what it touches, and a look at what it does not.
 */
export function createCompiler(services: Services, us?: OurService): Compiler {
  let benches: ReadonlyMap<string, Bench> = new Map()
  const holdersOf = createHolders()
  const doubtsOf = createDoubts(us)
  const contested = createContests(us)
  const matcher = createMatcher(us)
  const allNamed = steady<string>()
  const reportsOf = createReports()
  let generation = 0
  return (manifests) => {
    const read = [...Map.groupBy(manifests, ({ namespace }) => namespace)].map(([name, own]) => {
      const bench = benches.get(name) ?? createBench(name, services, us)
      return { bench, namespace: bench.read(own) }
    })
    benches = new Map(read.map(({ bench, namespace }) => [namespace.name, bench]))
    const namespaces = read.map(({ namespace }) => namespace)
    const holders = holdersOf(namespaces)
    const around = aroundOf(new Map(namespaces.map((one) => [one.name, one])), holders)
    const doubts = doubtsOf(lostOf(namespaces), holders)
    const judged = read.map((one) => ({ ...one, sites: doubts.settle(one.bench.judge(one.namespace, around)) }))
    const named = allNamed(namespaces.flatMap((one) => one.gatewaysNamed))
    const made = contested(judged).map((one) => ({ ...one, faultsOf: one.bench.faults(one.namespace, named) }))
    generation += 1
    return {
      snapshot: snapshot(generation, made, {
        match: doubts.guard(
          matcher(made),
          namespaces.map(({ routes }) => routes.usable),
        ),
        rule: doubts.refusal,
      }),
      protectedRules: made.reduce((sum, { sites }) => sum + protectedIn(sites), 0),
      sites: made,
      problems: made
        .flatMap(({ bench, namespace, sites, faultsOf }) => bench.problems(namespace, sites, faultsOf))
        .toSorted(byPlace),
      reports: () => reportsOf(made),
    }
  }
}

type FaultsOf = (candidate: PolicyCandidate) => readonly Finding[]

/** What makes things of one namespace, and remembers what it made last. */
interface Bench {
  readonly read: (manifests: readonly Manifest[]) => Namespace
  readonly judge: RuleBook
  /** The targets of its policies that do not exist. */
  readonly faults: (namespace: Namespace, gatewaysNamed: readonly string[]) => FaultsOf
  readonly problems: (namespace: Namespace, sites: readonly Site[], faultsOf: FaultsOf) => readonly Problem[]
}

const createBench = (name: string, services: Services, us: OurService | undefined): Bench => ({
  read: createNamespace(name, services),
  judge: createRuleBook(us),
  faults: latest((namespace, gatewaysNamed) => targetFaults(namespace, gatewaysNamed)),
  problems: latest(({ findings, candidates }, sites, faultsOf) => {
    const missing = candidates.all.flatMap((one) =>
      faultsOf(one).map((finding) => ({ manifest: one.manifest, finding })),
    )
    return [...findings, ...missing, ...sites.flatMap((site) => site.findings)].map(({ manifest, finding }) =>
      address(manifest, finding),
    )
  }),
})

function targetFaults(
  { candidates, routes, routesByName, gateways }: Namespace,
  gatewaysNamed: readonly string[],
): FaultsOf {
  const targets = { routes: routesByName, unreadable: routes.lost, gateways: gateways.usable, gatewaysNamed }
  const faults = new Map(
    candidates.all.map((one) => [
      one,
      one.targets.flatMap((target, index) => targetFault(one, target, index, targets) ?? []),
    ]),
  )
  return (candidate) => {
    const found = faults.get(candidate) ?? []
    return found.length === 0 ? none : found
  }
}

// One and the same list: what is made of it stays as it is.
const none: readonly Finding[] = []

const byPlace = (one: Problem, other: Problem): number =>
  (one.file ?? '').localeCompare(other.file ?? '') || (one.line ?? 0) - (other.line ?? 0)

interface Parts extends Pick<Snapshot, 'match'> {
  /** The rule of a key that no site has. */
  readonly rule: (key: RouteKey) => Rule | undefined
}

function snapshot(
  generation: number,
  made: readonly (SitesOf & { readonly namespace: Namespace })[],
  { rule: other, match }: Parts,
): Snapshot {
  const rules = latest(() => {
    const known = Map.groupBy(
      made.flatMap(({ sites }) => sites),
      ({ site }) => site.route !== undefined,
    )
    return [true, false].flatMap((routed) => known.get(routed) ?? []).map(({ rule }) => rule)
  })
  const byNamespace = new Map(made.map(({ namespace, sites }) => [namespace.name, byId(sites)]))
  const holds = made.map(({ namespace }) => namespace.hold())
  return Object.freeze({
    generation,
    get rules() {
      return rules()
    },
    // Checks of one configuration bring one and the same key.
    rule: memo((key) => byNamespace.get(key.namespace)?.get(showRoute(key)) ?? other(key)),
    match,
    release: () => {
      for (const letGo of holds) letGo()
    },
  } satisfies Snapshot)
}

const byId = memo(
  (sites: readonly Site[]): ReadonlyMap<string, Rule> => new Map(sites.map(({ rule }) => [rule.id, rule])),
)

const protectedIn = memo(
  (sites: readonly Site[]): number => sites.filter(({ rule }) => rule.policy !== undefined).length,
)
