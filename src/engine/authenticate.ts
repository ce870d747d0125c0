import type { Authenticator, CacheUse, Outcome } from '../authn/method.ts'
import type { DenyReason } from '../model/decision.ts'
import type { Identity } from '../model/identity.ts'
import type { AuthRequest } from '../model/request.ts'
import type { Policy } from '../policy/snapshot.ts'

/** Who a request comes from as far as a policy's methods can tell. */
export type Who = Known | Unknown

export interface Known {
  readonly kind: 'authenticated'
  readonly identity: Identity
  readonly cache: CacheUse
  readonly by: Authenticator | undefined
  /** A CORS preflight carries no credential by design; conditions about identities do not apply to it. */
  readonly preflight: boolean
}

export interface Unknown {
  readonly kind: 'unknown'
  readonly reason: DenyReason
  readonly by: Authenticator | undefined
}

/**
 * Asks every method in turn; one that authenticates is enough. Otherwise the worst answer counts: unavailable, then
 * rejected, then absent. At once where every method that is asked answers at once.
 */
export function authenticate(policy: Policy, request: AuthRequest, signal: AbortSignal): Who | Promise<Who> {
  if (policy.preflight === 'Allow' && isPreflight(request)) return preflight
  return ask({ policy, request, signal }, 0, undefined)
}

interface Attempt {
  readonly policy: Policy
  readonly request: AuthRequest
  readonly signal: AbortSignal
}

function ask(attempt: Attempt, index: number, worst: Unknown | undefined): Who | Promise<Who> {
  const { policy, request, signal } = attempt
  const by = policy.authenticators[index]
  if (by === undefined) return worst ?? nobodyKnown(policy, request)
  const outcome = by.authenticate(request, signal)
  return outcome instanceof Promise
    ? outcome.then((late) => weigh(attempt, index, worst, by, late))
    : weigh(attempt, index, worst, by, outcome)
}

function weigh(
  attempt: Attempt,
  index: number,
  worst: Unknown | undefined,
  by: Authenticator,
  outcome: Outcome,
): Who | Promise<Who> {
  switch (outcome.kind) {
    case 'authenticated':
      return { kind: 'authenticated', identity: outcome.identity, cache: outcome.cache, by, preflight: false }
    case 'unavailable':
      return ask(attempt, index + 1, { kind: 'unknown', reason: outcome.reason, by })
    case 'rejected':
      return ask(attempt, index + 1, worst ?? { kind: 'unknown', reason: outcome.reason, by })
    case 'absent':
      return ask(attempt, index + 1, worst)
  }
}

/**
 * No method found a credential of its own: a guest, unless something was presented after all. The guest is for those who
 * presented nothing at all: a wrong credential is never a guest.
 */
function nobodyKnown(policy: Policy, request: AuthRequest): Who {
  const reader = policy.authenticators.find((one) => one.presented(request))
  if (reader !== undefined || request.headers.has('authorization')) {
    return { kind: 'unknown', reason: 'unsupported-credential', by: reader }
  }
  if (policy.guest === undefined) return { kind: 'unknown', reason: 'no-credential', by: undefined }
  return { kind: 'authenticated', identity: policy.guest, cache: 'none', by: undefined, preflight: false }
}

const preflight: Known = {
  kind: 'authenticated',
  identity: { subject: 'preflight', method: 'preflight', claims: {}, scopes: [], groups: [] },
  cache: 'none',
  by: undefined,
  preflight: true,
}

/** A CORS preflight as the Fetch standard makes it: OPTIONS with both headers, without a credential. */
const isPreflight = ({ method, headers }: AuthRequest): boolean =>
  method === 'OPTIONS' &&
  headers.has('origin') &&
  headers.has('access-control-request-method') &&
  !headers.has('authorization')
