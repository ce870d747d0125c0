import { createHash } from 'node:crypto'
import { showRoute } from '../model/route.ts'
import type { Claimed } from '../policy/report.ts'
import type { AncestorRef, Verdict } from './desired.ts'
import { showRef } from './parents.ts'
import { prove } from './proof.ts'
import type { Grounds } from './proof.ts'
import { listed, plain } from './sentence.ts'

/** Where a working policy is in force, where another is, and what the status said of it so far. */
export interface Claim {
  readonly at: AncestorRef
  readonly inForce: readonly Claimed[]
  readonly lost: readonly Claimed[]
  /** Message of an `Enforced: True` of the same generation of the policy. */
  readonly proved: string | undefined
}

/** `Enforced` of rules that a working policy is in force for: True only where each of them is proved through this ancestor. */
export function enforced({ at, inForce, lost, proved }: Claim, grounds: Grounds): Verdict {
  const proofs = inForce.map(({ key }) => ({ rule: key.rule, proof: prove(showRoute(key), at, grounds) }))
  const open = proofs.flatMap(({ proof }) => (proof.kind === 'open' ? [proof] : []))
  const missing = proofs.flatMap(({ proof }) => (proof.kind === 'missing' ? [proof] : []))
  const others = lost.length === 0 ? '' : ` ${overriddenSay(lost)}`
  const [first] = open
  if (first !== undefined) return { status: 'False', reason: 'ProbePassed', message: `${first.say}${others}` }
  const message = `${provedSay(inForce, at, grounds)}${besideSay(inForce, at, grounds)}${others}`
  const [lack] = missing
  const inherited = missing.every(({ reason }) => quiet.has(reason)) && inherits(message, proved, inForce, grounds)
  if (lack !== undefined && !inherited) {
    const more =
      missing.length > 1 ? ` The same or another proof is missing for ${missing.length - 1} more of its rules.` : ''
    return { status: 'Unknown', reason: lack.reason, message: `${lack.say}${more}${others}` }
  }
  return { status: 'True', reason: lost.length === 0 ? 'Enforced' : 'PartiallyEnforced', message }
}

/** Names the generations of the routes: a proof is a proof of that form of them. */
function provedSay(inForce: readonly Claimed[], at: AncestorRef, { route }: Grounds): string {
  const rules = inForce.map(({ key }) => `${key.route}/${key.rule}`)
  const names = [...new Set(inForce.map(({ key }) => `${key.namespace}/${key.route}`))]
  const forms = names.map((name) => `${name} at generation ${route(name)?.route.route.object.metadata.generation ?? 0}`)
  const few = rules.length <= 4 && forms.length <= 4
  const print = createHash('sha256')
    .update(JSON.stringify([rules, forms]))
    .digest('hex')
    .slice(0, 12)
  const form = few ? `HTTPRoute ${forms.join(', ')}` : `${forms.length} HTTPRoutes, of form ${print}`
  return `Requests through ${showRef(at)} are checked: ${listed(rules)} (${form}).`
}

/** Errors that leave the checks in force: who reads that all is well has to learn of them there. */
function besideSay(inForce: readonly Claimed[], at: AncestorRef, { objections }: Grounds): string {
  const faults = inForce.flatMap(({ key }) =>
    objections(showRoute(key), showRef(at)).map(({ say }) => `${key.route}/${key.rule}: ${plain(say)}`),
  )
  const [first, ...more] = [...new Set(faults)]
  if (first === undefined) return ''
  const rest = more.length === 0 ? '' : ` gatehouse check lists ${more.length} more.`
  return ` But something is wrong at ${first}${rest}`
}

// Nothing speaks against it; we only did not see it.
const quiet: ReadonlySet<string> = new Set(['NoCheckSeen', 'GatewayNotTold'])

/**
 * True where the status already tells of a proof for the very same forms of policy and routes: a replica that has just started,
 * or just became the one that writes, has not seen anything yet, and what was proved did not become false by that.
 */
function inherits(
  message: string,
  proved: string | undefined,
  inForce: readonly Claimed[],
  { evidence, now }: Grounds,
): boolean {
  const unchanged = inForce.every(({ key }) => evidence.unchanged(showRoute(key)))
  return unchanged && message === proved && now - evidence.since < evidence.belief
}

/** One sentence for rules where another policy is in force. */
export function overriddenSay(lost: readonly Claimed[]): string {
  const byWinner = Map.groupBy(lost, ({ by }) => by ?? '')
  return [...byWinner]
    .map(
      ([winner, rules]) =>
        `AuthPolicy ${winner} is in force instead at ${listed(rules.map(({ key }) => `${key.route}/${key.rule}`))}.`,
    )
    .join(' ')
}
