import { z } from 'zod'
import { memo } from '../model/memo.ts'
import { apiVersion, gatewayGroup } from '../policy/document.ts'
import type { Claimed, PolicyReport } from '../policy/report.ts'
import type { AncestorRef } from './desired.ts'
import type { Grounds } from './proof.ts'
import { showRef } from './parents.ts'
import type { Share } from './standing.ts'

const shape = z.looseObject({
  spec: z.looseObject({
    targetRefs: z.array(z.looseObject({ group: z.string(), kind: z.string(), name: z.string() })),
  }),
})

type Target = z.output<typeof shape>['spec']['targetRefs'][number]

/** What a policy claims, by the ancestor through which it does. */
type Shares = Map<string, { readonly ref: AncestorRef; readonly rules: Claimed[]; absent: string | undefined }>

/** Every gateway through which one of its rules is reached, and each target that is reached through none. */
export function sharesOf(report: PolicyReport, grounds: Grounds): readonly Omit<Share, 'proved'>[] {
  const shares: Shares = new Map()
  for (const rule of report.rules) {
    for (const ref of ancestorsOf(rule, grounds)) shareAt(shares, ref).rules.push(rule)
  }
  for (const [index, target] of targetsOf(report).entries()) addTarget(shares, { report, grounds, target, index })
  if (shares.size === 0) {
    // Its targets cannot be read: the policy itself is all that is left to speak of.
    const { namespace, name } = report.manifest
    shareAt(shares, { group: apiVersion.split('/')[0] ?? '', kind: 'AuthPolicy', namespace, name })
  }
  return [...shares.values()]
}

/** What a policy says that it is for, as far as that can be read. */
export const targetsOf = memo(({ manifest }: PolicyReport): readonly Target[] => {
  const read = shape.safeParse(manifest.object)
  return read.success ? read.data.spec.targetRefs : []
})

function shareAt(shares: Shares, ref: AncestorRef) {
  const known = shares.get(showRef(ref)) ?? { ref, rules: [], absent: undefined }
  shares.set(showRef(ref), known)
  return known
}

function ancestorsOf({ key: { namespace, route } }: Claimed, grounds: Grounds): readonly AncestorRef[] {
  const reached = grounds.route(`${namespace}/${route}`)
  if (reached === undefined) return []
  return reached.parents.length === 0
    ? [{ group: gatewayGroup, kind: 'HTTPRoute', namespace, name: route }]
    : reached.parents.map(({ ref }) => ref)
}

interface Place {
  readonly report: PolicyReport
  readonly grounds: Grounds
  readonly target: Target
  readonly index: number
}

function addTarget(shares: Shares, place: Place): void {
  const { target, report } = place
  const ref = { group: target.group, kind: target.kind, namespace: report.manifest.namespace, name: target.name }
  const absent = absence(place)
  const reached = target.kind === 'HTTPRoute' && report.rules.some(({ key }) => key.route === target.name)
  if (absent !== undefined) shareAt(shares, ref).absent ??= absent
  else if (!reached) shareAt(shares, ref)
}

/** Why a target does not exist, if it does not: in a cluster, a route that is not there is not there. */
function absence({ report, grounds, target: { kind, name }, index }: Place): string | undefined {
  const { namespace } = report.manifest
  if (report.targets.find((one) => one.index === index)?.found === false) {
    const found = report.findings.find(({ code, path }) => code === 'unknown-target' && path[2] === index)
    return found === undefined ? `There is no such ${kind} ${namespace}/${name}.` : `${found.say}.`
  }
  const known = kind !== 'HTTPRoute' || grounds.route(`${namespace}/${name}`) !== undefined
  return known ? undefined : `There is no HTTPRoute ${namespace}/${name}.`
}
