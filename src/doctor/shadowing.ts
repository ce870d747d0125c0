import { timestamp } from '../policy/gateway-api.ts'
import { diagnosis, ruleNamed } from './diagnosis.ts'
import type { Diagnosis } from './diagnosis.ts'
import { broaderConstraints, broaderHosts, broaderPaths, everything, matchForm, signature } from './match-form.ts'
import type { MatchForm } from './match-form.ts'
import { mendedFilter } from './mended-filter.ts'
import type { Arena } from './reach.ts'
import { controllersOf } from './scene.ts'
import type { RuleSite, Scene } from './scene.ts'

/** An open match that takes what a protected one does: before it, or as soon as the protected rule is left out. */
interface Shadow {
  readonly open: RuleSite
  readonly first: boolean
  /** Position of the protected match. */
  readonly match: number
}

// Look-ups: tens are usual for a rule. A route's owner can write one that takes millions, and then gets no answer.
const limits = { perRule: 20_000, perRoute: 100_000, places: 4096 } as const

/*
 * Protected rules beside open ones that match as much or more on the same hosts. Each open match is entered once in the table of its
 * gateway and host, under its path and constraints, and each protected one looks up what is broader: the cost grows with the rules,
 * not with their pairs, and a route is judged again only where one of the tables that it looks into is another.
 */

/** An open match: its path and constraints in one text. */
export interface Opening {
  readonly form: string
  readonly site: RuleSite
}

/** The open matches of one gateway and host. */
export type Openings = ReadonlyMap<string, RuleSite>

/** Of equal matches the one that a gateway takes. */
export function openingsOf(all: readonly Opening[]): Openings {
  const open = new Map<string, RuleSite>()
  for (const { form, site } of all) {
    const known = open.get(form)
    if (known === undefined || precedes(site, known)) open.set(form, site)
  }
  return open
}

/** The open matches of a route, by gateway and host. */
export function openIn(sites: readonly RuleSite[], arenas: readonly Arena[]): ReadonlyMap<string, readonly Opening[]> {
  const all = new Map<string, Opening[]>()
  const allowance = { left: limits.perRoute }
  for (const site of sites.filter(isOpen)) {
    each(site, arenas, allowance, ({ form, place, host }) => {
      const at = tableOf(place, host)
      const list = all.get(at) ?? []
      all.set(at, list)
      list.push({ form: formOf(form.path, signature(form.constraints)), site })
      return true
    })
  }
  return all
}

/** The tables in which the protected rules of a route are looked up. */
export function tablesFor(sites: readonly RuleSite[], arenas: readonly Arena[]): readonly string[] {
  if (sites.every(({ filter }) => filter === undefined)) return []
  const all = new Set<string>()
  for (const { place, hostnames } of arenas) {
    for (const host of hostnames) {
      if (all.size > limits.places) break
      for (const one of broaderHosts(host)) all.add(tableOf(place, one))
    }
  }
  return [...all]
}

type Tables = ReadonlyMap<string, Openings>

/** The protected rules of a route that are shadowed by the open ones in some tables. */
export function shadowing(
  sites: readonly RuleSite[],
  arenas: readonly Arena[],
  tables: Tables,
  scene: Scene,
): readonly Diagnosis[] {
  if (tables.size === 0) return []
  const allowance = { left: limits.perRoute }
  return sites.flatMap((site) => {
    const shadow = site.filter === undefined ? undefined : find(site, arenas, tables, allowance)
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
  { rule }: RuleSite,
  arenas: readonly Arena[],
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
    for (const { place, hostnames } of arenas) {
      for (const host of hostnames) {
        if (!spend(1) || !visit({ form, match, place, host }, spend)) return
      }
    }
  }
}

function find(
  site: RuleSite,
  arenas: readonly Arena[],
  tables: Tables,
  allowance: { left: number },
): Shadow | undefined {
  let found: Shadow | undefined
  each(site, arenas, allowance, (at, spend) => {
    const same = tables.get(tableOf(at.place, at.host))?.get(formOf(at.form.path, signature(at.form.constraints)))
    if (same !== undefined && precedes(same, site)) {
      found = { open: same, first: true, match: at.match }
      return false
    }
    const broader = found === undefined ? broaderThan(at, tables, spend) : undefined
    if (broader !== undefined) found = { open: broader, first: false, match: at.match }
    return true
  })
  return found
}

const tableOf = (place: string, host: string): string => `${place} ${host}`

const formOf = (path: string, constraints: string): string => `${path} ${constraints}`

function broaderThan(
  { form, place, host }: Place,
  tables: Tables,
  spend: (count: number) => boolean,
): RuleSite | undefined {
  const [hosts, paths] = [broaderHosts(host), broaderPaths(form.path)]
  const constraints = broaderConstraints(form.constraints)
  if (!spend(hosts.length * paths.length * constraints.length)) return undefined
  for (const pattern of hosts) {
    const open = tables.get(tableOf(place, pattern))
    if (open === undefined) continue
    for (const path of paths) {
      for (const set of constraints) {
        const known = open.get(formOf(path, set))
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
