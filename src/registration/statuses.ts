import { same } from '../model/memo.ts'
import { showRoute } from '../model/route.ts'
import type { Claimed, PolicyReport } from '../policy/report.ts'
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
  const aged = now - evidence.since >= evidence.belief
  const { namespace } = report.manifest
  const targets = targetsOf(report).map(({ name }) => grounds.route(`${namespace}/${name}`))
  return [blind, aged, ...targets, ...report.rules.flatMap((claimed) => ruleBasis(claimed, grounds, findings))]
}

function ruleBasis({ key }: Claimed, { route, evidence, now }: Grounds, findings: FindingsByRoute): readonly unknown[] {
  const name = `${key.namespace}/${key.route}`
  const rule = showRoute(key)
  const reached = route(name)
  const probes = reached?.parents.map(({ ref }) => evidence.probe(showRef(ref), rule, now)) ?? []
  return [reached, findings.get(name), evidence.witness(rule, now), evidence.unchanged(rule), ...probes]
}
