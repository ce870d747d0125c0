import type { AuthRequest } from '../model/request.ts'
import type { Identity } from '../model/identity.ts'
import { failed, ok } from '../model/result.ts'
import type { Result } from '../model/result.ts'
import { memo } from '../model/memo.ts'
import { bearerChallenge } from './bearer-challenge.ts'
import { credentialReader } from './bearer-credential.ts'
import type { KeyLookup, KeySource } from './jwks-store.ts'
import { allowedAlgorithm, verifyingKey } from './jws-signature.ts'
import type { SignatureAlgorithm, VerificationKey } from './jwk.ts'
import { jwtBlock } from './jwt-block.ts'
import type { JwtBlock } from './jwt-block.ts'
import { claimsFault, claimsFit, identityOf, timeFault, timesOf } from './jwt-claims.ts'
import type { Times } from './jwt-claims.ts'
import { keySourceOf } from './jwt-keys.ts'
import { maxTokenBytes, readJwt } from './jwt-token.ts'
import type { JwtToken } from './jwt-token.ts'
import { absent, authenticated, rejected, unavailable } from './method.ts'
import type { Authenticator, CacheUse, Compiled, Method, MethodContext, Outcome } from './method.ts'
import type { VerifiedToken } from './verified-tokens.ts'

/** Signed tokens (RFC 7519) of one issuer. */
export const jwt: Method<JwtBlock> = { kind: 'jwt', schema: jwtBlock, compile }

function compile(block: JwtBlock, context: MethodContext): Result<Compiled<Authenticator>> {
  const source = keySourceOf(block, context)
  if (!source.ok) return failed(source.findings)
  context.onRelease(source.value.value.release)
  return ok({ value: authenticator(block, source.value.value, context), findings: source.value.findings })
}

function authenticator(block: JwtBlock, source: KeySource, { name, services }: MethodContext): Authenticator {
  const reader = credentialReader(block.credential)
  const judge = tokenJudge(block, source, name, services)
  return {
    name,
    kind: 'jwt',
    authenticate: (request: AuthRequest, signal) => {
      const presented = reader.find(request) // what is no token is refused as one, where it is not known
      switch (presented.kind) {
        case 'absent':
          return absent
        case 'refused':
          return rejected(presented.reason)
        case 'credential':
          return judge(presented.text, signal)
      }
    },
    presented: reader.presented,
    challenge: (error) => bearerChallenge(block.realm, error),
    reads: reader.reads,
  }
}

/** Verifications of a policy's method under way at once; a core does some ten thousand a second. */
const mostUnderWay = 512

interface Standing {
  readonly identity: Identity
  readonly times: Times | undefined
}

type TokenJudge = (text: string, signal: AbortSignal) => Outcome | Promise<Outcome>

/** At once for tokens that were verified before and for those that need no key to be refused; else after the signature. */
function tokenJudge(
  block: JwtBlock,
  source: KeySource,
  method: string,
  { clock, digest, jwks }: MethodContext['services'],
): TokenJudge {
  const rules = { ...block, maxAgeSeconds: block.maxAgeSeconds }
  const places = { scopes: block.scopesClaim, groups: block.groupsClaim }
  let underWay = 0

  /** What is wrong with a token as such: asked of every token at every use, whatever a cache says of its signature. */
  const refusal = (token: Pick<JwtToken, 'header' | 'claims'>): Outcome | SignatureAlgorithm => {
    const { iss } = token.claims
    if (typeof iss === 'string' && iss !== block.issuer) return absent // of an issuer that another method may serve
    const fault = claimsFault(token, rules, clock.now())
    if (fault !== undefined) return rejected(fault)
    return allowedAlgorithm(token.header.alg, block.algorithms) ?? rejected('bad-credential')
  }

  /** Who a verified token stands for, or why it does not pass here; found out once, because time is all that changes it. */
  const standing = memo((token: VerifiedToken): Standing | Outcome => {
    const { claims } = token
    if (typeof claims['iss'] === 'string' && claims['iss'] !== block.issuer) return absent
    const fits = claimsFit(token, rules) && allowedAlgorithm(token.header.alg, block.algorithms) !== undefined
    if (!fits) return rejected('bad-credential')
    return { identity: identityOf(claims, places, method), times: timesOf(claims) }
  })

  const accept = (token: VerifiedToken, cache: CacheUse): Outcome => {
    const known = standing(token)
    if ('kind' in known) return known
    const late = timeFault(known.times, rules, clock.now())
    return late === undefined ? authenticated(known.identity, cache) : rejected(late)
  }

  /** Forged tokens cost their sender nothing: past a few hundred at once the others would wait for them. */
  function waitedFor(outcome: Promise<Outcome>): Promise<Outcome> {
    underWay += 1
    return outcome.finally(() => (underWay -= 1))
  }

  function verify(
    token: JwtToken,
    algorithm: SignatureAlgorithm,
    id: string,
    signal: AbortSignal,
  ): Outcome | Promise<Outcome> {
    if (underWay >= mostUnderWay) return unavailable('overloaded')
    const check = (lookup: KeyLookup): Outcome | Promise<Outcome> => checked(token, algorithm, id, lookup)
    const lookup = source.find(token.header.kid, algorithm, signal)
    const outcome = lookup instanceof Promise ? lookup.then(check) : check(lookup)
    return outcome instanceof Promise ? waitedFor(outcome) : outcome
  }

  function checked(
    token: JwtToken,
    algorithm: SignatureAlgorithm,
    id: string,
    lookup: KeyLookup,
  ): Outcome | Promise<Outcome> {
    switch (lookup.kind) {
      case 'unknown-key':
        return rejected('unknown-key')
      case 'unavailable':
        return unavailable('issuer-unavailable')
      case 'keys': {
        const { generation, stale } = lookup
        const conclude = (key: VerificationKey | undefined): Outcome => {
          if (key === undefined) {
            source.doubt() // the issuer may have given the kid to another key
            return rejected('bad-credential')
          }
          const { header, claims } = token
          const verified: VerifiedToken = { header, claims, generation }
          jwks.verified.set(id, verified, token.text.length)
          return accept(verified, stale ? 'stale' : 'miss')
        }
        const key = verifyingKey(token, algorithm, lookup.keys)
        return key instanceof Promise ? key.then(conclude) : conclude(key)
      }
    }
  }

  return (text, signal) => {
    if (text.length > maxTokenBytes) return rejected('malformed-credential')
    const id = digest('jwt', source.id, text)
    const known = jwks.verified.get(id)
    // A key that is gone takes its tokens with it: only those of the present set count (JWT-45).
    if (known !== undefined && known.generation === source.generation()) return accept(known, 'hit')
    const token = readJwt(text)
    if (token === undefined) return rejected('malformed-credential')
    const verdict = refusal(token)
    return typeof verdict === 'string' ? verify(token, verdict, id, signal) : verdict
  }
}
