import { memo } from '../model/memo.ts'
import { fault } from '../model/result.ts'
import type { Finding, Result } from '../model/result.ts'
import { candidate, parseAuthPolicy } from './candidate.ts'
import type { PolicyCandidate } from './candidate.ts'
import type { AuthPolicySpec } from './document.ts'
import { stillInForce } from './last-good.ts'
import type { Report } from './last-good.ts'
import { showObject } from './manifest.ts'
import type { Manifest } from './manifest.ts'

/** The AuthPolicies among some manifests. */
export interface Candidates {
  readonly all: readonly PolicyCandidate[]
  /** What is wrong with the document of a candidate, whether an older one is in force or not. */
  readonly faultsOf: (one: PolicyCandidate) => readonly Finding[]
}

/** Reads AuthPolicies; one that an edit broke stays in force as it last was, and its findings say so. */
export function createCandidates(): (
  manifests: readonly Manifest[],
  doubled: ReadonlySet<string>,
  report: Report,
) => Candidates {
  const parsed = memo(parseAuthPolicy)
  let lastGood: ReadonlyMap<string, AuthPolicySpec> = new Map()
  let known = new Map<Manifest, PolicyCandidate>()
  const faultsIn = ({ manifest }: PolicyCandidate, doubled: ReadonlySet<string>): readonly Finding[] => {
    const read = parsed(manifest)
    if (!read.ok) return read.findings
    // Which of them is meant nobody knows: none is in force.
    const say = `several are named ${showObject(manifest)}`
    return doubled.has(showObject(manifest)) ? [fault('duplicate-object', ['metadata', 'name'], say)] : none
  }
  return (manifests, doubled, report) => {
    const next = new Map<Manifest, PolicyCandidate>()
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
    return { all: [...next.values()], faultsOf: (one) => faultsIn(one, doubled) }
  }
}

// One and the same list: what is made of it stays as it is.
const none: readonly Finding[] = []

const specOf = (read: Result<AuthPolicySpec>, lastGood: AuthPolicySpec | undefined): AuthPolicySpec | undefined =>
  read.ok ? read.value : lastGood
