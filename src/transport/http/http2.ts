import { constants, createServer } from 'node:http2'
import type { Http2ServerRequest, Http2ServerResponse, Http2Session, ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { headOf } from './ask.ts'
import { httpLimits } from './limits.ts'
import type { Protocol, Serve } from './protocol.ts'

/** HTTP/2 has a graceful end of its own. */
export interface Http2 extends Protocol {
  readonly speaks: (socket: Socket) => boolean
  /** Asks every client to begin nothing new, while what is under way is still answered. */
  readonly announceEnd: () => void
  /** Ends every session as soon as its last stream is answered. */
  readonly end: () => void
}

/** Last stream id of the first GOAWAY of two (RFC 9113 §6.8): nothing already sent is refused. */
const everyStream = 2 ** 31 - 1

/** The same GOAWAY as a frame. */
const endNotice = Buffer.from('0000080700000000007fffffff00000000', 'hex')

/**
 * After its own `goaway()` Node stops reading from a session whenever no stream is open, so that a request just sent would find
 * nobody. In the clear the frame is therefore written past it: Node hands whole frames to the socket, so this one lands between
 * two. Under TLS only one writer at a time is possible, and that window of a round trip stays.
 */
function giveNotice(session: Http2Session, socket: Socket): void {
  if (session.closed || session.destroyed) return
  if (socket instanceof TLSSocket) session.goaway(constants.NGHTTP2_NO_ERROR, everyStream)
  else socket.write(endNotice)
}

/** HTTP/2, over TLS or with prior knowledge. */
export function createHttp2(serve: Serve): Http2 {
  const sessions = new Map<Http2Session, Socket>()
  const server = createServer({
    maxSessionMemory: httpLimits.sessionMegabytes,
    maxHeaderListPairs: 8_192, // past this Node resets the stream, which is no explicit answer; the engine refuses far earlier
    settings: { maxConcurrentStreams: httpLimits.streamsPerConnection, maxHeaderListSize: httpLimits.headBytes },
  })
  const served = (incoming: Http2ServerRequest, outgoing: Http2ServerResponse): void => {
    const { session } = incoming.stream
    const socket = session === undefined ? undefined : sessions.get(session)
    if (socket !== undefined) serve(incoming, headOf(incoming), outgoing, socket) // else the connection is gone
  }
  server.on('request', served)
  server.on('checkContinue', served)
  server.on('checkExpectation', served)
  server.on('connect', served)
  server.on('sessionError', () => undefined) // the session is closed already
  server.on('stream', (stream) => {
    stream.setTimeout(httpLimits.requestMillis, () => stream.close(constants.NGHTTP2_CANCEL))
  })
  return {
    take(socket) {
      server.once('session', (session: ServerHttp2Session) => {
        sessions.set(session, socket)
        session.once('close', () => sessions.delete(session))
        session.setTimeout(httpLimits.idleMillis, () => session.close())
      })
      server.emit('connection', socket) // begins the session at once
    },
    speaks: (socket) => [...sessions.values()].includes(socket),
    announceEnd() {
      for (const [session, socket] of sessions) giveNotice(session, socket)
    },
    end() {
      for (const session of sessions.keys()) session.close()
    },
    close: () => void server.close(),
  }
}
