import { clipped, diagnosis } from './diagnosis.ts'
import type { Change, Diagnosis } from './diagnosis.ts'
import { pathOf } from './mended-filter.ts'
import type { RuleSite } from './scene.ts'

/** Rules of a route that no policy and no check can tell apart: without a name, or with another's (GEP-995). */
export function ruleNames(ofRoute: readonly RuleSite[]): readonly Diagnosis[] {
  const taken = new Set(ofRoute.flatMap(({ rule }) => rule.name ?? []))
  const seen = new Set<string>()
  return ofRoute.flatMap((site) => {
    const { name } = site.rule
    if (name === undefined) return site.filter === undefined ? [] : [unnamed(site, taken)]
    if (seen.has(name)) return [duplicate(site, name, taken)]
    seen.add(name)
    return []
  })
}

type Names = ReadonlySet<string>

function unnamed(site: RuleSite, taken: Names): Diagnosis {
  const path = ['spec', 'rules', site.index, 'name']
  const say = 'the rule has no name: it shares its policy and its key with every other unnamed rule of the route'
  const mend = 'name it (GEP-995)'
  const fix = { kind: 'edit', changes: renamed(site, taken) } as const
  return diagnosis(site.route.manifest, { code: 'unnamed-rule', severity: 'note', path, say, mend, fix }, site.key)
}

function duplicate(site: RuleSite, name: string, taken: Names): Diagnosis {
  const path = ['spec', 'rules', site.index, 'name']
  const say = `several rules are named "${clipped(name)}"; all of them are refused`
  const mend = 'give each rule a name of its own'
  const fix = { kind: 'edit', changes: renamed(site, taken) } as const
  return diagnosis(site.route.manifest, { code: 'duplicate-rule', severity: 'error', path, say, mend, fix }, site.key)
}

/** A free name, and the key that goes with it where the filter carries one. */
function renamed({ filter, index, key, reach, rule }: RuleSite, taken: Names): readonly Change[] {
  const base = `${rule.name?.slice(0, 200) ?? 'rule'}-${index + 1}`
  const name = taken.has(base) ? `${base}-of-${taken.size + 1}` : base
  const path = filter?.auth.http?.path
  return [
    { path: ['spec', 'rules', index, 'name'], value: name },
    ...(filter === undefined || path === undefined
      ? []
      : [{ path: [...filter.path, 'externalAuth', 'http', 'path'], value: pathOf({ ...key, rule: name }, reach) }]),
  ]
}
