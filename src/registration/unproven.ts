import { memo } from '../model/memo.ts'
import { showRoute } from '../model/route.ts'
import type { PolicyReport } from '../policy/report.ts'
import { writtenAncestors } from './written-ancestors.ts'

/** Rules of policies that are in force and not yet shown as enforced everywhere: what a check that was seen would change. */
export const unprovenRules = (reports: readonly PolicyReport[]): readonly string[] => reports.flatMap(unprovenOf)

const unprovenOf = memo(({ verdict, manifest, rules }: PolicyReport): readonly string[] =>
  verdict === 'usable' && !shownEnforced(manifest.object)
    ? rules.filter(({ standing }) => standing === 'in-force').map(({ key }) => showRoute(key))
    : [],
)

function shownEnforced(object: unknown): boolean {
  const ancestors = writtenAncestors(object)
  const enforced = ancestors.map(({ conditions }) => conditions.find(({ type }) => type === 'Enforced')?.status)
  return enforced.length > 0 && enforced.every((status) => status === 'True')
}
