import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { constants } from 'node:http2'
import type { ServerHttp2Stream } from 'node:http2'
import type { Duplex } from 'node:stream'
import type { Clock } from '../../model/clock.ts'

/** The open connections of one listener. */
export interface Connections {
  readonly admit: (connection: Duplex) => void
  readonly open: () => number
  /** Asks every client to begin nothing new, while all that it already sent is still answered. */
  readonly announceEnd: () => void
  /** Ends calls that began longer ago than this; a gateway has given up on a check long before. */
  readonly cutStalled: (millis: number) => void
  /** Ends every connection at once. */
  readonly destroy: () => void
  readonly close: () => void
}

/**
 * GOAWAY with the highest stream id and no error: the notice of RFC 9113 §6.8. Written past the HTTP/2 session, because Node only has
 * `session.goaway()`, after which nghttp2 drops every new stream, also one that was on its way. A session hands over whole frames in
 * one write each, so this one comes between two of them.
 */
const notice = Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0])

/** Keeps track of connections, and of the calls whose path is `timed` (a health watch may stay open). */
export function createConnections(clock: Clock, timed: string): Connections {
  const connections = new Set<Duplex>()
  const calls = new Map<ServerHttp2Stream, number>()

  // grpc-js keeps its streams to itself; Node tells of every one that begins.
  function began(message: unknown): void {
    const { stream, headers } = message as { stream: ServerHttp2Stream; headers: Readonly<Record<string, unknown>> }
    if (headers[':path'] !== timed) return
    calls.set(stream, clock.ticks())
    stream.once('close', () => calls.delete(stream))
  }

  subscribe('http2.server.stream.start', began)
  return {
    admit(connection) {
      connections.add(connection)
      connection.once('close', () => connections.delete(connection))
      connection.on('error', () => undefined) // a peer that goes away is no event: its calls end with it
    },
    open: () => connections.size,
    announceEnd() {
      for (const connection of connections) if (connection.writable) connection.write(notice)
    },
    cutStalled(millis) {
      const limit = clock.ticks() - millis
      for (const [stream, since] of calls) {
        if (since > limit) return // in order of arrival
        stream.close(constants.NGHTTP2_CANCEL)
      }
    },
    destroy() {
      for (const connection of connections) connection.destroy()
    },
    close: () => void unsubscribe('http2.server.stream.start', began),
  }
}
