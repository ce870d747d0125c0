import type { Services } from '../authn/services.ts'
import type { Finding, Problem, Result } from '../model/result.ts'
import { showRoute } from '../model/route.ts'
import { candidate, parseAuthPolicy } from './candidate.ts'
import { createContests } from './carriers.ts'
import type { PolicyCandidate } from './candidate.ts'
import { indexDataObjects, parseDataObject } from './data-objects.ts'
import { distinct } from './distinct.ts'
import type { AuthPolicySpec } from './document.ts'
import { parseGateway, parseListenerSet } from './gateway.ts'
import { parseHttpRoute } from './gateway-api.ts'
import type { OurService } from './gateway-api.ts'
import { showObject } from './manifest.ts'
import type { Manifest } from './manifest.ts'
import { createMatcher } from './matching.ts'
import { memo } from '../model/memo.ts'
import { createPolicyStore } from './policy-store.ts'
import type { CompiledPolicy } from './policy-store.ts'
import type { PolicyReport } from './report.ts'
import { reportsOf } from './reports-of.ts'
import { createRuleBook } from './rule-book.ts'
import type { Site } from './rule-book.ts'
import type { Snapshot } from './snapshot.ts'
import { targetFault } from './target-fault.ts'
import { topologyOf } from './topology.ts'

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
  const httpRoute = memo(parseHttpRoute)
  const gateway = memo(parseGateway)
  const listenerSet = memo(parseListenerSet)
  const dataObject = memo(parseDataObject)
  const candidates = createCandidates()
  const store = createPolicyStore(services)
  const book = createRuleBook(us)
  const contests = createContests(us)
  const matcher = createMatcher(us)
  let generation = 0
  return (given) => {
    const problems: Problem[] = []
    const report = (manifest: Manifest, findings: readonly Finding[]): void => {
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
    const policies = candidates(manifests.of('AuthPolicy'), report)
    const data = indexDataObjects([...readAll('Secret', dataObject), ...readAll('ConfigMap', dataObject)])
    const gateways = readAll('Gateway', gateway)
    const topology = topologyOf(
      readAll('HTTPRoute', httpRoute),
      gateways,
      policies,
      readAll('ListenerSet', listenerSet),
    )
    const compiled = store.compile(policies, data)
    for (const { candidate: one, result, advice } of compiled)
      report(one.manifest, result.ok ? advice : result.findings)
    for (const one of policies) report(one.manifest, targetFaults(one, topology))
    const byCandidate = new Map(compiled.map((one) => [one.candidate, one.result.ok ? one.result.value : undefined]))
    const sites = contests(book.judge(topology, policies, (one) => byCandidate.get(one)))
    for (const { findings } of sites) for (const { manifest, finding } of findings) report(manifest, [finding])
    generation += 1
    return {
      snapshot: snapshot(generation, sites, { match: matcher(sites), release: held(compiled) }),
      problems: problems.toSorted(byPlace),
      reports: () =>
        reportsOf({ compiled, sites, faultsOf: (one) => targetFaults(one, topology), invalid: candidates.findings }),
    }
  }
}

const targetFaults = (one: PolicyCandidate, topology: ReturnType<typeof topologyOf>): readonly Finding[] =>
  one.targets.flatMap((target, index) => targetFault(one, target, index, topology) ?? [])

/** Reads AuthPolicies; one that an edit broke stays in force as it last was, and its findings say so. */
interface Candidates {
  (
    manifests: readonly Manifest[],
    report: (manifest: Manifest, findings: readonly Finding[]) => void,
  ): readonly PolicyCandidate[]
  /** What is wrong with the document of a candidate, whether an older one is in force or not. */
  readonly findings: (one: PolicyCandidate) => readonly Finding[]
}

function createCandidates(): Candidates {
  const parsed = memo(parseAuthPolicy)
  let lastGood: ReadonlyMap<string, AuthPolicySpec> = new Map()
  let known = new Map<Manifest, PolicyCandidate>()
  const all = (manifests: readonly Manifest[], report: (manifest: Manifest, findings: readonly Finding[]) => void) => {
    const next = new Map<Manifest, PolicyCandidate>()
    for (const manifest of manifests) {
      const read = parsed(manifest)
      const spec = read.ok ? read.value : lastGood.get(showObject(manifest))
      if (!read.ok) report(manifest, spec === undefined ? read.findings : read.findings.map(stillInForce))
      const before = known.get(manifest)
      next.set(manifest, before?.spec === spec && before !== undefined ? before : candidate(manifest, spec))
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
    return read.ok ? [] : read.findings
  }
  return Object.assign(all, { findings })
}

const stillInForce = (finding: Finding): Finding => ({
  ...finding,
  say: `${finding.say} (the last good version stays in force)`,
})

/** Gives a finding the address that an operator can open in an editor. */
export function address(manifest: Manifest, finding: Finding): Problem {
  const line = manifest.line(finding.path)
  return {
    ...finding,
    object: showObject(manifest),
    ...(manifest.file === undefined ? {} : { file: manifest.file }),
    ...(line === undefined ? {} : { line }),
  }
}

const byPlace = (one: Problem, other: Problem): number =>
  (one.file ?? '').localeCompare(other.file ?? '') || (one.line ?? 0) - (other.line ?? 0)

function held(compiled: readonly CompiledPolicy[]): () => void {
  const holds = compiled.map(({ hold }) => hold())
  return () => {
    for (const letGo of holds) letGo()
  }
}

function snapshot(generation: number, sites: readonly Site[], parts: Pick<Snapshot, 'match' | 'release'>): Snapshot {
  const rules = new Map(sites.map(({ rule }) => [showRoute(rule.key), rule]))
  return Object.freeze({
    generation,
    rules: [...rules.values()],
    rule: (key) => rules.get(showRoute(key)),
    ...parts,
  } satisfies Snapshot)
}
