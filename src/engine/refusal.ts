import type { Authenticator, ChallengeError } from '../authn/method.ts'
import { classOf, deny } from '../model/decision.ts'
import type { Deny, DenyReason, HeaderList } from '../model/decision.ts'
import type { Policy } from '../policy/snapshot.ts'

/** What a refusal says besides its reason. */
export interface Circumstance {
  /** The method whose credential was refused. */
  readonly by?: Authenticator | undefined
  /** Those that were missing. */
  readonly scopes?: readonly string[]
  readonly cause?: unknown
}

/** The answer that a policy wants for a reason: status by the reason's class, challenges where it asks for them. */
export function refusal(policy: Policy, reason: DenyReason, circumstance: Circumstance = nothing): Deny {
  const { by, scopes, cause } = circumstance
  if (scopes !== undefined || cause !== undefined) return made(policy, reason, circumstance)
  const key = by === undefined ? reason : `${by.name} ${reason}`
  const before = usual.get(policy)?.get(key)
  if (before !== undefined) return before
  const decision = made(policy, reason, circumstance)
  const all = usual.get(policy) ?? new Map<string, Deny>()
  usual.set(policy, all.set(key, decision))
  return decision
}

const nothing: Circumstance = {}

/** Refusals that depend on the policy, the reason and the method alone: the same object each time, so that it is written once. */
const usual = new WeakMap<Policy, Map<string, Deny>>()

function made(policy: Policy, reason: DenyReason, circumstance: Circumstance): Deny {
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
