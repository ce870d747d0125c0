/** Why the API server did not do what was asked; `status` is 0 where no answer came. The message is safe to show. */
export class KubeError extends Error {
  readonly status: number
  /** The server's reason (`Expired`, `Forbidden`, `Conflict` …), or a network code such as `ECONNREFUSED`. */
  readonly reason: string
  /** How long the server asks us to stay away. */
  readonly retryAfterMillis: number | undefined

  constructor(status: number, reason: string, message: string, retryAfterMillis?: number) {
    super(message)
    this.name = 'KubeError'
    this.status = status
    this.reason = reason
    this.retryAfterMillis = retryAfterMillis
  }
}

const longest = 300

/** Reads a `Status` object, as the body of a refusal or as an ERROR event of a watch. */
export function statusError(status: number, body: unknown, retryAfter?: string): KubeError {
  const { code, reason, message, details } = fields(body)
  const { retryAfterSeconds } = fields(details)
  const real = typeof code === 'number' ? code : status
  const text = typeof message === 'string' ? message : `HTTP ${status}`
  return new KubeError(
    real,
    typeof reason === 'string' && reason !== '' ? reason : `HTTP ${real}`,
    text.length > longest ? `${text.slice(0, longest)}…` : text,
    retryMillis(retryAfter) ?? retryMillis(retryAfterSeconds),
  )
}

/** An error of the network, the file system or a parser, as a KubeError; one that is already stays as it is. */
export function networkError(cause: unknown): KubeError {
  if (cause instanceof KubeError) return cause
  if (!(cause instanceof Error)) return new KubeError(0, 'Unknown', 'an unknown failure')
  const inner = cause.cause instanceof Error && !('code' in cause) ? cause.cause : cause
  const code = 'code' in inner && typeof inner.code === 'string' ? inner.code : inner.name
  return new KubeError(0, code, `no answer from the API server (${code})`)
}

/** Takes a 404 for an answer. */
export const unless404 = <T>(answer: Promise<T>): Promise<T | undefined> =>
  answer.catch((cause: unknown) => {
    if (cause instanceof KubeError && cause.status === 404) return undefined
    throw cause
  })

/** RFC 9110 §10.2.3 in seconds only, as the API server writes it; a minute at most, so that a slip cannot silence us. */
function retryMillis(value: unknown): number | undefined {
  const seconds = typeof value === 'string' ? Number(value) : value
  return typeof seconds === 'number' && seconds > 0 ? Math.min(seconds, 60) * 1000 : undefined
}

const fields = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
