import { z } from 'zod'
import { failed, fault, ok, under } from '../model/result.ts'
import type { Finding, Result } from '../model/result.ts'
import type { AnswerFormat } from './introspection-exchange.ts'
import { signatureAlgorithms } from './jwk.ts'
import { readKeySet } from './jwk-set.ts'
import { localKeySource } from './jwks-store.ts'
import type { KeySource } from './jwks-store.ts'
import { allowedAlgorithm, verifyingKey } from './jws-signature.ts'
import { readJwt } from './jwt-token.ts'
import type { JwtToken } from './jwt-token.ts'
import type { MethodContext } from './method.ts'
import { isJsonObject } from './strict-json.ts'
import type { JsonObject } from './strict-json.ts'

const asymmetric = signatureAlgorithms.filter((one) => !one.startsWith('HS'))

/** Introspection answers as signed JWTs (RFC 9701); once asked for, nothing else is taken. */
export const signedBlock = z.strictObject({
  jwks: z
    .strictObject({
      discovery: z.literal(true).optional().describe("The issuer's metadata says where its keys are."),
      uri: z.string().max(2048).optional().describe('Address of the key set.'),
      ref: z
        .strictObject({
          kind: z.enum(['Secret', 'ConfigMap']).optional().describe('Secret where absent.'),
          name: z.string().min(1).max(253).describe('Name of the object, in the namespace of the policy.'),
          key: z.string().min(1).max(253).optional().describe('Its entry with the JWK Set.'),
        })
        .optional()
        .describe('Secret or ConfigMap entry with the key set; the entry is jwks.json where none is named.'),
    })
    .refine((one) => Object.values(one).filter((value) => value !== undefined).length === 1, {
      message: 'has exactly one of discovery, uri, ref',
    })
    .describe('Keys that answers are signed with.'),
  algorithms: z
    .array(z.enum(asymmetric))
    .min(1)
    .default(['RS256', 'PS256', 'ES256', 'EdDSA'])
    .describe('Signature algorithms that are taken.'),
})
export type SignedBlock = z.infer<typeof signedBlock>

/** Who signs, and for whom. */
export interface SignedParties {
  readonly issuer: string
  readonly clientId: string
}

/** Makes the reader of signed answers. */
export function signedAnswer(block: SignedBlock, parties: SignedParties, context: MethodContext): Result<AnswerFormat> {
  const source = keySourceOf(block, parties, context)
  if (!source.ok) return source
  context.onRelease(source.value.release)
  const { clock } = context.services
  return ok({
    mediaType: 'application/token-introspection+jwt',
    read: async (body, signal) => {
      const token = readJwt(body.trim())
      const alg = token === undefined ? undefined : allowedAlgorithm(token.header.alg, block.algorithms)
      // RFC 9701 §8.1: the explicit type keeps access tokens and ID tokens of the same issuer from passing as answers.
      if (token === undefined || alg === undefined || token.header.typ !== 'token-introspection+jwt') return undefined
      const answer = answerIn(token, parties, clock.now())
      if (answer === undefined) return undefined
      const found = await source.value.find(token.header.kid, alg, signal)
      if (found.kind !== 'keys') return undefined
      if ((await verifyingKey(token, alg, found.keys)) !== undefined) return answer
      source.value.doubt()
      return undefined
    },
  })
}

const skew = 60

/** RFC 9701 §5: issued by our issuer, for us, now; the answer is one member, and its neighbours say nothing. */
function answerIn({ claims }: JwtToken, { issuer, clientId }: SignedParties, now: number): JsonObject | undefined {
  const { iss, aud, iat, exp, token_introspection: answer } = claims
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  if (iss !== issuer || !audiences.includes(clientId)) return undefined
  const seconds = now / 1000
  // Answers are made on the spot: an old one is a replay.
  if (typeof iat !== 'number' || Math.abs(seconds - iat) > skew) return undefined
  if (exp !== undefined && (typeof exp !== 'number' || seconds >= exp + skew)) return undefined
  return isJsonObject(answer) ? answer : undefined
}

function keySourceOf({ jwks }: SignedBlock, { issuer }: SignedParties, context: MethodContext): Result<KeySource> {
  if (jwks.ref !== undefined) return localKeys(jwks.ref, context)
  const { jwks: store, http } = context.services
  const at = jwks.uri === undefined ? (['jwks', 'discovery'] as const) : (['jwks', 'uri'] as const)
  const refusal = http.refuse(jwks.uri ?? issuer)
  if (refusal !== undefined) return failed([fault('insecure-url', at, `may not be called: ${refusal}`)])
  return ok(store.acquire(jwks.uri === undefined ? { kind: 'discovery', issuer } : { kind: 'uri', uri: jwks.uri }))
}

function localKeys(ref: NonNullable<SignedBlock['jwks']['ref']>, context: MethodContext): Result<KeySource> {
  const at = (finding: Finding): Finding => under(['jwks', 'ref'], finding)
  const read = context.read(ref, 'jwks.json')
  if (!read.ok) return failed(read.findings.map(at))
  // Shared secrets are no signatures of the issuer's: whoever holds one could be anybody who does.
  const keys = readKeySet(read.value, 'local')?.keys.filter(({ key }) => key.type === 'public') ?? []
  if (keys.length === 0) return failed([at(fault('bad-key', [], 'holds no usable public key'))])
  return ok(localKeySource(keys, keys.map(({ print }) => print).join()))
}
