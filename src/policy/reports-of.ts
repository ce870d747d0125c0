import { memo, same } from '../model/memo.ts'
import type { Finding } from '../model/result.ts'
import type { PolicyCandidate } from './candidate.ts'
import type { Namespace } from './namespace.ts'
import type { CompiledPolicy } from './policy-store.ts'
import type { Claimed, PolicyReport } from './report.ts'
import type { Site, SitesOf } from './rule-book.ts'

/** One namespace as far as its policies are concerned. */
export interface Reported extends SitesOf {
  readonly namespace: Namespace
  /** Targets that do not exist. */
  readonly faultsOf: (candidate: PolicyCandidate) => readonly Finding[]
}

/** Makes a report for each AuthPolicy, from what the compilation found out about it; the same one as long as all of that is. */
export function createReports(): (namespaces: readonly Reported[]) => readonly PolicyReport[] {
  let kept: ReadonlyMap<PolicyCandidate, Kept> = new Map()
  return (namespaces) => {
    const next = new Map<PolicyCandidate, Kept>()
    const parts = namespaces.map(({ sites }) => claimsIn(sites))
    for (const [index, { namespace, faultsOf }] of namespaces.entries()) {
      const own = parts.slice(index, index + 1)
      for (const compiled of namespace.compiled) {
        const { candidate } = compiled
        // Only through its Gateways a policy comes to rules of other namespaces.
        const among = candidate.targets.some(({ kind }) => kind === 'Gateway') ? parts : own
        const claimed = among.flatMap((claims) => claims.get(candidate) ?? [])
        const [documents, missing] = [namespace.candidates.faultsOf(candidate), faultsOf(candidate)]
        const basis = [compiled, documents, missing, ...claimed]
        const before = kept.get(candidate)
        const unchanged = before !== undefined && same(before.basis, basis)
        next.set(candidate, unchanged ? before : { basis, report: reportOf(compiled, { documents, missing, claimed }) })
      }
    }
    kept = next
    return [...next.values()].map(({ report }) => report)
  }
}

interface Kept {
  readonly basis: readonly unknown[]
  readonly report: PolicyReport
}

/** How every policy that claims a site stands there. */
const claimsOf = memo((site: Site): readonly (readonly [PolicyCandidate, Claimed])[] => {
  const { winner } = site
  const { attachments, key } = site.site
  const level = attachments.find(({ candidate }) => candidate === winner)?.level
  return attachments.map(({ candidate, level: own }) => {
    const equal = own === level && candidate.strategy === winner?.strategy
    const standing = candidate === winner ? 'in-force' : equal ? 'conflicted' : 'overridden'
    return [candidate, { key, standing, by: candidate === winner ? undefined : winner?.id }]
  })
})

const claimsIn = memo((sites: readonly Site[]): ReadonlyMap<PolicyCandidate, readonly Claimed[]> => {
  const claims = new Map<PolicyCandidate, Claimed[]>()
  for (const [candidate, claimed] of sites.flatMap(claimsOf)) {
    const list = claims.get(candidate)
    if (list === undefined) claims.set(candidate, [claimed])
    else list.push(claimed)
  }
  return claims
})

interface Found {
  readonly documents: readonly Finding[]
  readonly missing: readonly Finding[]
  readonly claimed: readonly Claimed[]
}

function reportOf({ candidate, result }: CompiledPolicy, { documents, missing, claimed }: Found): PolicyReport {
  const lost = new Set(missing.map(({ path }) => path[2]))
  const findings = [...documents, ...(result.ok ? [] : result.findings)]
  const references = (all: readonly Finding[]): boolean =>
    all.length > 0 && all.every(({ code }) => code === 'missing-reference' || code === 'bad-reference')
  return {
    manifest: candidate.manifest,
    verdict: findings.length === 0 ? 'usable' : references(findings) ? 'unresolved' : 'invalid',
    findings: [...findings, ...missing],
    targets: candidate.targets.map((_, index) => ({ index, found: !lost.has(index) })),
    rules: claimed,
  }
}
