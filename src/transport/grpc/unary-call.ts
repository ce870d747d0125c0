import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { boundedMemo } from '../../model/bounded-memo.ts'
import type { Sender } from './check-claim.ts'

/*
 * A unary call of gRPC over HTTP/2 as nearly all are: one message, not compressed. grpc-js makes four objects with a dozen closures for
 * each call and Node keeps them until its next full collection, which costs more than everything that Gatehouse does itself. What is
 * unusual (compression, another content type, a timeout of another form) stays with grpc-js.
 */

/** What is known of a call beside its message. */
export interface CallFacts {
  readonly sender: Sender
  /** Milliseconds since the epoch until which the sender waits. */
  readonly deadline: number
  /** Aborts when the sender goes away. */
  readonly gone: () => AbortSignal
}

/** What is answered to a message; never throws or rejects. */
export type AnswerMessage<Answer> = (message: Buffer, call: CallFacts) => Answer | Promise<Answer>

/** A message with what gRPC puts before it, one latin-1 character for each byte: Node writes it out without a buffer in between. */
export type Framed = string

export interface UnaryMethod {
  readonly answer: AnswerMessage<Framed>
  /** Longest message. */
  readonly messageBytes: number
  /** The answers to a longer one and to what is none: explicit refusals, because `failure_mode_allow` lets an error through. */
  readonly tooLarge: AnswerMessage<Framed>
  readonly malformed: AnswerMessage<Framed>
  /** What all unfinished messages hold together. */
  readonly buffered: { bytes: number }
}

/** True for calls that `serveUnary` can serve. */
export const isUsual = (headers: IncomingHttpHeaders): boolean =>
  headers[':method'] === 'POST' &&
  usualTypes.has(headers['content-type'] ?? '') &&
  (headers['grpc-encoding'] ?? 'identity') === 'identity' &&
  timeoutOf(headers) !== undefined

const usualTypes: ReadonlySet<string> = new Set(['application/grpc', 'application/grpc+proto'])
const timeout = /^(\d{1,8})([HMSmun])$/
const unitMillis: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 }

/** Milliseconds for which the sender waits (gRPC over HTTP/2, "Timeout"); undefined for text of another form. */
const timeoutOf = ({ 'grpc-timeout': text }: IncomingHttpHeaders): number | undefined =>
  text === undefined ? Number.POSITIVE_INFINITY : timeouts(String(text))

/** A gateway says the same each time. */
const timeouts = boundedMemo(64, (text: string) => {
  const [, count, unit = ''] = timeout.exec(text) ?? []
  return count === undefined ? undefined : Number(count) * (unitMillis[unit] ?? 0)
})

/** Before every message: a flag for compression and the length. */
export const prefixBytes = 5

/** Bytes of unfinished messages that all calls together may hold. */
const mostHeld = 67_108_864

/** Reads the message and sends the answer. What is no message gets an explicit refusal: gateways may let errors through. */
export function serveUnary(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  sender: Sender,
  method: UnaryMethod,
): void {
  const call: CallFacts = { sender, deadline: Date.now() + (timeoutOf(headers) ?? 0), gone: () => cancellation(stream) }
  const chunks: Buffer[] = []
  let bytes = 0
  let held = 0
  let refused = false
  const hold = (more: number): void => {
    if (held === 0) stream.once('close', () => (method.buffered.bytes -= held))
    held += more
    method.buffered.bytes += more
  }
  stream.on('error', ignore) // its close follows
  stream.on('data', (chunk: Buffer) => {
    if (refused) return
    bytes += chunk.length
    // Nearly every check comes in one piece and is answered at once: only the others are counted.
    if (chunks.length > 0) hold(held === 0 ? bytes : chunk.length)
    chunks.push(chunk)
    if (bytes <= method.messageBytes + prefixBytes && method.buffered.bytes <= mostHeld) return
    refused = true
    chunks.length = 0
    reply(stream, method.tooLarge(nothing, call))
  })
  stream.on('end', () => {
    if (refused) return
    const [only] = chunks
    const whole = only !== undefined && chunks.length === 1 ? only : Buffer.concat(chunks)
    const complete = whole.length >= prefixBytes && whole.length - prefixBytes === whole.readUInt32BE(1)
    const message = complete && whole[0] === 0 ? whole.subarray(prefixBytes) : undefined
    reply(stream, message === undefined ? method.malformed(nothing, call) : method.answer(message, call))
  })
}

const nothing = Buffer.alloc(0)

function reply(stream: ServerHttp2Stream, answer: Framed | Promise<Framed>): void {
  if (answer instanceof Promise) void answer.then((late) => send(stream, late))
  else send(stream, answer)
}

const ignore = (): void => undefined

function send(stream: ServerHttp2Stream, answer: Framed): void {
  if (stream.destroyed || stream.closed) return
  stream.respond(head, withTrailers)
  stream.on('wantTrailers', sendOk)
  stream.end(answer, 'latin1')
}

const head = { ':status': 200, 'content-type': 'application/grpc+proto' } as const
const withTrailers = { waitForTrailers: true, sendDate: false } as const
const trailers = { 'grpc-status': '0' } as const

function sendOk(this: ServerHttp2Stream): void {
  this.sendTrailers(trailers)
}

function cancellation(stream: ServerHttp2Stream): AbortSignal {
  if (stream.destroyed) return AbortSignal.abort()
  const cancelled = new AbortController()
  stream.once('close', () => {
    if (!stream.headersSent) cancelled.abort() // gone before the answer
  })
  return cancelled.signal
}
