import type { DenyReason } from './decision.ts'
import type { Identity } from './identity.ts'

/* What is asked of a Kubernetes API server about people and permissions, in no protocol's words. */

/** A user as the API server's authenticators established it. */
export interface ClusterUser {
  readonly username: string
  readonly uid: string
  readonly groups: readonly string[]
  /** What the authenticator adds, such as the pod of a service account; null-prototype. */
  readonly extra: Readonly<Record<string, readonly string[]>>
}

/** What a user wants to do: with an object of the API, or (`path`) with a URL that is no object. */
export type AccessAttributes =
  | {
      readonly kind: 'resource'
      readonly verb: string
      readonly group: string
      readonly resource: string
      readonly subresource: string
      /** Empty: all of them. */
      readonly name: string
      /** Empty: cluster-wide. */
      readonly namespace: string
    }
  | { readonly kind: 'path'; readonly verb: string; readonly path: string }

/** May this user do that? */
export interface AccessQuestion {
  readonly user: ClusterUser
  readonly attributes: AccessAttributes
  /** `AuthRequest.late` */
  readonly late?: boolean | undefined
}

/**
 * No answer. `refused`: the server does not let us ask. `unfit`: it would not judge this one question. `retryAfter`:
 * milliseconds that it asked to be left alone for.
 */
export interface ReviewFailure {
  readonly kind: 'failed'
  readonly why: 'trouble' | 'refused' | 'unfit'
  readonly retryAfter?: number
}

export type TokenReviewed =
  | { readonly kind: 'authenticated'; readonly user: ClusterUser; readonly audiences: readonly string[] }
  | { readonly kind: 'unauthenticated' }

export type AccessReviewed = { readonly kind: 'allowed' } | { readonly kind: 'denied' }

/** One API server, asked once for each call. Resolves with `failed` rather than rejecting. */
export interface ReviewServer {
  /** Tells it from other API servers. */
  readonly id: string
  readonly tokenReview: (
    token: string,
    audiences: readonly string[],
    signal: AbortSignal,
  ) => Promise<TokenReviewed | ReviewFailure>
  readonly accessReview: (question: AccessQuestion, signal: AbortSignal) => Promise<AccessReviewed | ReviewFailure>
}

export type NoReview = { readonly kind: 'unavailable'; readonly why: 'trouble' | 'overloaded' }

/** What a request is refused for where there was no review. */
export const noReviewReasons = {
  trouble: 'kubernetes-unavailable',
  overloaded: 'overloaded',
} as const satisfies Record<NoReview['why'], DenyReason>

export type NoReviewReason = (typeof noReviewReasons)[NoReview['why']]

/** SubjectAccessReview for conditions; an answer may be a few seconds old. Never rejects. */
export interface AccessReviews {
  readonly accessReview: (
    question: AccessQuestion,
    signal: AbortSignal,
  ) => AccessReviewed | NoReview | Promise<AccessReviewed | NoReview>
}

const vouched = Symbol('vouched') // not exported: nobody outside this file can call somebody a user of the cluster

interface ClusterIdentity extends Identity {
  readonly [vouched]: ClusterUser
}

/** The identity of a user for whom the API server itself vouches. */
export function clusterIdentity(user: ClusterUser, method: string): Identity {
  const { username: subject, uid, groups, extra } = user
  const claims = Object.assign(Object.create(null) as Record<string, unknown>, { uid, extra })
  const identity: ClusterIdentity = { subject, method, claims, scopes: [], groups, [vouched]: user }
  return identity
}

/**
 * The user to ask about. Other methods' users go by their own names, but never by those that Kubernetes keeps for itself: a
 * foreign issuer's group `system:masters` is not the cluster's. Undefined for them.
 */
export function clusterUserOf(identity: Identity): ClusterUser | undefined {
  if (vouched in identity) return (identity as ClusterIdentity)[vouched]
  const { subject, groups } = identity
  if ([subject, ...groups].some(isReserved)) return undefined
  return { username: subject, uid: '', groups, extra: noExtra }
}

const noExtra: ClusterUser['extra'] = Object.freeze(Object.create(null) as ClusterUser['extra'])

const isReserved = (name: string): boolean => name.startsWith('system:')
