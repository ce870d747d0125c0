import { createKeyedDigest } from '../../src/authn/keyed-digest.ts'
import { createReviews } from '../../src/authn/kubernetes-reviews.ts'
import type { ReviewEvent, ReviewParts, Reviews } from '../../src/authn/kubernetes-reviews.ts'
import type {
  AccessQuestion,
  AccessReviewed,
  ClusterUser,
  ReviewFailure,
  ReviewServer,
  TokenReviewed,
} from '../../src/model/reviews.ts'
import { testClock } from './method-context.ts'
import type { TestClock } from './method-context.ts'

type Answer = TokenReviewed | AccessReviewed | ReviewFailure

/** An API server that answers as it is told: with the same every time, or, where it is told nothing, when the test says so. */
export interface ScriptedReviewServer extends ReviewServer {
  readonly tokens: { readonly token: string; readonly audiences: readonly string[] }[]
  readonly questions: AccessQuestion[]
  /** From now on. */
  always: Answer | undefined
  /** Ends the oldest call that waits; false where none does. */
  readonly answer: (with_: Answer) => boolean
}

export function reviewServer(always?: Answer): ScriptedReviewServer {
  const waiting: ((answer: Answer) => void)[] = []
  const reply = <T>(): Promise<T> =>
    server.always === undefined
      ? new Promise((done) => waiting.push(done as (answer: Answer) => void))
      : Promise.resolve(server.always as T)
  const server: ScriptedReviewServer = {
    id: 'https://cluster.example',
    tokens: [],
    questions: [],
    always,
    answer: (answer) => {
      const next = waiting.shift()
      next?.(answer)
      return next !== undefined
    },
    tokenReview: (token, audiences) => {
      server.tokens.push({ token, audiences })
      return reply()
    },
    accessReview: (question) => {
      server.questions.push(question)
      return reply()
    },
  }
  return server
}

/** The real questions to a server, with a clock that the test moves and a record of what was reported. */
export function reviewsOf(
  server: ReviewServer,
  some: Partial<ReviewParts> = {},
): { reviews: Reviews; clock: TestClock; events: ReviewEvent[] } {
  const clock = testClock()
  const events: ReviewEvent[] = []
  const report = (event: ReviewEvent): number => events.push(event)
  return { reviews: createReviews({ server, clock, digest: createKeyedDigest(), report, ...some }), clock, events }
}

export const robot = (some: Partial<ClusterUser> = {}): ClusterUser => ({
  username: 'system:serviceaccount:shop:robot',
  uid: 'b5c1',
  groups: ['system:serviceaccounts', 'system:authenticated'],
  extra: { 'authentication.kubernetes.io/pod-name': ['robot-0'] },
  ...some,
})

export const vouchedFor = (user: ClusterUser = robot(), audiences: readonly string[] = ['cart']): TokenReviewed => ({
  kind: 'authenticated',
  user,
  audiences,
})
