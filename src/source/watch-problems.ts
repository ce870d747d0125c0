import type { WatchedKind } from '../kubernetes/resources.ts'
import type { ExperimentalField } from '../kubernetes/schema-fields.ts'
import type { Watch } from '../kubernetes/watch.ts'
import type { Trouble } from '../kubernetes/watch-trouble.ts'
import { fault, weakness } from '../model/result.ts'
import type { Problem, Severity } from '../model/result.ts'

interface Troubled {
  readonly kind: WatchedKind
  readonly namespace: string | undefined
  readonly trouble: Trouble
}

/** What keeps watches from following the cluster, for an operator to mend. An outage of the server is one problem, not twelve. */
export function watchProblems(watches: readonly Watch[]): readonly Problem[] {
  const troubled = watches.flatMap(({ kind, namespace, trouble }) =>
    trouble === undefined ? [] : [{ kind, namespace, trouble }],
  )
  const of = (code: Trouble['code']): readonly Troubled[] => troubled.filter(({ trouble }) => trouble.code === code)
  const outages = Map.groupBy(of('api-unreachable'), ({ trouble }) => sayOutage(trouble.status))
  const missing = new Map(of('missing-crd').map((one) => [one.kind.kind, one.kind]))
  return [
    ...[...outages].map(([say, ones]) => outage(say, ones)),
    ...[...missing.values()].map(missingDefinition),
    ...of('missing-permission').map(missingPermission),
  ]
}

function sayOutage(status: number): string {
  if (status === 0) return 'the API server does not answer'
  if (status === 401) return 'the API server does not take our credentials'
  if (status === 429) return 'the API server is overloaded and turns us away'
  return `the API server answers with errors (${status})`
}

/** An outage of everything names no kinds: its sentence must not change while one watch after another runs into it. */
function outage(say: string, ones: readonly Troubled[]): Problem {
  const { status } = ones[0]?.trouble ?? { status: 0 }
  const kinds = [...new Set(ones.map(({ kind }) => kind.kind))].join(', ')
  const whom = status < 500 ? '' : ` when asked for ${kinds}`
  return {
    ...fault('api-unreachable', [], `${say}${whom}; what was read last stays in force`),
    severity: 'warning',
  }
}

const severities: Record<WatchedKind['importance'], Severity> = {
  needed: 'error',
  useful: 'warning',
  optional: 'note',
}

const missingDefinition = ({ kind, group, versions, importance }: WatchedKind): Problem => ({
  ...fault(
    'missing-crd',
    [],
    `the cluster has no ${kind} (${group}/${versions.join(' or ')})`,
    group === 'gatehouse.dev' ? 'apply what `gatehouse crd` prints' : 'install the definitions of the Gateway API',
  ),
  severity: severities[importance],
})

const missingPermission = ({ kind, namespace }: Troubled): Problem => ({
  ...fault(
    'missing-permission',
    [],
    `Gatehouse may not list and watch ${kind.kind} objects in ${namespace === undefined ? 'the whole cluster' : `namespace ${namespace}`}`,
    `give its ServiceAccount get, list and watch on ${kind.plural}${kind.group === '' ? '' : `.${kind.group}`}`,
  ),
  severity: kind.importance === 'needed' ? 'error' : 'warning',
})

/** What the definitions of the standard channel, or of an old version, do not have. */
export const missingFields = (fields: readonly ExperimentalField[]): readonly Problem[] =>
  fields.map(({ kind, name, lost }) =>
    weakness(
      'missing-field',
      [],
      `the cluster's ${kind} has no ${name}, so ${lost}`,
      "install the experimental channel of the Gateway API's definitions, 1.4 or newer",
    ),
  )
