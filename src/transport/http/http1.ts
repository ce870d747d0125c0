import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Connections } from './connections.ts'
import { Http1Request } from './http1-request.ts'
import { httpLimits } from './limits.ts'
import type { Malformed } from './malformed.ts'
import type { Protocol, Serve } from './protocol.ts'
import { write } from './writer.ts'

interface Http1Parts {
  readonly serve: Serve
  /** A CONNECT has a socket in place of a response. */
  readonly refuseTunnel: (incoming: Http1Request, socket: Duplex) => void
  /** Told of every request that is refused before there is one to serve. */
  readonly malformed: Malformed
  readonly connections: Connections
}

/** HTTP/1.1 on sockets that somebody else accepted. Every request is served, whatever it expects or would upgrade to. */
export function createHttp1({ serve, refuseTunnel, malformed, connections }: Http1Parts): Protocol {
  const server = createServer({
    maxHeaderSize: httpLimits.headBytes,
    headersTimeout: httpLimits.headMillis,
    requestTimeout: httpLimits.requestMillis,
    keepAliveTimeout: httpLimits.idleMillis,
    connectionsCheckingInterval: 1_000,
    insecureHTTPParser: false,
    requireHostHeader: false, // Node would answer by itself and nobody would hear of it
    IncomingMessage: Http1Request,
    optimizeEmptyRequests: true, // no stream where there is no body
  })
  server.maxHeadersCount = 0 // Node would cut the list off and say nothing; the size above bounds it, and the engine counts
  server.timeout = httpLimits.stalledMillis
  const latest = new WeakMap<Duplex, Http1Request>()
  const served = (incoming: Http1Request, outgoing: ServerResponse): void => {
    latest.set(incoming.socket, incoming)
    const { head } = incoming
    // RFC 9112 §3.2: of HTTP/1.1 only.
    if (head.hosts.length === 0 && incoming.httpVersion === '1.1') refuseHostless(incoming, outgoing)
    else serve(incoming, head, outgoing, incoming.socket)
  }
  const refuseHostless = ({ socket }: Http1Request, outgoing: ServerResponse): void => {
    const connection = connections.began(socket)
    outgoing.on('close', () => connections.ended(connection))
    outgoing.shouldKeepAlive = false
    write(outgoing, { status: 400, headers: { 'content-length': '0' }, body: '' })
    malformed('bad-host', socket)
  }
  server.on('request', served)
  server.on('checkContinue', served) // the answer needs no body: no 100 is sent
  server.on('checkExpectation', served)
  server.on('connect', refuseTunnel)
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // Answers to earlier requests come first, and a request that broke off in its body has an answer of its own.
    const request = latest.get(socket)
    const inBody = request?.complete === false
    if (inBody && request.listenerCount('error') > 0) request.emit('error', error) // for whoever waits for the body
    connections.whenIdle(socket as Socket, () => {
      if (inBody || !socket.writable) return void socket.destroy()
      socket.end(refusals[error.code ?? ''] ?? refusal(400, 'Bad Request'), () => socket.destroy())
      malformed(error.code === 'HPE_HEADER_OVERFLOW' ? 'too-large' : 'malformed-request', socket as Socket)
    })
  })
  server.emit('listening') // starts the clock of the two timeouts above
  return {
    take(socket) {
      server.emit('connection', socket)
      socket.resume()
    },
    close: () => void server.close(),
  }
}

/** The answer to what cannot be parsed, after which the connection ends. */
const refusal = (status: number, phrase: string): string =>
  `HTTP/1.1 ${status} ${phrase}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`

const refusals: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: refusal(431, 'Request Header Fields Too Large'),
  ERR_HTTP_REQUEST_TIMEOUT: refusal(408, 'Request Timeout'),
}

/** The answer to every CONNECT: an OK would open a tunnel past us (GATEWAYS.md §G.1). */
export const tunnelRefused = refusal(403, 'Forbidden')
