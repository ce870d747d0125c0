import type { ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import type { HttpReply } from './dialect.ts'

/** A response that can still be written, of either version of HTTP. */
export type Outgoing = ServerResponse | Http2ServerResponse

/**
 * Writes an answer, once, unless the caller is gone. Nothing is added but the length: what Node adds by itself is taken for ours by
 * gateways that copy every header of a 200 to the backend (GATEWAYS.md §C.3).
 */
export function write(outgoing: Outgoing, { status, headers, body }: HttpReply): void {
  if (outgoing.headersSent || outgoing.destroyed) return
  outgoing.sendDate = false
  if ('shouldKeepAlive' in outgoing) {
    // HTTP/1.1 stays open without a word; only an end has to be announced.
    if (outgoing.shouldKeepAlive && outgoing.req.httpVersion === '1.1') outgoing.removeHeader('connection')
    outgoing.writeHead(status, headers)
  } else outgoing.writeHead(status, headers)
  outgoing.end(body)
}
