import { createHash } from 'node:crypto'
import { showRoute } from '../model/route.ts'
import type { Claimed } from '../policy/report.ts'
import type { AncestorRef, Verdict } from './desired.ts'
import { showRef, whoServes } from './parents.ts'
import { proofs, prove } from './proof.ts'
import type { Grounds, Proof } from './proof.ts'
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
  const all = inForce.map(({ key }) => prove(showRoute(key), at, grounds))
  const missing = all.flatMap((proof) => (proof.kind === 'missing' ? [proof] : []))
  const others = lost.length === 0 ? '' : ` ${overriddenSay(lost)}`
  const open = all.find((proof) => proof.kind === 'open')
  if (open !== undefined) return { status: 'False', reason: 'ProbePassed', message: `${open.say}${others}` }
  const beside = besideSay(inForce, at, grounds)
  const messageOf = (by: Proof): string => `${provedSay(by, inForce, at, grounds)}${beside}${others}`
  const kept = missing.every(({ reason }) => quiet.has(reason))
    ? inherited({ inForce, proved, messageOf }, grounds)
    : undefined
  const [lack] = missing
  // All of it is proved as well as the worst of it is.
  const own = lack === undefined ? proofs.findLast((by) => all.some((one) => 'by' in one && one.by === by)) : undefined
  const best = proofs.find((by) => by === own || by === kept)
  if (best !== undefined) {
    return { status: 'True', reason: lost.length === 0 ? 'Enforced' : 'PartiallyEnforced', message: messageOf(best) }
  }
  const more =
    missing.length > 1 ? ` The same or another proof is missing for ${missing.length - 1} more of its rules.` : ''
  return { status: 'Unknown', reason: lack?.reason ?? 'NoRules', message: `${lack?.say ?? ''}${more}${others}` }
}

/** Says what was accepted as proof, and names the generations of the routes: it is a proof of that form of them. */
function provedSay(by: Proof, inForce: readonly Claimed[], at: AncestorRef, { route }: Grounds): string {
  const rules = inForce.map(({ key }) => `${key.route}/${key.rule}`)
  const names = [...new Set(inForce.map(({ key }) => `${key.namespace}/${key.route}`))]
  const forms = names.map((name) => `${name} at generation ${route(name)?.route.route.object.metadata.generation ?? 0}`)
  const few = rules.length <= 4 && forms.length <= 4
  const print = createHash('sha256')
    .update(JSON.stringify([rules, forms]))
    .digest('hex')
    .slice(0, 12)
  const form = few ? `HTTPRoute ${forms.join(', ')}` : `${forms.length} HTTPRoutes, of form ${print}`
  const what = `${listed(rules)} (${form})`
  return by === 'somebody'
    ? `Checks were seen for ${what}. Who sent them is not known: ${betterProof(at)} would show that ${whoServes(at)} did.`
    : `Requests through ${showRef(at)} are checked: ${what}. ${evidenceSay[by]}`
}

const evidenceSay: Readonly<Record<Exclude<Proof, 'somebody'>, string>> = {
  probe: 'A probe without credentials was refused there.',
  certificate: 'The checks came with a client certificate (--tls-client-ca).',
  gateway: "The checks came from a Gateway's own address.",
}

const certificates = 'client certificates (--tls-client-ca)'

const betterProof = ({ kind }: AncestorRef): string =>
  kind === 'Gateway' ? `a probe (--probe) or ${certificates}` : certificates

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
const quiet: ReadonlySet<string> = new Set(['NoCheckSeen', 'NoGatewaySeen', 'GatewayNotTold'])

interface Past {
  readonly inForce: readonly Claimed[]
  readonly proved: string | undefined
  readonly messageOf: (by: Proof) => string
}

/**
 * The proof that the status already tells of for the very same forms of policy and routes: a replica that has just started, or
 * just became the one that writes, has not seen anything yet, and what was proved did not become false by that.
 */
function inherited({ inForce, proved, messageOf }: Past, { evidence, now }: Grounds): Proof | undefined {
  const unchanged = inForce.every(({ key }) => evidence.unchanged(showRoute(key)))
  if (proved === undefined || !unchanged || now - evidence.since >= evidence.belief) return undefined
  return proofs.find((by) => messageOf(by) === proved)
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
