import type { DenyReason } from '../model/decision.ts'
import { claimAt } from '../model/identity.ts'
import type { Claims, Identity } from '../model/identity.ts'
import { memo } from '../model/memo.ts'

/** What one policy asks of an active answer; the answer itself is shared among policies (CVE-2021-32701). */
export interface AnswerRules {
  /** Name of the policy's entry. */
  readonly method: string
  readonly audiences: readonly string[]
  readonly issuer: string | undefined
  readonly scopesClaim: readonly string[]
  readonly groupsClaim: readonly string[]
}

export type Judgement =
  { readonly kind: 'identity'; readonly identity: Identity } | { readonly kind: 'fault'; readonly reason: DenyReason }

/** The server vouches for the token now, so its clock may run ahead of ours; but `exp` is held to ours to the second. */
const skew = 30_000

/**
 * Judges active answers by the rules of one policy (RFC 7662 §2.2). What does not change with time is found out once for each
 * answer, and the identity is the same object as long as the answer is.
 */
export function answerJudge(rules: AnswerRules): (claims: Claims, now: number) => Judgement {
  const lasting = memo((claims: Claims) => judged(claims, rules))
  return (claims, now) => {
    const late = timeFault(claims, now)
    return late === undefined ? lasting(claims) : { kind: 'fault', reason: late }
  }
}

function judged(claims: Claims, rules: AnswerRules): Judgement {
  const reason = kindFault(claims) ?? partyFault(claims, rules)
  if (reason !== undefined) return { kind: 'fault', reason }
  const subject = subjectOf(claims)
  const scopes = words(claimAt(claims, rules.scopesClaim))
  const groups = words(claimAt(claims, rules.groupsClaim))
  if (subject === undefined || scopes === undefined || groups === undefined) {
    return { kind: 'fault', reason: 'bad-credential' }
  }
  const issuer = rules.issuer ?? (typeof claims['iss'] === 'string' ? claims['iss'] : undefined)
  const identity = { subject, method: rules.method, claims, scopes, groups }
  return { kind: 'identity', identity: issuer === undefined ? identity : { ...identity, issuer } }
}

function timeFault({ exp, nbf }: Claims, now: number): DenyReason | undefined {
  if (exp !== undefined && !isTime(exp)) return 'bad-credential'
  if (nbf !== undefined && !isTime(nbf)) return 'bad-credential'
  const over = exp !== undefined && now >= exp * 1000
  const early = nbf !== undefined && now + skew < nbf * 1000
  return over || early ? 'expired-credential' : undefined
}

const isTime = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(Math.trunc(value))

/** Kinds of token that are meant for a resource server, where the answer tells the kind at all. */
const accessTokens = new Set(['bearer', 'access_token', 'urn:ietf:params:oauth:token-type:access_token'])

/**
 * Refresh and ID tokens are not for us, and neither is a token that is bound to a key (RFC 9449 §7.2, RFC 8705 §3): as a
 * mere bearer token it is stolen.
 */
function kindFault(claims: Claims): DenyReason | undefined {
  const { token_type: type, token_use: use, cnf, typ } = claims
  const lower = (value: unknown): string => (typeof value === 'string' ? value.toLowerCase() : '')
  const odd =
    (type !== undefined && !accessTokens.has(lower(type))) ||
    (use !== undefined && !['access', 'access_token'].includes(lower(use))) ||
    ['refresh', 'offline', 'id', 'logout'].includes(lower(typ)) || // as Keycloak says it
    (cnf !== undefined && cnf !== null)
  return odd ? 'bad-credential' : undefined
}

function partyFault({ aud, iss }: Claims, { audiences, issuer }: AnswerRules): DenyReason | undefined {
  const list: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  if (list.some((one) => typeof one !== 'string')) return 'bad-credential'
  if (!list.some((one) => audiences.some((ours) => ours === one))) return 'bad-credential'
  if (iss === undefined) return undefined
  return typeof iss !== 'string' || (issuer !== undefined && iss !== issuer) ? 'bad-credential' : undefined
}

/** The first of the three that is there; one that is there and no name is a fault, never a reason to try the next. */
function subjectOf({ sub, username, client_id: client }: Claims): string | undefined {
  const first = [sub, username, client].find((one) => one !== undefined)
  return typeof first === 'string' && /^[^\x00-\x1f\x7f]{1,1024}$/.test(first) ? first : undefined
}

/** A space-separated text (RFC 6749 §3.3) or a list of texts; undefined for anything else. */
function words(value: unknown): readonly string[] | undefined {
  if (value === undefined || value === null) return []
  if (typeof value === 'string') return value.split(' ').filter((word) => word !== '')
  if (!Array.isArray(value)) return undefined
  const list = value as readonly unknown[]
  return list.every((one) => typeof one === 'string') ? list : undefined
}
