import type { Clock } from '../model/clock.ts'
import type {
  AccessAttributes,
  AccessQuestion,
  AccessReviewed,
  AccessReviews,
  NoReview,
  ReviewFailure,
  ReviewServer,
  TokenReviewed,
} from '../model/reviews.ts'
import { createCircuitBreaker } from './circuit-breaker.ts'
import type { KeyedDigest } from './keyed-digest.ts'
import { createSharedQuestions } from './shared-questions.ts'
import type { Called, Shared, SharedQuestionLimits } from './shared-questions.ts'

export interface TokenQuestion {
  readonly token: string
  readonly audiences: readonly string[]
  /** How old an answer may be, in milliseconds; 0 keeps none. */
  readonly maxAge: number
  /** `AuthRequest.late` */
  readonly late?: boolean | undefined
}

/** Questions to the cluster's API server about tokens and permissions, with what keeps both sides from harm. */
export interface Reviews extends AccessReviews {
  /** TokenReview. The signal ends the wait, not the call for others. */
  readonly tokenReview: (
    question: TokenQuestion,
    signal: AbortSignal,
  ) => Shared<TokenReviewed> | Promise<Shared<TokenReviewed>>
  readonly close: () => void
}

/** What became of a call, for metrics. `refused`: our own account may not ask (`system:auth-delegator` is missing). */
export type ReviewEvent = 'answered' | 'failed' | 'refused' | 'breaker-opened'

export interface ReviewParts {
  readonly server: ReviewServer
  readonly clock: Clock
  readonly digest: KeyedDigest
  readonly report: (event: ReviewEvent) => void
  readonly limits?: Partial<SharedQuestionLimits>
}

// The request's own deadline is shorter than the call's; the call goes on and leaves its answer to the next who asks.
const usual: SharedQuestionLimits = {
  entries: 10_000,
  bytes: 32 << 20,
  briefAge: 10_000,
  concurrency: 512,
  timeout: 2000,
}

/** Milliseconds for which a permission is believed: how late its withdrawal is seen. */
const accessAge = 5000

/** Made once for the process; close it once. */
export function createReviews({ server, clock, digest, report, limits }: ReviewParts): Reviews {
  const bounds = { ...usual, ...limits }
  // A breaker for each: an account that may review tokens and not permissions is half a failure only.
  const questions = <T>() =>
    createSharedQuestions<T>(
      clock,
      createCircuitBreaker(clock, () => report('breaker-opened')),
      bounds,
    )
  const tokens = questions<TokenReviewed>()
  const accesses = questions<AccessReviewed>()

  return {
    tokenReview: ({ token, audiences, maxAge, late }, signal) => {
      const key = digest('token-review', server.id, JSON.stringify(audiences), token)
      const call = async (stop: AbortSignal) => {
        const reviewed = await server.tokenReview(token, audiences, stop)
        return called(reviewed, report, reviewed.kind === 'authenticated')
      }
      return tokens.ask({ key, maxAge, late, call }, signal)
    },
    accessReview: (question, signal) => {
      const key = digest('access-review', server.id, ...parts(question))
      const call = async (stop: AbortSignal) => called(await server.accessReview(question, stop), report, true)
      const shared = accesses.ask({ key, maxAge: accessAge, late: question.late, call }, signal)
      return shared instanceof Promise ? shared.then(accessReply) : accessReply(shared)
    },
    close: () => {
      tokens.close()
      accesses.close()
    },
  }
}

const accessReply = (shared: Shared<AccessReviewed>): AccessReviewed | NoReview =>
  shared.kind === 'answered' ? shared.answer : shared

/** Everything that a permission depends on; lists as JSON, so that no two of them read the same. */
function parts({ user, attributes }: AccessQuestion): readonly string[] {
  const { username, uid, groups, extra } = user
  return [username, uid, JSON.stringify(groups), JSON.stringify(Object.entries(extra)), ...wanted(attributes)]
}

function wanted(attributes: AccessAttributes): readonly string[] {
  switch (attributes.kind) {
    case 'resource': {
      const { kind, verb, group, resource, subresource, name, namespace } = attributes
      return [kind, verb, group, resource, subresource, name, namespace]
    }
    case 'path':
      return [attributes.kind, attributes.verb, attributes.path]
  }
}

function called<T extends TokenReviewed | AccessReviewed>(
  reviewed: T | ReviewFailure,
  report: ReviewParts['report'],
  lasting: boolean,
): Called<T> {
  if (reviewed.kind !== 'failed') {
    report('answered')
    // Strings as the engine keeps them, and the lists around them.
    return { kind: 'answered', answer: reviewed, lasting, bytes: JSON.stringify(reviewed).length * 2 }
  }
  const { why, retryAfter } = reviewed
  report(why === 'refused' ? 'refused' : 'failed')
  return { kind: 'failed', neutral: why === 'unfit', retryAfter }
}
