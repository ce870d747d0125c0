import type { ZodType } from 'zod'
import type { Identity } from '../model/identity.ts'
import type { AuthRequest } from '../model/request.ts'
import type { Result } from '../model/result.ts'
import type { AccessReviews, NoReviewReason } from '../model/reviews.ts'
import type { RouteKey } from '../model/route.ts'
import type { HeaderReads } from './cel-reads.ts'

/** What conditions and header values can look at. */
export interface Subject {
  readonly request: AuthRequest
  readonly identity: Identity
  readonly rule: RouteKey
}

/**
 * All but `true` deny, and are told apart in the log. `scopes` are those that were missing; `error` is in the condition or what it
 * looks at; `unavailable` in whom it asks, or in there being no time to ask.
 */
export type Verdict =
  | { readonly kind: 'true' }
  | { readonly kind: 'false'; readonly scopes?: readonly string[] }
  | { readonly kind: 'error'; readonly cause?: unknown }
  | { readonly kind: 'unavailable'; readonly reason: NoReviewReason }

/** A compiled entry of `spec.authorization`. Answers at once where it can; never throws. */
export interface Condition {
  (subject: Subject, signal: AbortSignal): Verdict | Promise<Verdict>
  /** Absent where it looks at no header. */
  readonly reads?: HeaderReads
}

/** A condition that the request itself answers: nobody else is asked. */
export interface ImmediateCondition {
  (subject: Subject): Verdict
  readonly reads?: HeaderReads
}

/** What conditions can ask of others than the request. */
export interface ConditionContext {
  /** Undefined where there is no cluster. */
  readonly reviews: AccessReviews | undefined
}

/** A kind of condition: one file, one row in `index.ts`. */
export interface ConditionKind<Block = unknown, Made extends Condition = Condition> {
  readonly kind: string
  readonly schema: ZodType<Block>
  readonly compile: (block: Block, context?: ConditionContext) => Result<Made>
}

export const holds: Verdict = { kind: 'true' }
export const fails: Verdict = { kind: 'false' }
