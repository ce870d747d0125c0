import type { CacheUse } from '../authn/method.ts'
import type { Condition, Subject } from '../authz/condition.ts'
import type { Verdict as Answer } from '../authz/condition.ts'
import { boundedMemo } from '../model/bounded-memo.ts'
import { allow, deny } from '../model/decision.ts'
import type { Allow, Decision, Deny, DenyReason, HeaderList } from '../model/decision.ts'
import { canonicalName, ownedSpellings } from '../model/header.ts'
import type { Identity } from '../model/identity.ts'
import { memo } from '../model/memo.ts'
import type { AuthRequest } from '../model/request.ts'
import { spellingsInQuery } from '../model/target.ts'
import type { Policy, Rule } from '../policy/snapshot.ts'
import { authenticate } from './authenticate.ts'
import type { Known, Who } from './authenticate.ts'
import { refusal } from './refusal.ts'

/** A decision with what the log wants to know of its making. */
export interface Verdict {
  readonly decision: Decision
  /** Name of the authentication entry that settled the matter, if one did. */
  readonly method: string | undefined
  readonly cache: CacheUse
  readonly subject: string | undefined
}

/**
 * Judges one request against the rule that it belongs to: at once where nobody has to be waited for. Never throws or rejects:
 * what it cannot establish, it denies.
 */
export function decide(rule: Rule, request: AuthRequest, signal: AbortSignal): Verdict | Promise<Verdict> {
  const { policy } = rule
  if (policy === undefined) return refused(deny(rule.refusal ?? 'no-policy'))
  const broken = (cause: unknown): Verdict => unfinished(rule, request, 'internal', cause)
  try {
    const verdict = judge({ rule, policy, request, signal })
    return verdict instanceof Promise ? verdict.catch(broken) : verdict
  } catch (cause) {
    return broken(cause)
  }
}

/** The verdict where judging came to no end: a refusal, which a Shadow lets through like any other. Never throws. */
export function unfinished(
  rule: Rule,
  request: AuthRequest,
  reason: 'timeout' | 'cancelled' | 'internal',
  cause?: unknown,
): Verdict {
  const { policy } = rule
  if (policy === undefined) return refused(deny(rule.refusal ?? reason))
  try {
    const fault = requestFault(policy, request)
    const judgement = refusal(policy, fault ?? reason, { cause })
    // Whoever went away is not let through, and what no policy may pass is not passed by being slow.
    if (policy.mode === 'Enforce' || fault !== undefined || reason === 'cancelled') return refused(judgement)
    const decision = letThrough({ rule, policy, request }, nobody, [], judgement.reason)
    return { decision, method: nobody.method, cache: 'none', subject: nobody.subject }
  } catch {
    return refused(deny('internal', { cause }))
  }
}

/** One request at one rule with a policy in force. */
interface Case {
  readonly rule: Rule
  readonly policy: Policy
  readonly request: AuthRequest
  readonly signal: AbortSignal
}

function judge(one: Case): Verdict | Promise<Verdict> {
  const { policy, request, signal } = one
  const fault = requestFault(policy, request)
  if (fault !== undefined) return refused(refusal(policy, fault))
  const who = authenticate(policy, request, signal)
  return who instanceof Promise ? who.then((late) => authorized(one, late)) : authorized(one, who)
}

function authorized(one: Case, who: Who): Verdict | Promise<Verdict> {
  if (who.kind === 'unknown') return settled(one, who, refusal(one.policy, who.reason, { by: who.by }))
  const decision = authorize(one, who)
  return decision instanceof Promise ? decision.then((late) => settled(one, who, late)) : settled(one, who, decision)
}

/** A refusal of a Shadow lets through all the same. */
function settled(one: Case, who: Who, judgement: Decision): Verdict {
  const known = who.kind === 'authenticated'
  const cache = known ? who.cache : 'none'
  if (judgement.kind === 'deny' && one.policy.mode === 'Enforce') {
    return { decision: judgement, method: who.by?.name, cache, subject: known ? who.identity.subject : undefined }
  }
  const identity = known ? who.identity : nobody
  const decision = judgement.kind === 'allow' ? judgement : letThrough(one, identity, [], judgement.reason)
  return { decision, method: who.by?.name ?? identity.method, cache, subject: identity.subject }
}

/** The one place that lets a request through: because the policy grants it, or because it is a Shadow. */
function letThrough(
  { rule, policy, request }: Omit<Case, 'signal'>,
  identity: Identity,
  set: HeaderList,
  shadowed?: DenyReason,
): Allow {
  const { copiesLength } = rule
  const removeQuery = unwantedQuery(policy, request) ?? []
  return allow({ identity, set, remove: removals(rule, policy, request, set), removeQuery, copiesLength, shadowed })
}

/**
 * Query parameters that the policy takes off, as this request spells them: Envoy compares names as they are written. Undefined where
 * they cannot go: the query cannot be read, or there is one over HTTP, whose answers have no word for it.
 */
function unwantedQuery({ removeQuery }: Policy, { target, via }: AuthRequest): readonly string[] | undefined {
  if (removeQuery.size === 0) return []
  const found = spellingsInQuery(target.query, removeQuery)
  return via === 'grpc' || found?.length === 0 ? found : undefined
}

const nobody: Identity = { subject: 'anonymous', method: 'shadow', claims: {}, scopes: [], groups: [] }

const refused = (decision: Deny): Verdict => ({ decision, method: undefined, cache: 'none', subject: undefined })

/** What is wrong with the request whatever its credential says. */
function requestFault(policy: Policy, request: AuthRequest): DenyReason | undefined {
  if (request.fault !== undefined) return request.fault
  const asSent = policy.ambiguousPath === 'AsSent' && request.claim.kind === 'key'
  return request.target.ambiguous !== undefined && !asSent ? 'ambiguous-target' : undefined
}

/** Every condition must hold, and every header must be possible. */
function authorize(one: Case, { identity, preflight }: Known): Decision | Promise<Decision> {
  if (preflight) return letThrough(one, identity, [])
  return examine(one, { request: one.request, identity, rule: one.rule.key }, 0)
}

function examine(one: Case, subject: Subject, index: number): Decision | Promise<Decision> {
  const condition: Condition | undefined = one.policy.conditions[index]
  if (condition === undefined) return grant(one, subject)
  const answer = condition(subject, one.signal)
  return answer instanceof Promise
    ? answer.then((late) => weigh(one, subject, index, late))
    : weigh(one, subject, index, answer)
}

function weigh(one: Case, subject: Subject, index: number, answer: Answer): Decision | Promise<Decision> {
  switch (answer.kind) {
    case 'true':
      return examine(one, subject, index + 1)
    case 'error':
      return refusal(one.policy, 'condition-error', { cause: answer.cause })
    case 'unavailable':
      return refusal(one.policy, answer.reason)
    case 'false':
      return answer.scopes === undefined
        ? refusal(one.policy, 'condition-false')
        : refusal(one.policy, 'insufficient-scope', { scopes: answer.scopes })
  }
}

/** What a rule grants an identity is made once, where nothing else goes into it: the same object is then written once, too. */
function grant(one: Case, subject: Subject): Decision {
  const unwanted = unwantedQuery(one.policy, one.request)
  if (unwanted === undefined) return refusal(one.policy, 'unremovable-query')
  const lasting = one.policy.lastingHeaders && one.request.unusualNames.length === 0 && unwanted.length === 0
  const before = lasting ? granted(one, subject.identity) : undefined
  if (before !== undefined) return before
  const set = one.policy.headers(subject)
  if (set === undefined) return refusal(one.policy, 'header-error')
  const made = letThrough(one, subject.identity, set)
  if (lasting) keepGrant(one, subject.identity, made)
  return made
}

interface Grant {
  /** Number of the rule: the rule itself would be kept past its snapshot. */
  readonly rule: number
  readonly via: AuthRequest['via']
  readonly made: Allow
}

/** Rules for which an identity's grant is kept: identities are bounded in number and bytes, and so are their grants. */
const mostGrants = 4
const grants = new WeakMap<Identity, readonly Grant[]>()

let rules = 0
const numberOf = memo<Rule, number>(() => (rules += 1))

function granted({ rule, request }: Case, identity: Identity): Allow | undefined {
  const number = numberOf(rule)
  return grants.get(identity)?.find((one) => one.rule === number && one.via === request.via)?.made
}

function keepGrant({ rule, request }: Case, identity: Identity, made: Allow): void {
  const kept = (grants.get(identity) ?? []).slice(0, mostGrants - 1)
  grants.set(identity, [{ rule: numberOf(rule), via: request.via, made }, ...kept])
}

/** Every owned header that is not set, in every spelling that the rule or this very request knows, and what the policy drops. */
function removals(rule: Rule, policy: Policy, request: AuthRequest, set: HeaderList): readonly string[] {
  const usual = usualRemovals(rule)(set.map(([name]) => name).join())
  const unusual = request.unusualNames.filter((name) => {
    const stands = canonicalName(name)
    return rule.owned.has(stands) || dropped(policy).has(stands)
  })
  return unusual.length === 0 ? usual : [...new Set([...usual, ...unusual])].filter((name) => !isSet(set, name))
}

const isSet = (set: HeaderList, name: string): boolean => set.some(([one]) => one === name)

/** Without those of the request: for each list of names that are set, joined by commas. */
const usualRemovals = memo(({ owned, policy }: Rule) =>
  boundedMemo(64, (names: string): readonly string[] => {
    const kept = new Set(names.split(','))
    const all = policy === undefined ? owned : [...owned, ...dropped(policy)]
    return [...new Set(all)].filter((name) => !kept.has(name))
  }),
)

/** What a policy removes, in every spelling that a backend may take for it. */
const dropped = memo((policy: Policy) => ownedSpellings(policy.remove))
