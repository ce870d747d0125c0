import { showPath } from '../model/result.ts'
import type { EventDraft } from './desired.ts'
import { readMetadata } from './metadata.ts'
import type { RuleFinding } from './objections.ts'
import { sentence } from './sentence.ts'

/** When each error was first seen, by what tells it from others; `told` where there is nothing to tell any more. */
export type KnownFaults = ReadonlyMap<string, number>

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

/** Errors of the doctor about HTTPRoutes that have appeared, each once: whoever owns a route may never look at the policy's status. */
export function wiringEvents(
  findings: readonly RuleFinding[],
  before: KnownFaults,
  { now, telling, unlisted }: Telling,
): WiringNews {
  const blind = unlisted?.has('ReferenceGrant') === true
  const faults = findings.flatMap((one) => (blind && one.code === 'missing-grant' ? [] : faultOf(one)))
  const ages = new Map(faults.map(({ key }) => [key, now - (before.get(key) ?? now)]))
  const ageOf = (key: string): number => ages.get(key) ?? Infinity
  const due = faults.filter(({ key }) => ageOf(key) >= grace && ageOf(key) < settled)
  const young = [...ages.values()].filter((age) => age < grace)
  const done = (age: number): boolean => telling && age >= grace
  return {
    events: telling ? drafts(due) : [],
    known: new Map([...ages].map(([key, age]) => [key, done(age) ? told : now - age])),
    wait: !telling || young.length === 0 ? undefined : grace - Math.max(...young),
  }
}

interface Fault {
  /** Tells it from others; the sentence may change. */
  readonly key: string
  readonly finding: RuleFinding
  readonly regarding: EventDraft['regarding']
}

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
