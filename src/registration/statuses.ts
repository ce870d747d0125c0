import { same } from '../model/memo.ts'
import type { PolicyReport } from '../policy/report.ts'
import { claimedRules } from './claimed-rules.ts'
import type { ClaimedRule } from './claimed-rules.ts'
import type { PolicyStatus } from './desired.ts'
import type { FindingsByRoute } from './objections.ts'
import { showRef } from './parents.ts'
import { policyStatus } from './policy-status.ts'
import type { Grounds } from './proof.ts'
import { targetsOf } from './shares.ts'

/** Where statuses are judged by what the doctor found, and whether grants could not be listed. */
export interface Ground {
  readonly grounds: Grounds
  readonly findings: FindingsByRoute
  readonly blind: boolean
}

/** Judges the status of policies; one that would be judged by the same again keeps the status that it got. */
export function createStatuses(): (report: PolicyReport, ground: Ground) => PolicyStatus {
  const known = new WeakMap<PolicyReport, { readonly basis: readonly unknown[]; readonly status: PolicyStatus }>()
  return (report, ground) => {
    const basis = basisOf(report, ground)
    const before = known.get(report)
    if (before !== undefined && same(before.basis, basis)) return before.status
    const status = policyStatus(report, ground.grounds)
    known.set(report, { basis, status })
    return status
  }
}

/** Everything that a status is judged by besides its report: of its rules, and of the routes that it targets. */
function basisOf(report: PolicyReport, { grounds, findings, blind }: Ground): readonly unknown[] {
  const { evidence, now } = grounds
  const { namespace } = report.manifest
  const basis: unknown[] = [blind, now - evidence.since >= evidence.belief]
  for (const { name } of targetsOf(report)) basis.push(grounds.route(`${namespace}/${name}`))
  for (const claimed of claimedRules(report)) addRule(basis, claimed, grounds, findings)
  return basis
}

function addRule(
  basis: unknown[],
  { rule, namespace, route, routeName }: ClaimedRule,
  { route: reachedAt, evidence, now }: Grounds,
  findings: FindingsByRoute,
): void {
  const reached = reachedAt(route)
  basis.push(reached, findings.get(namespace)?.get(routeName), evidence.witness(rule, now), evidence.unchanged(rule))
  for (const { ref } of reached?.parents ?? []) basis.push(evidence.probe(showRef(ref), rule, now))
}
