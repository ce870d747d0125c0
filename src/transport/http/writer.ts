import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import { fastify } from 'fastify'
import type { FastifyReply } from 'fastify'
import { headerValueSafe } from '../../model/header.ts'
import type { Incoming } from './ask.ts'
import type { HttpReply } from './dialect.ts'

export type Outgoing = ServerResponse | Http2ServerResponse

/** Runs one call through fastify, which writes what the answer turns out to be. */
export type Writer = (incoming: Incoming, outgoing: Outgoing, answer: Promise<HttpReply>) => void

/**
 * Fastify without its router: every call is put on one constant route. A router would decode and compare the target, and what is
 * behind our key in it belongs to the client (GATEWAYS.md R1).
 */
export async function createWriter(): Promise<Writer> {
  const app = fastify({ logger: false, exposeHeadRoutes: false })
  const answers = new WeakMap<object, Promise<HttpReply>>()
  app.get('/', (request, reply) => {
    const answer = answers.get(request.raw) ?? Promise.resolve(nothing)
    answer.then((made) => (writable(made) ? write(reply, made) : last(reply.raw))).catch(() => last(reply.raw))
  })
  await app.ready()
  return (incoming, outgoing, answer) => {
    answers.set(incoming, answer)
    Object.assign(incoming, { method: 'GET', url: '/' })
    app.routing(incoming as IncomingMessage, outgoing as ServerResponse)
  }
}

const nothing: HttpReply = { status: 403, headers: {}, body: '' }

function write(reply: FastifyReply, { status, headers, body }: HttpReply): void {
  const { raw } = reply
  if (raw.headersSent || raw.destroyed) return
  bare(raw)
  reply.code(status).headers(headers)
  if (body === '') reply.send()
  else reply.send(body)
}

/** What Node would add by itself is taken for ours by gateways that copy every header of a 200 to the backend (GATEWAYS.md §C.3). */
function bare(raw: ServerResponse): void {
  raw.sendDate = false
  // HTTP/1.1 stays open without a word; only an end has to be announced.
  if (raw.req.httpVersion === '1.1' && raw.shouldKeepAlive) raw.removeHeader('connection')
}

/** Node checks this over HTTP/1.1 alone; over HTTP/2 it would cut each character to a byte, and make a line feed of some. */
const writable = ({ headers }: HttpReply): boolean => Object.values(headers).flat().every(headerValueSafe)

/** The decision could not be written, so it is none. */
function last(raw: ServerResponse): void {
  if (raw.headersSent || raw.destroyed) return
  bare(raw)
  raw.writeHead(403, { 'content-length': '0' })
  raw.end()
}
