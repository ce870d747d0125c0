import type { Authenticator, CacheUse, ChallengeError } from '../authn/method.ts'
import type { Subject } from '../authz/condition.ts'
import { allow, classOf, deny } from '../model/decision.ts'
import type { Decision, Deny, DenyReason, HeaderList } from '../model/decision.ts'
import { canonicalName } from '../model/header.ts'
import type { Identity } from '../model/identity.ts'
import type { AuthRequest } from '../model/request.ts'
import type { Policy, Rule } from '../policy/snapshot.ts'

/** A decision with what the log wants to know of its making. */
export interface Verdict {
  readonly decision: Decision
  /** Name of the authentication entry that settled the matter, if one did. */
  readonly method: string | undefined
  readonly cache: CacheUse
  readonly subject: string | undefined
}

type Usable = Rule & { readonly policy: Policy }

/** Judges one request against the rule that it belongs to. Never throws: what it cannot establish, it denies. */
export async function decide(rule: Rule, request: AuthRequest, signal: AbortSignal): Promise<Verdict> {
  const { policy } = rule
  if (policy === undefined) return refused(deny(rule.refusal ?? 'no-policy'))
  try {
    return await judge({ ...rule, policy }, request, signal)
  } catch (cause) {
    return unfinished(rule, request, 'internal', cause)
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
    return letThrough({ ...rule, policy }, request, judgement, { identity: nobody, method: undefined, cache: 'none' })
  } catch {
    return refused(deny('internal', { cause }))
  }
}

async function judge(rule: Usable, request: AuthRequest, signal: AbortSignal): Promise<Verdict> {
  const { policy } = rule
  const fault = requestFault(policy, request)
  if (fault !== undefined) return refused(refusal(policy, fault))
  const who = await authenticate(policy, request, signal)
  const judgement =
    who.kind === 'authenticated'
      ? await authorize(rule, { request, identity: who.identity, rule: rule.key }, who.preflight, signal)
      : refusal(policy, who.reason, { by: who.by })
  const settled = { method: who.by?.name, cache: who.kind === 'authenticated' ? who.cache : 'none' } as const
  const identity = who.kind === 'authenticated' ? who.identity : nobody
  if (judgement.kind === 'deny' && policy.mode === 'Enforce') {
    return { decision: judgement, ...settled, subject: who.kind === 'authenticated' ? identity.subject : undefined }
  }
  return letThrough(rule, request, judgement, { ...settled, identity })
}

type Settled = Pick<Verdict, 'method' | 'cache'> & { readonly identity: Identity }

/** The one place that lets a request through: because the policy grants it, or because it is a Shadow. */
function letThrough(rule: Usable, request: AuthRequest, judgement: Judgement, settled: Settled): Verdict {
  const { identity, method, cache } = settled
  const set = judgement.kind === 'deny' ? [] : judgement.headers
  const shadowed = judgement.kind === 'deny' ? judgement.reason : undefined
  const decision = allow({ identity, set, remove: removals(rule, request, set), shadowed })
  return { decision, method: method ?? identity.method, cache, subject: identity.subject }
}

const nobody: Identity = { subject: 'anonymous', method: 'shadow', claims: {}, scopes: [], groups: [] }

const refused = (decision: Deny): Verdict => ({ decision, method: undefined, cache: 'none', subject: undefined })

/** What is wrong with the request whatever its credential says. */
function requestFault(policy: Policy, request: AuthRequest): DenyReason | undefined {
  if (request.fault !== undefined) return request.fault
  const asSent = policy.ambiguousPath === 'AsSent' && request.claim.kind === 'key'
  return request.target.ambiguous !== undefined && !asSent ? 'ambiguous-target' : undefined
}

type Who =
  | {
      readonly kind: 'authenticated'
      readonly identity: Identity
      readonly cache: CacheUse
      readonly by: Authenticator | undefined
      /** A CORS preflight carries no credential by design; conditions about identities do not apply to it. */
      readonly preflight: boolean
    }
  | Unknown

interface Unknown {
  readonly kind: 'unknown'
  readonly reason: DenyReason
  readonly by: Authenticator | undefined
}

/**
 * Asks every method in turn; one that authenticates is enough. Otherwise the worst answer counts: unavailable, then
 * rejected, then absent. The guest is for those who presented nothing at all: a wrong credential is never a guest.
 */
async function authenticate(policy: Policy, request: AuthRequest, signal: AbortSignal): Promise<Who> {
  if (policy.preflight === 'Allow' && isPreflight(request)) {
    return { kind: 'authenticated', identity: preflightIdentity, cache: 'none', by: undefined, preflight: true }
  }
  let worst: Unknown | undefined
  for (const by of policy.authenticators) {
    const outcome = await by.authenticate(request, signal)
    if (outcome.kind === 'authenticated') return { ...outcome, by, preflight: false }
    if (outcome.kind === 'unavailable' || (outcome.kind === 'rejected' && worst === undefined)) {
      worst = { kind: 'unknown', reason: outcome.reason, by }
    }
  }
  return worst ?? nobodyKnown(policy, request)
}

/** No method found a credential of its own: a guest, unless something was presented after all. */
function nobodyKnown(policy: Policy, request: AuthRequest): Who {
  const reader = policy.authenticators.find((one) => one.presented(request))
  if (reader !== undefined || request.headers.has('authorization')) {
    return { kind: 'unknown', reason: 'unsupported-credential', by: reader }
  }
  if (policy.guest === undefined) return { kind: 'unknown', reason: 'no-credential', by: undefined }
  return { kind: 'authenticated', identity: policy.guest, cache: 'none', by: undefined, preflight: false }
}

const preflightIdentity: Identity = { subject: 'preflight', method: 'preflight', claims: {}, scopes: [], groups: [] }

/** A CORS preflight as the Fetch standard makes it: OPTIONS with both headers, without a credential. */
const isPreflight = ({ method, headers }: AuthRequest): boolean =>
  method === 'OPTIONS' &&
  headers.has('origin') &&
  headers.has('access-control-request-method') &&
  !headers.has('authorization')

type Judgement = { readonly kind: 'granted'; readonly headers: HeaderList } | Deny

/** Every condition must hold, and every header must be possible. */
async function authorize(
  { policy }: Usable,
  subject: Subject,
  preflight: boolean,
  signal: AbortSignal,
): Promise<Judgement> {
  if (preflight) return { kind: 'granted', headers: [] }
  for (const condition of policy.conditions) {
    const verdict = await condition(subject, signal)
    switch (verdict.kind) {
      case 'true':
        break
      case 'error':
        return refusal(policy, 'condition-error', { cause: verdict.cause })
      case 'false':
        return verdict.scopes === undefined
          ? refusal(policy, 'condition-false')
          : refusal(policy, 'insufficient-scope', { scopes: verdict.scopes })
    }
  }
  const headers = policy.headers(subject)
  return headers === undefined ? refusal(policy, 'header-error') : { kind: 'granted', headers }
}

/** Every owned header that is not set, in every spelling that the rule or this very request knows, and what the policy drops. */
function removals(rule: Usable, request: AuthRequest, set: HeaderList): readonly string[] {
  const kept = new Set(set.map(([name]) => name))
  const gone = new Set([...rule.owned, ...rule.policy.remove].filter((name) => !kept.has(name)))
  for (const name of request.headers.keys()) {
    const plain = canonicalName(name)
    if (plain !== name && !kept.has(name) && rule.owned.has(plain)) gone.add(name)
  }
  return [...gone]
}

interface Circumstance {
  readonly by?: Authenticator | undefined
  readonly scopes?: readonly string[]
  readonly cause?: unknown
}

/** The answer that a policy wants for a reason: status by the reason's class, challenges where it asks for them. */
function refusal(policy: Policy, reason: DenyReason, circumstance: Circumstance = {}): Deny {
  const { status, headers } = statusFor(policy, reason, circumstance)
  const { denied } = policy
  const type: HeaderList = denied === undefined ? [] : [['content-type', denied.contentType]]
  return deny(reason, {
    status,
    headers: [...headers, ...type],
    body: denied?.body ?? '',
    ...(circumstance.cause === undefined ? {} : { cause: circumstance.cause }),
  })
}

interface Answer {
  readonly status: number
  readonly headers: HeaderList
}

const forbidden: Answer = { status: 403, headers: [] }

function statusFor(policy: Policy, reason: DenyReason, { by, scopes }: Circumstance): Answer {
  const { unauthenticated } = policy
  if (unauthenticated.respond === 'Forbidden') return forbidden
  switch (classOf(reason)) {
    case 'unroutable':
    case 'unavailable':
      return forbidden
    case 'unauthenticated': {
      if (unauthenticated.respond === 'Redirect') return redirect(unauthenticated.location)
      const error = (one: Authenticator): ChallengeError => ({ kind: one === by ? 'invalid-token' : 'none' })
      return { status: 401, headers: challenges(policy.authenticators, error) }
    }
    case 'denied': {
      if (reason !== 'insufficient-scope' || scopes === undefined) return forbidden
      const tokens = policy.authenticators.filter(({ kind }) => kind === 'jwt' || kind === 'introspection')
      return { status: 403, headers: challenges(tokens, () => ({ kind: 'insufficient-scope', scopes })) }
    }
    case 'malformed': {
      if (unauthenticated.respond !== 'Challenge') return forbidden
      const twice = reason === 'repeated-credential' ? policy.authenticators : []
      return { status: 400, headers: challenges(twice, () => ({ kind: 'invalid-request' })) }
    }
  }
}

const redirect = (location: string): Answer => ({
  status: 302,
  headers: [
    ['location', location],
    ['cache-control', 'no-store'],
  ],
})

/** One challenge for each method that has one, in the policy's order, without repeats; never to be stored. */
function challenges(from: readonly Authenticator[], error: (one: Authenticator) => ChallengeError): HeaderList {
  const texts = from.flatMap((one) => one.challenge(error(one)) ?? [])
  const list: [string, string][] = [...new Set(texts)].map((text) => ['www-authenticate', text])
  return list.length === 0 ? [] : [...list, ['cache-control', 'no-store']]
}
