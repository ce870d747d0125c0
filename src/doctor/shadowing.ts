import { timestamp } from '../policy/gateway-api.ts'
import { diagnosis, ruleNamed } from './diagnosis.ts'
import type { Diagnosis } from './diagnosis.ts'
import { broaderConstraints, broaderHosts, broaderPaths, everything, matchForm, signature } from './match-form.ts'
import type { MatchForm } from './match-form.ts'
import { mendedFilter } from './mended-filter.ts'
import { arenasOf } from './reach.ts'
import type { Arena } from './reach.ts'
import { controllersOf } from './scene.ts'
import type { HttpRoute, RuleSite, Scene } from './scene.ts'

/** An open match that takes what a protected one does: before it, or as soon as the protected rule is left out. */
interface Shadow {
  readonly open: RuleSite
  readonly first: boolean
  /** Position of the protected match. */
  readonly match: number
}

// Look-ups: tens are usual for a rule. A route's owner can write one that takes millions, and then gets no answer.
const limits = { perRule: 20_000, all: 5_000_000 } as const

/**
 * Protected rules beside open ones that match as much or more on the same hosts. Each open match is entered once under its gateway,
 * host, path and constraints, and each protected one looks up what is broader: the cost grows with the rules, not with their pairs.
 */
export function shadowing(scene: Scene): readonly Diagnosis[] {
  const arenas = new Map<HttpRoute, readonly Arena[]>()
  for (const { route, reach } of scene.sites) if (!arenas.has(route)) arenas.set(route, arenasOf(route, reach))
  const open = new Map<string, RuleSite>()
  const allowance = { left: limits.all }
  for (const site of scene.sites) {
    if (!isOpen(site)) continue
    each(site, arenas, allowance, ({ form, place, host }) => {
      const key = keyOf(place, host, form.path, signature(form.constraints))
      const known = open.get(key)
      if (known === undefined || precedes(site, known)) open.set(key, site)
      return true
    })
  }
  if (open.size === 0) return []
  return scene.sites.flatMap((site) => {
    const shadow = site.filter === undefined ? undefined : find(site, open, arenas, allowance)
    return shadow === undefined ? [] : [told(site, shadow, scene)]
  })
}

/** Served to everybody: no check of any kind, and not just a redirect. */
const isOpen = ({ rule }: RuleSite): boolean =>
  rule.backendRefs.length > 0 &&
  !rule.filters.some(({ type }) => ['ExternalAuth', 'ExtensionRef', 'RequestRedirect'].includes(type))

interface Place {
  readonly form: MatchForm
  readonly match: number
  readonly place: string
  readonly host: string
}

/** Calls for each match of a rule in each place and host, within bounds, until it is told to stop. */
function each(
  { route, rule }: RuleSite,
  arenas: ReadonlyMap<HttpRoute, readonly Arena[]>,
  allowance: { left: number },
  visit: (place: Place, spend: (count: number) => boolean) => boolean,
): void {
  const forms = rule.matches.length === 0 ? [everything] : rule.matches.slice(0, 1024).map(matchForm)
  let left = Math.min(limits.perRule, allowance.left)
  const spend = (count: number): boolean => {
    if (count > left) return false
    left -= count
    allowance.left -= count
    return true
  }
  for (const [match, form] of forms.entries()) {
    if (form === undefined) continue
    for (const { place, hostnames } of arenas.get(route) ?? []) {
      for (const host of hostnames) {
        if (!spend(1) || !visit({ form, match, place, host }, spend)) return
      }
    }
  }
}

function find(
  site: RuleSite,
  open: ReadonlyMap<string, RuleSite>,
  arenas: ReadonlyMap<HttpRoute, readonly Arena[]>,
  allowance: { left: number },
): Shadow | undefined {
  let found: Shadow | undefined
  each(site, arenas, allowance, (at, spend) => {
    const same = open.get(keyOf(at.place, at.host, at.form.path, signature(at.form.constraints)))
    if (same !== undefined && precedes(same, site)) {
      found = { open: same, first: true, match: at.match }
      return false
    }
    const broader = found === undefined ? broaderThan(at, open, spend) : undefined
    if (broader !== undefined) found = { open: broader, first: false, match: at.match }
    return true
  })
  return found
}

const keyOf = (place: string, host: string, path: string, constraints: string): string =>
  `${place} ${host} ${path} ${constraints}`

function broaderThan(
  { form, place, host }: Place,
  open: ReadonlyMap<string, RuleSite>,
  spend: (count: number) => boolean,
): RuleSite | undefined {
  const [hosts, paths] = [broaderHosts(host), broaderPaths(form.path)]
  const constraints = broaderConstraints(form.constraints)
  if (!spend(hosts.length * paths.length * constraints.length)) return undefined
  for (const pattern of hosts) {
    for (const path of paths) {
      for (const set of constraints) {
        const known = open.get(keyOf(place, pattern, path, set))
        if (known !== undefined) return known
      }
    }
  }
  return undefined
}

/** Which of two equal matches a gateway takes: the older route's, the first by name, the first in the route. */
function precedes(one: RuleSite, other: RuleSite): boolean {
  if (one.route === other.route) return one.index < other.index
  const age = created(one) - created(other)
  if (age !== 0 && !Number.isNaN(age)) return age < 0
  return nameOf(one) < nameOf(other)
}

const created = ({ route }: RuleSite): number => timestamp(route.object.metadata.creationTimestamp) ?? Infinity

const nameOf = ({ route: { manifest } }: RuleSite): string => `${manifest.namespace}/${manifest.name}`

function told(site: RuleSite, { open, first, match }: Shadow, scene: Scene): Diagnosis {
  const { route, rule, index, key } = site
  const path = ['spec', 'rules', index, ...(rule.matches.length === 0 ? [] : ['matches', match])]
  const other = ruleNamed(open.key)
  const say = first
    ? `${other} matches the same requests, comes first and has no ExternalAuth filter: they are never checked`
    : `${other} matches these requests too and has no ExternalAuth filter: a gateway that leaves this rule out for a fault serves them unchecked`
  const mend = `give ${other} the filter and a policy too, or other paths or hosts`
  const filters = ['spec', 'rules', open.index, 'filters', open.rule.filters.length]
  const change = { object: open.route.manifest, path: filters, value: mendedFilter(open, undefined, scene) }
  const fix = { kind: 'edit', changes: [change] } as const
  const severity = first ? 'error' : mayDrop(site, scene) ? 'warning' : 'note'
  return diagnosis(route.manifest, { code: 'shadowed-rule', severity, path, say, mend, fix }, key)
}

/** True where a gateway of the rule leaves out rules with a fault, or may: of unknown controllers nothing better is assumed. */
function mayDrop(site: RuleSite, { us }: Scene): boolean {
  const known = controllersOf(site)
  return known.some(({ dropsRules }) => dropsRules) || (us !== undefined && known.length === 0)
}
