import type { AncestorRef } from './desired.ts'
import type { Evidence } from './evidence.ts'
import { bearingOf } from './objections.ts'
import type { Bearing, Objections } from './objections.ts'
import type { OurRoute } from './our-routes.ts'
import { showRef, whoServes } from './parents.ts'
import type { Parent } from './parents.ts'
import { sentence } from './sentence.ts'
import type { Witness } from './witness.ts'

/** A route with everything that leads to it. */
export interface Reached {
  readonly route: OurRoute
  readonly parents: readonly Parent[]
}

/** What enforcement is judged by. */
export interface Grounds {
  readonly route: (name: string) => Reached | undefined
  readonly evidence: Evidence
  readonly now: number
  /** What the doctor holds against a rule at an ancestor. */
  readonly objections: Objections
}

/** What shows that a rule is checked, the surest first: a probe that was refused, or a check, by who sent it. */
export const proofs = ['probe', 'certificate', 'gateway', 'somebody'] as const satisfies readonly ('probe' | Witness)[]

export type Proof = (typeof proofs)[number]

/** How one rule stands at one gateway. */
export type RuleProof =
  | { readonly kind: 'proved'; readonly by: Proof }
  | { readonly kind: 'open'; readonly say: string }
  | { readonly kind: 'missing'; readonly reason: string; readonly say: string }

/** What speaks for one rule being checked through one ancestor, and where nothing does, the first thing that is missing. */
export function prove(rule: string, at: AncestorRef, grounds: Grounds): RuleProof {
  const [namespace = '', name = ''] = rule.split('/')
  const reached = grounds.route(`${namespace}/${name}`)
  const parent = reached?.parents.find(({ ref }) => showRef(ref) === showRef(at))
  if (reached === undefined || parent === undefined) return notAttached(`${namespace}/${name}`, at)
  const bearing = bearingAt(rule, at, grounds)
  const probed = byProbe(rule, at, bearing, grounds)
  if (probed !== undefined) return probed
  // A check that was seen may belong to the rules that have it.
  if (carried(rule, reached) === 'some') {
    const say = 'Not all rules under this name have an ExternalAuth filter that asks Gatehouse'
    return lacking('FilterMissing', `${say}: ${rule}; give each rule a name of its own`)
  }
  const by = grounds.evidence.witness(rule, grounds.now)
  return bearing === 'checked' && onlyWay(parent, reached) && by !== undefined && by !== 'local'
    ? { kind: 'proved', by }
    : wanting(rule, reached, parent, grounds)
}

function notAttached(name: string, at: AncestorRef): RuleProof {
  const where = at.kind === 'HTTPRoute' ? 'any Gateway: there is no default one that takes it' : showRef(at)
  return lacking('RouteNotAttached', `HTTPRoute ${name} is not attached to ${where}`)
}

/** What the worst of the objections means. */
function bearingAt(rule: string, at: AncestorRef, { objections }: Grounds): Bearing {
  const [worst] = objections(rule, showRef(at))
  return worst === undefined ? 'checked' : bearingOf(worst)
}

/** A probe tells for sure, if it tells anything; but it is one request, and others of the rule may be served unchecked. */
function byProbe(rule: string, at: AncestorRef, bearing: Bearing, { evidence, now }: Grounds): RuleProof | undefined {
  const probe = evidence.probe(showRef(at), rule, now)
  if (probe?.kind === 'refused' && bearing !== 'open') return { kind: 'proved', by: 'probe' }
  if (probe?.kind !== 'passed') return undefined
  const say = `A request without credentials for ${rule} got status ${probe.status} through ${showRef(at)}`
  return { kind: 'open', say: `${say}: the gateway does not ask.` }
}

const carried = (rule: string, { route }: Reached) => route.carries(rule.slice(rule.lastIndexOf('/') + 1))

/** A check does not tell which gateway asked: it counts where only one can have. */
const onlyWay = ({ accepted }: Parent, { parents }: Reached): boolean =>
  accepted.status === 'True' && parents.filter((one) => one.accepted.status === 'True').length === 1

/** The first thing that stands between a rule and its proof, with what to do about it. */
function wanting(rule: string, reached: Reached, { ref, accepted, resolved }: Parent, grounds: Grounds): RuleProof {
  const short = rule.slice(rule.indexOf('/') + 1)
  // What serves a route without parents asks in its own way.
  if (ref.kind !== 'HTTPRoute' && carried(rule, reached) !== 'all') {
    return lacking(
      'FilterMissing',
      `No check for ${short} was seen, and it has no ExternalAuth filter that asks Gatehouse`,
    )
  }
  const name = rule.slice(0, rule.lastIndexOf('/'))
  if (accepted.status === 'False') {
    return lacking('RouteNotAccepted', `${showRef(ref)} does not accept HTTPRoute ${name} (${accepted.reason})`)
  }
  if (accepted.status === 'Unknown') {
    return lacking('RouteNotAccepted', `${showRef(ref)} has not said that it accepts HTTPRoute ${name}`)
  }
  if (resolved.status === 'False') {
    return lacking(
      'RouteRefsNotResolved',
      `${showRef(ref)} cannot resolve what HTTPRoute ${name} refers to (${resolved.reason})`,
    )
  }
  const [worst] = grounds.objections(rule, showRef(ref))
  if (worst !== undefined) return lacking('WiringFault', `${seenSay(rule, grounds)} something is wrong: ${worst.say}`)
  const probe = grounds.evidence.probe(showRef(ref), rule, grounds.now)
  if (probe?.kind === 'unclear') return lacking('ProbeUnclear', `The probe of ${short} tells nothing: ${probe.say}`)
  const gateways = reached.parents.filter((one) => one.accepted.status === 'True').length
  const by = grounds.evidence.witness(rule, grounds.now)
  if (by === 'local') return lacking('NoGatewaySeen', `${localSay(short)}; ${sendOne(ref)}`)
  return gateways > 1 && by !== undefined
    ? lacking(
        'GatewayNotTold',
        `Checks for ${short} were seen, but ${gateways} gateways serve it and a check does not tell which one asked; a probe would (--probe)`,
      )
    : lacking('NoCheckSeen', `No check for ${short} was seen yet; ${sendOne(ref)}`)
}

const sendOne = (ref: AncestorRef): string => `send one request through ${whoServes(ref)}`

const localSay = (short: string): string =>
  `Checks for ${short} came from Gatehouse's own machine only, as through kubectl port-forward, and prove no gateway`

function seenSay(rule: string, { evidence, now }: Grounds): string {
  const short = rule.slice(rule.indexOf('/') + 1)
  return evidence.checked(rule, now) ? `Checks for ${short} were seen, but` : `No check for ${short} was seen, and`
}

const lacking = (reason: string, say: string): RuleProof => ({ kind: 'missing', reason, say: sentence(say) })
