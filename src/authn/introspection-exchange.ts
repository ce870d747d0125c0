import { HttpFailure } from './http-client.ts'
import type { HttpAnswer, HttpClient } from './http-client.ts'
import type { Clock } from '../model/clock.ts'
import type { ClientAuthentication } from './client-authentication.ts'
import type { AskContext, AuthorizationServer, Introspected } from './introspector.ts'
import { isJsonObject, parseStrictJson } from './strict-json.ts'
import type { JsonObject } from './strict-json.ts'

/** How answers of one endpoint are to be read: as JSON (RFC 7662) or as a signed JWT (RFC 9701), never either. */
export interface AnswerFormat {
  /** Media type that is asked for and must come back. */
  readonly mediaType: string
  /** The introspection members of a body, or undefined where it is not to be used. */
  readonly read: (body: string, signal: AbortSignal) => JsonObject | undefined | Promise<JsonObject | undefined>
}

/** Most of an answer that is read, and the most members in it (SECURITY.md E8). */
export const answerLimits = { maxBytes: 65_536, maxMembers: 1000 } as const

/** RFC 7662 §2.2. */
export const plainAnswer: AnswerFormat = {
  mediaType: 'application/json',
  read: (body) => {
    const answer = parseStrictJson(body, answerLimits)
    return isJsonObject(answer) ? answer : undefined
  },
}

export interface EndpointParts {
  /** Parts circuit breakers: one for each endpoint and credential. */
  readonly id: string
  readonly endpoint: () => string | undefined | Promise<string | undefined>
  /** Whom the client's assertions are for: the issuer where it is known. */
  readonly audience: string | undefined
  readonly client: ClientAuthentication
  readonly format: AnswerFormat
  readonly http: HttpClient
  readonly clock: Clock
  /** Milliseconds for a call with all that it needs. */
  readonly timeout: number
}

const trouble: Introspected = { kind: 'failed', why: 'trouble' }

/** One introspection endpoint, asked as one client. */
export function introspectionEndpoint(parts: EndpointParts): AuthorizationServer {
  const { clock, timeout } = parts

  async function ask(token: string, context: AskContext): Promise<Introspected> {
    const start = clock.ticks()
    const endpoint = await parts.endpoint()
    if (endpoint === undefined) return trouble
    const left = (): number => Math.max(timeout - (clock.ticks() - start), 0)
    const attempt = (): Promise<HttpAnswer> => send(parts, { ...context, endpoint, token, timeout: left() })
    try {
      // A connection that the server dropped while it was idle fails on its next use; that says nothing, so once more.
      const answer = await attempt().catch((error: unknown) => {
        if (error instanceof HttpFailure && error.kind === 'reset' && left() > 0) return attempt()
        throw error
      })
      return await judge(answer, parts.format, clock, context.signal)
    } catch {
      return trouble // the failure names a host at most, and the counter tells what an operator needs
    }
  }
  return { id: parts.id, ask }
}

interface Call extends AskContext {
  readonly endpoint: string
  readonly token: string
  readonly timeout: number
}

async function send(
  parts: EndpointParts,
  { endpoint, token, timeout, signal, traceparent }: Call,
): Promise<HttpAnswer> {
  const proof = await parts.client.prove(parts.audience ?? endpoint)
  return parts.http.exchange({
    url: endpoint,
    method: 'POST',
    headers: {
      ...proof.headers,
      accept: parts.format.mediaType,
      'content-type': 'application/x-www-form-urlencoded',
      ...(traceparent !== undefined && { traceparent }),
    },
    body: new URLSearchParams({ token, token_type_hint: 'access_token', ...proof.fields }).toString(),
    maxBytes: answerLimits.maxBytes,
    timeout,
    signal,
  })
}

async function judge(
  answer: HttpAnswer,
  format: AnswerFormat,
  clock: Clock,
  signal: AbortSignal,
): Promise<Introspected> {
  if (answer.status !== 200) return complaint(answer, clock)
  const type = (answer.headers.get('content-type') ?? '').split(';', 1)[0] ?? ''
  if (type.trim().toLowerCase() !== format.mediaType) return trouble
  const members = await format.read(answer.body, signal)
  // RFC 7662 §2.2: a boolean. "true" and 1 are answers of something else.
  if (members === undefined || typeof members['active'] !== 'boolean') return trouble
  if (!members['active']) return { kind: 'inactive' } // whatever else it says is not to be used
  return { kind: 'active', claims: members, bytes: answer.body.length }
}

function complaint({ status, headers, body }: HttpAnswer, clock: Clock): Introspected {
  switch (status) {
    case 401:
    case 403:
      return { kind: 'failed', why: 'refused' }
    case 400:
    case 413:
    case 414: {
      const error = parseStrictJson(body, answerLimits)
      const ours = isJsonObject(error) && /^(invalid|unauthorized)_client$/.test(String(error['error']))
      // The client of the gateway chose the token: a token that the server chokes on must not open the circuit for all.
      return { kind: 'failed', why: ours ? 'refused' : 'unfit' }
    }
    case 429: {
      const retryAfter = pause(headers.get('retry-after'), clock)
      return retryAfter === undefined ? trouble : { kind: 'failed', why: 'trouble', retryAfter }
    }
    default:
      return trouble
  }
}

/** Milliseconds of a `Retry-After` (RFC 9110 §10.2.3): seconds or a date. */
function pause(value: string | undefined, clock: Clock): number | undefined {
  if (value === undefined) return undefined
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(date - clock.now(), 0)
}
