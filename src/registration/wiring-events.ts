import { memo } from '../model/memo.ts'
import { showPath } from '../model/result.ts'
import type { EventDraft } from './desired.ts'
import { readMetadata } from './metadata.ts'
import type { FindingsByRoute, RuleFinding } from './objections.ts'
import { sentence } from './sentence.ts'

/** What is known of the errors of the routes of a namespace. */
interface Known {
  readonly findings: ReadonlyMap<string, readonly RuleFinding[]>
  readonly blind: boolean
  /** When each error was first seen, by what tells it from others; `told` where there is nothing to tell any more. */
  readonly since: ReadonlyMap<string, number>
  /** True where that holds for all of them. */
  readonly quiet: boolean
}

/** The namespaces with routes that have errors. */
export type KnownFaults = ReadonlyMap<string, Known>

const told = -Infinity

/** Milliseconds. What we mend ourselves, such as a missing grant, is gone by then. */
const grace = 5000
/** What stood for so long before this replica came to write, the one before it told. */
const settled = 60_000
const most = { route: 3, round: 50 } as const

export interface WiringNews {
  readonly events: readonly EventDraft[]
  readonly known: KnownFaults
  /** Milliseconds until one that has just appeared is to be told, if it stays. */
  readonly wait: number | undefined
}

export interface Telling {
  readonly now: number
  /** This replica is the one that writes; the others only keep account, so that one of them can take over. */
  readonly telling: boolean
  /** Kinds that could not be listed. */
  readonly unlisted?: ReadonlySet<string> | undefined
}

/**
 * Errors of the doctor about HTTPRoutes that have appeared, each once: whoever owns a route may never look at the policy's status.
 * A namespace in which nothing is left to tell is not looked at again before the doctor finds something else there.
 */
export function wiringEvents(findings: FindingsByRoute, before: KnownFaults, telling: Telling): WiringNews {
  const known = new Map<string, Known>()
  const due: Fault[] = []
  let wait = Infinity
  for (const [namespace, found] of findings) {
    const news = newsOf(found, before.get(namespace), telling)
    if (news === undefined) continue
    known.set(namespace, news.known)
    due.push(...news.due)
    wait = Math.min(wait, news.wait)
  }
  return {
    events: telling.telling ? drafts(due) : [],
    known,
    wait: telling.telling && wait < Infinity ? wait : undefined,
  }
}

interface News {
  readonly known: Known
  readonly due: readonly Fault[]
  /** Milliseconds until the next of them is due, if it stays; infinite where there is none. */
  readonly wait: number
}

/** How the errors of a namespace stand; undefined where it has none. */
function newsOf(
  findings: Known['findings'],
  last: Known | undefined,
  { now, telling, unlisted }: Telling,
): News | undefined {
  const blind = unlisted?.has('ReferenceGrant') === true
  if (last?.quiet === true && last.findings === findings && last.blind === blind)
    return { known: last, due: [], wait: Infinity }
  const all = [...findings.values()].flatMap(faultsIn)
  const faults = all.filter(({ finding }) => !(blind && finding.code === 'missing-grant'))
  if (faults.length === 0) return undefined
  const ages = new Map(faults.map(({ key }) => [key, now - (last?.since.get(key) ?? now)]))
  const ageOf = (key: string): number => ages.get(key) ?? Infinity
  const done = (age: number): boolean => age >= settled || (telling && age >= grace)
  const since = new Map([...ages].map(([key, age]) => [key, done(age) ? told : now - age]))
  const young = [...ages.values()].filter((age) => age < grace)
  return {
    known: { findings, blind, since, quiet: [...since.values()].every((at) => at === told) },
    due: faults.filter(({ key }) => ageOf(key) >= grace && ageOf(key) < settled),
    wait: grace - Math.max(...young),
  }
}

interface Fault {
  /** Tells it from others; the sentence may change. */
  readonly key: string
  readonly finding: RuleFinding
  readonly regarding: EventDraft['regarding']
}

const faultsIn = memo((findings: readonly RuleFinding[]): readonly Fault[] => findings.flatMap(faultOf))

function faultOf(finding: RuleFinding): readonly Fault[] {
  const { severity, code, object, path } = finding
  if (severity !== 'error' || object?.kind !== 'HTTPRoute') return []
  const { apiVersion, kind, namespace, name } = object
  const { uid } = readMetadata(object.object)
  const key = JSON.stringify([namespace, name, uid, code, path])
  return [{ key, finding, regarding: { apiVersion, kind, namespace, name, uid } }]
}

/** A few for each route and a few in all: `gatehouse check` tells the rest. */
function drafts(due: readonly Fault[]): readonly EventDraft[] {
  const byRoute = Map.groupBy(due, ({ regarding }) => `${regarding.namespace}/${regarding.name}`)
  return [...byRoute.values()]
    .slice(0, most.round)
    .flatMap((faults) =>
      faults.slice(0, most.route).map(({ finding: { code, path, say, mend }, regarding }, index): EventDraft => {
        const left = index === most.route - 1 ? faults.length - most.route : 0
        const more = left === 0 ? '' : ` gatehouse check lists ${left} more.`
        const text = `${sentence(say)}${mend === undefined ? '' : ` ${sentence(mend)}`}`
        return { regarding, type: 'Warning', reason: reasonOf(code), note: `${showPath(path)}: ${text}${more}` }
      }),
    )
    .slice(0, most.round)
}

/** `MissingGrant` for `missing-grant`: reasons of Events are in this form. */
const reasonOf = (code: string): string =>
  code.replaceAll(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase())
