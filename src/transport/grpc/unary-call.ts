import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'

/*
 * A unary call of gRPC over HTTP/2 as nearly all are: one message, not compressed. grpc-js makes four objects with a dozen closures for
 * each call and Node keeps them until its next full collection, which costs more than everything that Gatehouse does itself. What is
 * unusual (compression, another content type, a timeout of another form) stays with grpc-js.
 */

/** What is answered to a message; never throws or rejects. */
export type AnswerMessage = (message: Buffer, deadline: number, caller: () => AbortSignal) => Buffer | Promise<Buffer>

export interface UnaryMethod {
  readonly answer: AnswerMessage
  /** Longest message. */
  readonly messageBytes: number
}

/** True for calls that `serveUnary` can serve. */
export const isUsual = (headers: IncomingHttpHeaders): boolean =>
  headers[':method'] === 'POST' &&
  usualTypes.has(headers['content-type'] ?? '') &&
  (headers['grpc-encoding'] ?? 'identity') === 'identity' &&
  (headers['grpc-timeout'] === undefined || timeout.test(String(headers['grpc-timeout'])))

const usualTypes: ReadonlySet<string> = new Set(['application/grpc', 'application/grpc+proto'])
const timeout = /^(\d{1,8})([HMSmun])$/
const unitMillis: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 }

/** Milliseconds since the epoch until which the caller waits (gRPC over HTTP/2, "Timeout"). */
function deadlineOf({ 'grpc-timeout': text }: IncomingHttpHeaders): number {
  const [, count, unit = ''] = timeout.exec(String(text)) ?? []
  return count === undefined ? Number.POSITIVE_INFINITY : Date.now() + Number(count) * (unitMillis[unit] ?? 0)
}

/** Codes of gRPC for what is no unary call; the same that grpc-js gives. */
const status = { resourceExhausted: 8, unimplemented: 12, internal: 13 } as const

/** Before every message: a flag for compression and the length. */
const prefixBytes = 5

/** Reads the message and sends the answer. A call whose message is none ends with the status that grpc-js would give. */
export function serveUnary(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, method: UnaryMethod): void {
  const deadline = deadlineOf(headers)
  let body: Buffer | undefined
  let over = false
  stream.on('error', ignore) // its close follows
  stream.on('data', (chunk: Buffer) => {
    if (over) return
    body = body === undefined ? chunk : Buffer.concat([body, chunk])
    const length = body.length < prefixBytes ? 0 : body.readUInt32BE(1)
    if (Math.max(length, body.length - prefixBytes) <= method.messageBytes) return
    over = true
    body = undefined
    fail(stream, status.resourceExhausted, `Received message larger than max (${length} vs ${method.messageBytes})`)
  })
  stream.on('end', () => {
    if (over) return
    const message = body ?? nothing
    if (message.length < prefixBytes || message.length - prefixBytes !== message.readUInt32BE(1)) {
      return fail(stream, status.unimplemented, 'A unary call has one message')
    }
    if (message[0] !== 0) return fail(stream, status.internal, 'A compressed message, and no encoding')
    const answer = method.answer(message.subarray(prefixBytes), deadline, () => cancellation(stream))
    if (answer instanceof Promise) void answer.then((late) => send(stream, late))
    else send(stream, answer)
  })
}

const nothing = Buffer.alloc(0)
const ignore = (): void => undefined

function send(stream: ServerHttp2Stream, message: Buffer): void {
  if (stream.destroyed || stream.closed) return
  const framed = Buffer.allocUnsafe(prefixBytes + message.length)
  framed[0] = 0
  framed.writeUInt32BE(message.length, 1)
  message.copy(framed, prefixBytes)
  stream.respond({ ':status': 200, 'content-type': 'application/grpc+proto' }, { waitForTrailers: true })
  stream.once('wantTrailers', sendOk)
  stream.end(framed)
}

function sendOk(this: ServerHttp2Stream): void {
  this.sendTrailers({ 'grpc-status': '0' })
}

function fail(stream: ServerHttp2Stream, code: number, details: string): void {
  if (stream.destroyed || stream.closed) return
  const headers = { ':status': 200, 'content-type': 'application/grpc+proto', 'grpc-status': String(code) }
  stream.respond({ ...headers, 'grpc-message': encodeURI(details) }, { endStream: true })
}

function cancellation(stream: ServerHttp2Stream): AbortSignal {
  if (stream.destroyed) return AbortSignal.abort()
  const cancelled = new AbortController()
  stream.once('close', () => {
    if (!stream.headersSent) cancelled.abort() // gone before the answer
  })
  return cancelled.signal
}
