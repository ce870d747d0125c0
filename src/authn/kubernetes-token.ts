import { z } from 'zod'
import type { Clock } from '../model/clock.ts'
import { failed, fault, ok } from '../model/result.ts'
import type { Result } from '../model/result.ts'
import type { Identity } from '../model/identity.ts'
import { memo } from '../model/memo.ts'
import type { AuthRequest } from '../model/request.ts'
import { clusterIdentity, noReviewReasons } from '../model/reviews.ts'
import type { ClusterUser, TokenReviewed } from '../model/reviews.ts'
import { answerCache } from './answer-cache.ts'
import { bearerChallenge, realmForm } from './bearer-challenge.ts'
import { bearerHeader, credentialReader, credentialSources } from './bearer-credential.ts'
import { maxTokenBytes } from './jwt-token.ts'
import type { Reviews } from './kubernetes-reviews.ts'
import { absent, authenticated, rejected, unavailable } from './method.ts'
import type { Authenticator, Compiled, Method, MethodContext, Outcome } from './method.ts'
import type { Shared } from './shared-questions.ts'
import { isJsonObject, parseStrictJson } from './strict-json.ts'

const block = z
  .strictObject({
    audiences: z
      .array(z.string().min(1).max(1024))
      .min(1)
      .max(32)
      .describe('A token must be for one of these, as its `aud` or its TokenRequest says.'),
    credential: credentialSources.default([...bearerHeader]),
    cache: answerCache({
      seconds: 10,
      late: "a deleted account is seen this late. Never past the token's exp.",
      refusals: 'A refusal is believed for ten seconds at most.',
    }),
    realm: z
      .string()
      .regex(realmForm, 'has a character that a challenge cannot carry')
      .default('gatehouse')
      .describe('Realm that a challenge names.'),
  })
  .describe('Tokens of service accounts, judged by the API server (TokenReview).')

type Block = z.infer<typeof block>

/** Tokens of the cluster's own accounts: the API server is asked about them (TokenReview). */
export const kubernetesToken: Method<Block> = { kind: 'kubernetesToken', schema: block, compile }

function compile(given: Block, { name, services }: MethodContext): Result<Compiled<Authenticator>> {
  const { reviews } = services
  if (reviews !== undefined)
    return ok({ value: authenticator(given, name, { reviews, clock: services.clock }), findings: [] })
  return failed([
    fault('no-cluster', [], 'asks the Kubernetes API server, and there is none', 'serve with --kubernetes'),
  ])
}

function authenticator(
  { audiences, credential, realm, cache }: Block,
  name: string,
  { reviews, clock }: { readonly reviews: Reviews; readonly clock: Clock },
): Authenticator {
  const reader = credentialReader(credential)
  const identity = memo((user: ClusterUser) => clusterIdentity(user, name))
  const conclude = (shared: Shared<TokenReviewed>): Outcome => concluded(shared, audiences, identity)

  function ask(token: string, { late }: AuthRequest, signal: AbortSignal): Outcome | Promise<Outcome> {
    if (token.length > maxTokenBytes) return rejected('malformed-credential')
    const expiry = expiryOf(token)
    if (expiry.kind === 'at' && clock.now() >= expiry.millis) return rejected('expired-credential')
    // Where nobody can tell when it ends, each use is a question.
    const maxAge = expiry.kind === 'unreadable' ? 0 : cache.seconds * 1000
    const shared = reviews.tokenReview({ token, audiences, maxAge, late }, signal)
    return shared instanceof Promise ? shared.then(conclude) : conclude(shared)
  }

  return {
    name,
    kind: 'kubernetesToken',
    authenticate: (request, signal) => {
      const presented = reader.read(request)
      switch (presented.kind) {
        case 'absent':
          return absent
        case 'refused':
          return rejected(presented.reason)
        case 'credential':
          return ask(presented.text, request, signal)
      }
    },
    presented: reader.presented,
    challenge: (error) => bearerChallenge(realm, error),
    reads: reader.reads,
  }
}

function concluded(
  shared: Shared<TokenReviewed>,
  ours: readonly string[],
  identity: (user: ClusterUser) => Identity,
): Outcome {
  if (shared.kind === 'unavailable') return unavailable(noReviewReasons[shared.why])
  const { answer, cache } = shared
  // Authenticators that know nothing of audiences leave them out: the token is then for the API server, not for us.
  if (answer.kind === 'unauthenticated' || !answer.audiences.some((one) => ours.includes(one))) {
    return rejected('bad-credential')
  }
  return authenticated(identity(answer.user), cache)
}

type Expiry =
  | { readonly kind: 'at'; readonly millis: number }
  | { readonly kind: 'never' }
  /** It looks like a JWT, and its claims cannot be read. */
  | { readonly kind: 'unreadable' }

/**
 * When a token ends, if it is a JWT; the API server alone judges it, but its answer may not outlive the token. Decoded as
 * leniently as an authenticator there might: a token that we cannot read may still be one that it can.
 */
function expiryOf(token: string): Expiry {
  const [, payload, signature, ...more] = token.split('.', 4)
  if (payload === undefined || signature === undefined || more.length > 0) return { kind: 'never' }
  const claims = parseStrictJson(Buffer.from(payload, 'base64url'), { maxBytes: maxTokenBytes })
  if (!isJsonObject(claims)) return { kind: 'unreadable' }
  const { exp } = claims
  if (exp === undefined) return { kind: 'never' }
  return typeof exp === 'number' ? { kind: 'at', millis: exp * 1000 } : { kind: 'unreadable' }
}
