import type { Finding } from '../model/result.ts'
import type { PolicyCandidate } from './candidate.ts'
import type { CompiledPolicy } from './policy-store.ts'
import type { Claimed, PolicyReport } from './report.ts'
import type { Site } from './rule-book.ts'

/** What reports are made of. */
interface Basis {
  readonly compiled: readonly CompiledPolicy[]
  readonly sites: readonly Site[]
  readonly faultsOf: (candidate: PolicyCandidate) => readonly Finding[]
  readonly invalid: (candidate: PolicyCandidate) => readonly Finding[]
}

/** One report for each AuthPolicy, from what the compilation found out about it. */
export function reportsOf({ compiled, sites, faultsOf, invalid }: Basis): readonly PolicyReport[] {
  const claims = new Map<PolicyCandidate, Claimed[]>(compiled.map(({ candidate }) => [candidate, []]))
  for (const { site, winner } of sites) {
    const level = site.attachments.find(({ candidate }) => candidate === winner)?.level
    for (const attachment of site.attachments) {
      const { candidate } = attachment
      const equal = attachment.level === level && candidate.strategy === winner?.strategy
      const standing = candidate === winner ? 'in-force' : equal ? 'conflicted' : 'overridden'
      claims.get(candidate)?.push({ key: site.key, standing, by: candidate === winner ? undefined : winner?.id })
    }
  }
  return compiled.map(({ candidate, result }) => {
    const missing = faultsOf(candidate)
    const lost = new Set(missing.map(({ path }) => path[2]))
    const documents = invalid(candidate)
    const findings = [...documents, ...(result.ok ? [] : result.findings)]
    const references = (all: readonly Finding[]): boolean =>
      all.length > 0 && all.every(({ code }) => code === 'missing-reference' || code === 'bad-reference')
    return {
      manifest: candidate.manifest,
      verdict: findings.length === 0 ? 'usable' : references(findings) ? 'unresolved' : 'invalid',
      findings: [...findings, ...missing],
      targets: candidate.targets.map((_, index) => ({ index, found: !lost.has(index) })),
      rules: claims.get(candidate) ?? [],
    }
  })
}
