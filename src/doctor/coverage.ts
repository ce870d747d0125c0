import { diagnosis, edit, fixedBy, ruleNamed } from './diagnosis.ts'
import type { Diagnosis } from './diagnosis.ts'
import { mendedFilter } from './mended-filter.ts'
import type { RuleNeeds } from './rule-needs.ts'
import { controllersOf, ours } from './scene.ts'
import type { RuleSite, Scene } from './scene.ts'
import { vendorFix } from './vendor-objects.ts'

/** Whether filter and policy meet: one without the other either refuses everything or checks nothing. */
export function filterAndPolicy(site: RuleSite, scene: Scene): readonly Diagnosis[] {
  if (site.filter !== undefined) return site.needs === undefined ? [withoutPolicy(site, scene)] : []
  return site.needs === undefined ? [] : [withoutFilter(site, site.needs, scene)]
}

function withoutFilter(site: RuleSite, { policy }: RuleNeeds, scene: Scene): Diagnosis {
  const { route, key, rule, index } = site
  const path = ['spec', 'rules', index, 'filters']
  const server = otherServer(site, scene)
  if (server !== undefined) {
    const say = `policy ${policy} is for ${ruleNamed(key)}, which ${server} has to check in its own way`
    const products = controllersOf(site).map(({ name }) => name)
    const fix = fixedBy(vendorFix(products, site, scene))
    const said = { code: 'policy-without-filter', severity: 'note', path, say, mend: 'make sure that it does' } as const
    return diagnosis(route.manifest, { ...said, ...fix }, key)
  }
  const say = `policy ${policy} is for ${ruleNamed(key)}, which has no ExternalAuth filter that asks Gatehouse: nothing is checked`
  const fix = edit([...path, rule.filters.length], mendedFilter(site, undefined, scene))
  // Without a cluster, a proxy may ask in a way that no manifest tells.
  const severity = scene.us === undefined ? 'warning' : 'error'
  const said = { code: 'policy-without-filter', severity, path, say, mend: 'add the filter', fix } as const
  return diagnosis(route.manifest, said, key)
}

/**
 * Who checks a rule in a way that does not show in its route: gateways none of which knows the filter; in a cluster, also whatever
 * serves a route without parents, which only names rules.
 */
function otherServer({ route, reach }: RuleSite, { us }: Scene): string | undefined {
  const { parentRefs, useDefaultGateways } = route.object.spec
  if (us !== undefined && parentRefs.length === 0 && useDefaultGateways !== 'All') return 'whatever serves it'
  const lacking = reach.length > 0 && reach.every(({ controller }) => lacksFilter(controller?.filter))
  return lacking ? 'its gateway' : undefined
}

const lacksFilter = (filter: string | undefined): boolean => filter === 'refused' || filter === 'ignored'

function withoutPolicy({ filter, route, key }: RuleSite, { us }: Scene): Diagnosis {
  const { namespace, route: name, rule } = key
  const say = `no AuthPolicy is in force for ${ruleNamed(key)}: every request is refused`
  const mend = 'write one for the rule, its route or its gateway'
  const sectionName = rule === '_' ? {} : { sectionName: rule }
  const targetRefs = [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name, ...sectionName }]
  const policy = {
    apiVersion: 'gatehouse.dev/v1alpha1',
    kind: 'AuthPolicy',
    metadata: { namespace, name: rule === '_' ? name : `${name}-${rule}` },
    spec: {
      targetRefs,
      authentication: [
        { name: 'staff', basic: { realm: 'Staff', usersRef: { name: 'staff-users', key: '.htpasswd' } } },
      ],
    },
  }
  return diagnosis(
    route.manifest,
    {
      code: 'filter-without-policy',
      severity: us === undefined ? 'warning' : 'error',
      path: filter?.path ?? [],
      say,
      mend,
      fix: { kind: 'apply', objects: [policy] },
    },
    key,
  )
}

/** Filters where gateways do not look for them, and more than one of them. */
export function filterPlaces(site: RuleSite, scene: Scene): readonly Diagnosis[] {
  const { route, rule, index, key } = site
  const { namespace } = route.manifest
  const here = ['spec', 'rules', index]
  const misplaced = rule.backendRefs.findIndex(({ filters }) =>
    filters.some(({ externalAuth }) => externalAuth !== undefined && ours(externalAuth, namespace, scene.us)),
  )
  const all = rule.filters.flatMap(({ type }, position) => (type === 'ExternalAuth' ? position : []))
  const found: Diagnosis[] = []
  if (misplaced >= 0) {
    const path = [...here, 'backendRefs', misplaced, 'filters']
    const say = 'gateways read ExternalAuth filters of rules only: this one, of a backendRef, checks nothing'
    const mend = "move it to the rule's own filters"
    const others = rule.backendRefs[misplaced]?.filters.filter(({ type }) => type !== 'ExternalAuth')
    const changes = [
      { path, value: others },
      { path: [...here, 'filters', rule.filters.length], value: mendedFilter(site, undefined, scene) },
    ]
    const fix = { kind: 'edit', changes: site.filter === undefined ? changes : changes.slice(0, 1) } as const
    found.push(diagnosis(route.manifest, { code: 'misplaced-filter', severity: 'error', path, say, mend, fix }, key))
  }
  if (site.filter !== undefined && all.length > 1) {
    const path = [...here, 'filters', all[1] ?? 0]
    const say = `the rule has ${all.length} ExternalAuth filters: some gateways use the first only`
    const mend = 'keep one'
    const kept = rule.filters.filter(
      ({ type }, position) => type !== 'ExternalAuth' || position === site.filter?.path[4],
    )
    const fix = edit([...here, 'filters'], kept)
    found.push(diagnosis(route.manifest, { code: 'repeated-filter', severity: 'warning', path, say, mend, fix }, key))
  }
  return found
}
