import type {
  AccessAttributes,
  AccessQuestion,
  AccessReviewed,
  ClusterUser,
  ReviewFailure,
  ReviewServer,
  TokenReviewed,
} from '../model/reviews.ts'
import type { KubeClient } from './client.ts'
import { KubeError } from './kube-error.ts'
import { isFields } from '../model/fields.ts'
import { resources } from './resources.ts'

/** The API server as a judge of tokens (TokenReview) and permissions (SubjectAccessReview). */
export function createReviewServer({ create }: Pick<KubeClient, 'create'>, id: string): ReviewServer {
  const { TokenReview, SubjectAccessReview } = resources
  return {
    id,
    tokenReview: async (token, audiences, signal) => {
      try {
        const draft = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences } }
        return tokenReviewed((await create(TokenReview, draft, {}, signal))['status'])
      } catch (cause) {
        return failureOf(cause)
      }
    },
    accessReview: async (question, signal) => {
      try {
        const draft = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec: specOf(question) }
        return accessReviewed((await create(SubjectAccessReview, draft, {}, signal))['status'])
      } catch (cause) {
        return failureOf(cause)
      }
    },
  }
}

const unreadable: ReviewFailure = { kind: 'failed', why: 'trouble' }
/** About this one user only: nobody else has to go without an answer for it. */
const unusable: ReviewFailure = { kind: 'failed', why: 'unfit' }

/** `error` beside `authenticated: false` is one authenticator's complaint about the token as often as about itself: a refusal. */
function tokenReviewed(status: unknown): TokenReviewed | ReviewFailure {
  if (!isFields(status)) return unreadable
  // Go leaves out what is false.
  if (status['authenticated'] !== true) return { kind: 'unauthenticated' }
  const user = userOf(status['user'])
  const audiences = texts(status['audiences'])
  return user === undefined || audiences === undefined ? unusable : { kind: 'authenticated', user, audiences }
}

/** Undefined for what nobody can be: a log line, a header or a question about permissions would be wrong with it. */
function userOf(user: unknown): ClusterUser | undefined {
  if (!isFields(user)) return undefined
  const { username, uid = '' } = user
  const groups = texts(user['groups'])
  const extra = extraOf(user['extra'])
  if (typeof username !== 'string' || !nameForm.test(username)) return undefined
  if (typeof uid !== 'string' || groups === undefined || extra === undefined) return undefined
  return { username, uid, groups, extra }
}

const nameForm = /^[^\x00-\x1f\x7f]{1,1024}$/

function extraOf(given: unknown = {}): ClusterUser['extra'] | undefined {
  if (!isFields(given)) return undefined
  const extra = Object.create(null) as Record<string, readonly string[]>
  for (const [key, value] of Object.entries(given)) {
    const list = texts(value)
    if (list === undefined) return undefined
    extra[key] = list
  }
  return Object.freeze(extra)
}

function texts(value: unknown = []): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined
  const list = value as readonly unknown[]
  return list.every((one) => typeof one === 'string') ? Object.freeze([...list]) : undefined
}

/** Allowed and denied at once is denied; an `evaluationError` beside `allowed` is another authorizer's trouble. */
function accessReviewed(status: unknown): AccessReviewed | ReviewFailure {
  if (!isFields(status)) return unreadable
  return status['allowed'] === true && status['denied'] !== true ? { kind: 'allowed' } : { kind: 'denied' }
}

const specOf = ({ user, attributes }: AccessQuestion) => ({
  user: user.username,
  uid: user.uid,
  groups: user.groups,
  extra: user.extra,
  ...attributesOf(attributes),
})

function attributesOf(attributes: AccessAttributes) {
  switch (attributes.kind) {
    case 'resource': {
      const { kind: _, ...resourceAttributes } = attributes
      return { resourceAttributes }
    }
    case 'path': {
      const { verb, path } = attributes
      return { nonResourceAttributes: { verb, path } }
    }
  }
}

const refused = new Set([401, 403])
/** The server understood and would not have this question: others may do better. */
const unfit = new Set([400, 413, 422])

function failureOf(cause: unknown): ReviewFailure {
  if (!(cause instanceof KubeError)) return unreadable
  const { status, retryAfterMillis } = cause
  const why = refused.has(status) ? 'refused' : unfit.has(status) ? 'unfit' : 'trouble'
  return { kind: 'failed', why, ...(retryAfterMillis === undefined ? {} : { retryAfter: retryAfterMillis }) }
}
