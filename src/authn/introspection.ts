import { z } from 'zod'
import type { Claims } from '../model/identity.ts'
import type { AuthRequest } from '../model/request.ts'
import { failed, fault, ok, under } from '../model/result.ts'
import type { Finding, Result } from '../model/result.ts'
import { answerCache } from './answer-cache.ts'
import { bearerChallenge, realmForm } from './bearer-challenge.ts'
import { bearerHeader, credentialReader, credentialSources } from './bearer-credential.ts'
import type { CredentialReader } from './bearer-credential.ts'
import { clientBlock, compileClient } from './client-authentication.ts'
import type { ClientAuthentication } from './client-authentication.ts'
import { answerJudge } from './introspection-claims.ts'
import type { Judgement } from './introspection-claims.ts'
import { introspectionEndpoint, plainAnswer } from './introspection-exchange.ts'
import type { AnswerFormat } from './introspection-exchange.ts'
import type { AuthorizationServer, Reply } from './introspector.ts'
import { maxTokenBytes } from './jwt-token.ts'
import { absent, authenticated, rejected, unavailable } from './method.ts'
import type { Authenticator, Compiled, Method, MethodContext, Outcome } from './method.ts'
import { signedAnswer, signedBlock } from './signed-answer.ts'

const claimPath = z.array(z.string().min(1).max(256)).min(1).max(8)

const block = z
  .strictObject({
    endpoint: z.string().max(2048).optional().describe('Address of the introspection endpoint (RFC 7662).'),
    issuer: z
      .string()
      .max(2048)
      .optional()
      .describe(
        'Issuer of the tokens: an answer that names another is refused. Without endpoint, its metadata says where the endpoint is.',
      ),
    client: clientBlock.describe('How Gatehouse authenticates at the endpoint.'),
    audiences: z
      .array(z.string().min(1).max(2048))
      .min(1)
      .max(64)
      .describe('A token must be for one of these (`aud` of the answer).'),
    credential: credentialSources.optional(),
    realm: z
      .string()
      .regex(realmForm, 'is printable ASCII without quotes and backslashes')
      .default('gatehouse')
      .describe('Realm that a challenge names.'),
    cache: answerCache({
      seconds: 30,
      late: "a revocation is seen this late. Never past the token's own exp.",
      refusals: '"Inactive" is believed for ten seconds at most.',
    }),
    signed: signedBlock.optional().describe('Take signed answers (RFC 9701), and nothing else.'),
    scopesClaim: claimPath.default(['scope']).describe('Where the answer has the scopes.'),
    groupsClaim: claimPath.default(['groups']).describe('Where the answer has the groups.'),
  })
  .refine((one) => one.endpoint !== undefined || one.issuer !== undefined, 'has endpoint or issuer, or both')
  .refine((one) => one.signed === undefined || one.issuer !== undefined, 'has issuer where answers are signed')
  .describe('Tokens of any form, judged by an authorization server (OAuth 2.0 introspection, RFC 7662).')

type Block = z.infer<typeof block>

/** Milliseconds for one call. The request's own deadline is shorter; the call goes on and leaves its answer in the cache. */
const callTimeout = 2000

/** OAuth 2.0 token introspection (RFC 7662): the authorization server is asked about tokens, whatever they look like. */
export const introspection: Method<Block> = { kind: 'introspection', schema: block, compile }

function compile(given: Block, context: MethodContext): Result<Compiled<Authenticator>> {
  const client = compileClient(given.client, context)
  const findings: Finding[] = client.ok ? [] : client.findings.map((finding) => under(['client'], finding))
  findings.push(...addressFaults(given, context))
  if (!client.ok || findings.length > 0) return failed(findings)
  const format = formatOf(given, client.value, context)
  if (!format.ok) return failed(format.findings.map((finding) => under(['signed'], finding)))
  const server = serverOf(given, client.value, format.value, context)
  const reader = credentialReader(given.credential ?? bearerHeader)
  return ok({ value: authenticator(given, reader, server, context), findings: [] })
}

function addressFaults({ endpoint, issuer }: Block, { services }: MethodContext): readonly Finding[] {
  const refused = Object.entries({ endpoint, issuer }).flatMap(([name, url]) => {
    const refusal = url === undefined ? undefined : services.http.refuse(url)
    return refusal === undefined ? [] : [fault('insecure-url', [name], `may not be called: ${refusal}`)]
  })
  if (refused.length > 0 || endpoint !== undefined || issuer === undefined) return refused
  const plain = new URL(issuer).search === ''
  const say = 'an issuer with a query has no metadata (RFC 8414 §2)'
  return plain ? [] : [fault('bad-value', ['issuer'], say, 'give the endpoint')]
}

const formatOf = (
  { signed, issuer = '' }: Block,
  client: ClientAuthentication,
  context: MethodContext,
): Result<AnswerFormat> =>
  signed === undefined ? ok(plainAnswer) : signedAnswer(signed, { issuer, clientId: client.id }, context)

function serverOf(
  { endpoint, issuer }: Block,
  client: ClientAuthentication,
  format: AnswerFormat,
  { services, onRelease }: MethodContext,
): AuthorizationServer {
  const { http, clock, introspector, digest } = services
  const id = digest('introspection-server', endpoint ?? '', issuer ?? '', client.print)
  const common = { id, audience: issuer, client, format, http, clock, timeout: callTimeout }
  if (endpoint !== undefined || issuer === undefined) {
    return introspectionEndpoint({ ...common, endpoint: () => endpoint })
  }
  const source = introspector.endpoints.acquire(issuer)
  onRelease(source.release)
  return introspectionEndpoint({ ...common, endpoint: source.current })
}

function authenticator(
  given: Block,
  reader: CredentialReader,
  server: AuthorizationServer,
  { name, services }: MethodContext,
): Authenticator {
  const { signed, realm } = given
  const judge = answerJudge({
    method: name,
    audiences: given.audiences,
    issuer: given.issuer,
    scopesClaim: given.scopesClaim,
    groupsClaim: given.groupsClaim,
  })
  const maxAge = given.cache.seconds * 1000
  // Whatever an answer depends on: who was asked, by whom, and in which form, so that no plain answer stands in for a
  // signed one (RFC 9701 §8) and nobody reads what another client was told.
  const origin = [server.id, signed === undefined ? '' : JSON.stringify(signed)]
  const conclude = (reply: Reply): Outcome => concluded(reply, judge, services.clock.now())

  function ask(token: string, request: AuthRequest, signal: AbortSignal): Outcome | Promise<Outcome> {
    if (token.length > maxTokenBytes) return rejected('malformed-credential')
    const key = services.digest('introspection', ...origin, token)
    const reply = services.introspector.introspect({ server, token, key, maxAge, request }, signal)
    return reply instanceof Promise ? reply.then(conclude) : conclude(reply)
  }

  return {
    name,
    kind: 'introspection',
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

function concluded(reply: Reply, judge: (claims: Claims, now: number) => Judgement, now: number): Outcome {
  switch (reply.kind) {
    case 'inactive':
      return rejected('bad-credential')
    case 'unavailable':
      return unavailable(reply.why === 'overloaded' ? 'overloaded' : 'introspection-unavailable')
    case 'active': {
      const judgement = judge(reply.claims, now)
      return judgement.kind === 'identity' ? authenticated(judgement.identity, reply.cache) : rejected(judgement.reason)
    }
  }
}
