import type { Services } from '../authn/services.ts'
import { fault } from '../model/result.ts'
import type { Finding, Problem, Result } from '../model/result.ts'
import { showRoute } from '../model/route.ts'
import type { RouteKey } from '../model/route.ts'
import { candidate, parseAuthPolicy } from './candidate.ts'
import type { PolicyCandidate } from './candidate.ts'
import { createContests } from './carriers.ts'
import { indexDataObjects, parseDataObject } from './data-objects.ts'
import { distinct } from './distinct.ts'
import type { AuthPolicySpec } from './document.ts'
import { doubtsOf } from './doubt.ts'
import { parseGateway, parseListenerSet } from './gateway.ts'
import { parseHttpRoute } from './gateway-api.ts'
import type { OurService } from './gateway-api.ts'
import { createLastGood, stillInForce } from './last-good.ts'
import type { Report } from './last-good.ts'
import { address, showObject } from './manifest.ts'
import type { Manifest } from './manifest.ts'
import { createMatcher } from './matching.ts'
import { memo } from '../model/memo.ts'
import { misspeltKeys } from './misspelt-keys.ts'
import { createPolicyStore } from './policy-store.ts'
import type { CompiledPolicy } from './policy-store.ts'
import type { PolicyReport } from './report.ts'
import { regexFindings } from './regex-findings.ts'
import { reportsOf } from './reports-of.ts'
import { createRuleBook } from './rule-book.ts'
import type { Site } from './rule-book.ts'
import type { Rule, Snapshot } from './snapshot.ts'
import { targetFault } from './target-fault.ts'
import type { Targets } from './target-fault.ts'
import { topologyOf } from './topology.ts'

export { address } from './manifest.ts'

/** A snapshot with everything that is wrong, weak or worth knowing about what it was made from. */
export interface Compilation {
  readonly snapshot: Snapshot
  readonly problems: readonly Problem[]
  /** What became of each AuthPolicy; made when it is asked for. */
  readonly reports: () => readonly PolicyReport[]
}

/** Turns manifests into snapshots. What did not change since the last time is not made again. */
export type Compiler = (manifests: readonly Manifest[]) => Compilation

/**
 * Makes a compiler. What methods keep running (key sets, caches) lives in `services` and survives every compilation. With `us`,
 * in a cluster, only rules whose filter asks our Service are ours.
 */
export function createCompiler(services: Services, us?: OurService): Compiler {
  const httpRoutes = createLastGood(parseHttpRoute)
  const gatewaysOf = createLastGood(parseGateway)
  const listenerSets = createLastGood(parseListenerSet)
  const dataObject = memo(parseDataObject)
  const candidates = createCandidates()
  const store = createPolicyStore(services)
  const book = createRuleBook(us)
  const contests = createContests(us)
  const matcher = createMatcher(us)
  let generation = 0
  return (given) => {
    const problems: Problem[] = []
    const report: Report = (manifest, findings) => {
      for (const finding of findings) problems.push(address(manifest, finding))
    }
    const manifests = distinct(given, report)
    const readAll = <T>(kind: string, read: (manifest: Manifest) => Result<T>): readonly T[] =>
      manifests.of(kind).flatMap((manifest) => {
        const result = read(manifest)
        if (result.ok) return [result.value]
        report(manifest, result.findings)
        return []
      })
    const lastGood = <T>(kind: string, read: ReturnType<typeof createLastGood<T>>) =>
      read(manifests.of(kind), manifests.doubled, report)
    const policies = candidates(manifests.of('AuthPolicy'), manifests.doubled, report)
    const data = indexDataObjects([...readAll('Secret', dataObject), ...readAll('ConfigMap', dataObject)])
    const gateways = lastGood('Gateway', gatewaysOf)
    const routes = lastGood('HTTPRoute', httpRoutes)
    const sets = lastGood('ListenerSet', listenerSets)
    for (const manifest of manifests.all) report(manifest, misspeltKeys(manifest))
    for (const route of routes.usable) report(route.manifest, regexFindings(route))
    const topology = topologyOf(routes.usable, gateways.usable, policies, sets.usable)
    const lost = {
      unknown: manifests.unknown,
      routes: routes.lost,
      parents: [...gateways.lost, ...sets.lost],
      policies,
    }
    const doubts = doubtsOf(lost, topology, us)
    const compiled = store.compile(policies, data)
    for (const { candidate: one, result, advice } of compiled)
      report(one.manifest, result.ok ? advice : result.findings)
    const targets = { topology, unreadable: routes.lost }
    for (const one of policies) report(one.manifest, targetFaults(one, targets))
    const byCandidate = new Map(compiled.map((one) => [one.candidate, one.result.ok ? one.result.value : undefined]))
    const sites = contests(doubts.settle(book.judge(topology, policies, (one) => byCandidate.get(one))))
    for (const { findings } of sites) for (const { manifest, finding } of findings) report(manifest, [finding])
    generation += 1
    return {
      snapshot: snapshot(generation, sites, {
        match: doubts.guard(matcher(sites)),
        rule: doubts.refusal,
        release: held(compiled),
      }),
      problems: problems.toSorted(byPlace),
      reports: () =>
        reportsOf({ compiled, sites, faultsOf: (one) => targetFaults(one, targets), invalid: candidates.findings }),
    }
  }
}

const targetFaults = (one: PolicyCandidate, targets: Targets): readonly Finding[] =>
  one.targets.flatMap((target, index) => targetFault(one, target, index, targets) ?? [])

/** Reads AuthPolicies; one that an edit broke stays in force as it last was, and its findings say so. */
interface Candidates {
  (manifests: readonly Manifest[], doubled: ReadonlySet<string>, report: Report): readonly PolicyCandidate[]
  /** What is wrong with the document of a candidate, whether an older one is in force or not. */
  readonly findings: (one: PolicyCandidate) => readonly Finding[]
}

function createCandidates(): Candidates {
  const parsed = memo(parseAuthPolicy)
  let lastGood: ReadonlyMap<string, AuthPolicySpec> = new Map()
  let known = new Map<Manifest, PolicyCandidate>()
  let several: ReadonlySet<string> = new Set()
  const all = (manifests: readonly Manifest[], doubled: ReadonlySet<string>, report: Report) => {
    const next = new Map<Manifest, PolicyCandidate>()
    several = doubled
    for (const manifest of manifests) {
      const read = parsed(manifest)
      const spec = doubled.has(showObject(manifest)) ? undefined : specOf(read, lastGood.get(showObject(manifest)))
      if (!read.ok && !manifest.broken)
        report(manifest, spec === undefined ? read.findings : read.findings.map(stillInForce))
      const before = known.get(manifest)
      next.set(manifest, before?.spec === spec && before !== undefined ? before : candidate(manifest, spec, read.ok))
    }
    known = next
    const usable = [...next.values()].flatMap(({ manifest, spec }) =>
      spec === undefined ? [] : [[showObject(manifest), spec] as const],
    )
    lastGood = new Map(usable)
    return [...next.values()]
  }
  const findings = ({ manifest }: PolicyCandidate): readonly Finding[] => {
    const read = parsed(manifest)
    if (!read.ok) return read.findings
    // Which of them is meant nobody knows: none is in force.
    const say = `several are named ${showObject(manifest)}`
    return several.has(showObject(manifest)) ? [fault('duplicate-object', ['metadata', 'name'], say)] : []
  }
  return Object.assign(all, { findings })
}

const specOf = (read: Result<AuthPolicySpec>, lastGood: AuthPolicySpec | undefined): AuthPolicySpec | undefined =>
  read.ok ? read.value : lastGood

const byPlace = (one: Problem, other: Problem): number =>
  (one.file ?? '').localeCompare(other.file ?? '') || (one.line ?? 0) - (other.line ?? 0)

function held(compiled: readonly CompiledPolicy[]): () => void {
  const holds = compiled.map(({ hold }) => hold())
  return () => {
    for (const letGo of holds) letGo()
  }
}

interface Parts extends Pick<Snapshot, 'match' | 'release'> {
  /** The rule of a key that no site has. */
  readonly rule: (key: RouteKey) => Rule | undefined
}

function snapshot(generation: number, sites: readonly Site[], { rule: other, ...parts }: Parts): Snapshot {
  const rules = new Map(sites.map(({ rule }) => [showRoute(rule.key), rule]))
  return Object.freeze({
    generation,
    rules: [...rules.values()],
    rule: (key) => rules.get(showRoute(key)) ?? other(key),
    ...parts,
  } satisfies Snapshot)
}
