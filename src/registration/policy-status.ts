import type { PolicyReport } from '../policy/report.ts'
import type { Ancestor, AncestorRef, Condition, ConditionType, PolicyStatus, Verdict } from './desired.ts'
import type { Grounds } from './proof.ts'
import { readMetadata } from './metadata.ts'
import { showRef } from './parents.ts'
import { policyEvents } from './policy-events.ts'
import { sharesOf } from './shares.ts'
import { standing } from './standing.ts'
import type { Standing } from './standing.ts'
import { writtenAncestors } from './written-ancestors.ts'
import type { WrittenAncestor } from './written-ancestors.ts'

/** Who writes ancestors of AuthPolicies. */
export const controllerName = 'gatehouse.dev/gatehouse'

// PolicyStatus takes no more.
const maxAncestors = 16

/** The status of one policy: an entry for each ancestor, those that need attention first, unchanged conditions with their old times. */
export function policyStatus(report: PolicyReport, grounds: Grounds): PolicyStatus {
  const written = writtenAncestors(report.manifest.object)
  const ours = written.filter((one) => one.controllerName === controllerName)
  const generation = readMetadata(report.manifest.object).generation
  const ancestors = sharesOf(report, grounds)
    .map((share) => {
      const before = ours.find((one) => sameRef(one.ancestorRef, share.ref))
      const now = standing(report, { ...share, proved: provedBefore(before, generation) }, grounds)
      return { rank: rankOf(now), ancestor: ancestorOf(share.ref, now, { before, generation, at: grounds.now }) }
    })
    .toSorted((one, other) => one.rank - other.rank || (show(one) < show(other) ? -1 : 1))
    .slice(0, maxAncestors)
    .map(({ ancestor }) => ancestor)
  const same = JSON.stringify(ancestors.map(canonical)) === JSON.stringify(written.map(canonical))
  const events = same ? [] : policyEvents(report.manifest, ancestors, ours)
  return { policy: report.manifest, ancestors, state: same ? 'unchanged' : 'changed', events }
}

const provedBefore = (before: WrittenAncestor | undefined, generation: number): string | undefined =>
  before?.conditions.find(
    ({ type, status, observedGeneration }) =>
      type === 'Enforced' && status === 'True' && observedGeneration === generation,
  )?.message

const show = ({ ancestor }: { readonly ancestor: Ancestor }): string => showRef(ancestor.ancestorRef)

const ranks = { False: 0, Unknown: 1, True: 2 } as const

/** Columns of `kubectl get` show the first ancestor only: the worst has to be that one. */
const rankOf = ({ Accepted, ResolvedRefs, Enforced }: Standing): number =>
  ranks[Accepted.status] * 9 + ranks[ResolvedRefs.status] * 3 + ranks[Enforced.status]

interface Past {
  readonly before: WrittenAncestor | undefined
  readonly generation: number
  readonly at: number
}

function ancestorOf(ancestorRef: AncestorRef, now: Standing, past: Past): Ancestor {
  return {
    ancestorRef,
    controllerName,
    conditions: (['Accepted', 'ResolvedRefs', 'Enforced'] as const).map((type) => condition(type, now[type], past)),
  }
}

function condition(type: ConditionType, verdict: Verdict, { before, generation, at }: Past): Condition {
  const old = before?.conditions.find((one) => one.type === type)
  const since =
    old?.status === verdict.status ? old.lastTransitionTime : new Date(at).toISOString().replace(/\.\d+Z$/, 'Z')
  return { type, ...verdict, observedGeneration: generation, lastTransitionTime: since }
}

const sameRef = (one: WrittenAncestor['ancestorRef'], other: AncestorRef): boolean =>
  one.kind === other.kind && one.group === other.group && one.name === other.name && one.namespace === other.namespace

/** The same content in the same order of keys: JSON of it can be compared. */
const canonical = ({ ancestorRef: ref, controllerName: by, conditions }: WrittenAncestor | Ancestor): unknown => [
  [ref.group, ref.kind, ref.namespace ?? '', ref.name],
  by,
  conditions
    .map((one) => [one.type, one.status, one.reason, one.message, one.observedGeneration ?? 0, one.lastTransitionTime])
    .toSorted(([one = ''], [other = '']) => (one < other ? -1 : 1)),
]
