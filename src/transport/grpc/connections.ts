import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { constants } from 'node:http2'
import type { Http2Session, IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import { Duplex } from 'node:stream'
import type { Clock } from '../../model/clock.ts'
import type { Sender } from './check-claim.ts'

/** The open connections of one listener. */
export interface Connections {
  /** `sender` is told with each of its calls. */
  readonly admit: (connection: Duplex, sender: Sender) => void
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

/** Serves a call itself, or says false and leaves it to grpc-js. */
export type TakeCall = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, sender: Sender) => boolean

/** Keeps track of connections, and of the calls whose path is `timed` (a health watch may stay open), which `take` may serve. */
export function createConnections(clock: Clock, timed: string, take: TakeCall = () => false): Connections {
  const connections = new Set<Duplex>()
  const calls = new Map<ServerHttp2Stream, number>()
  const sessions = new WeakSet<ServerHttp2Session>()
  const fresh = new Set<Duplex>()
  const ours = Symbol('mark on a connection of this listener')

  // grpc-js keeps its sessions to itself; Node tells of every stream that begins, before it is handed to the session's listener. That
  // costs something each time, so it is asked to only while there is a connection of which no stream has begun.
  function began(message: unknown): void {
    const { session } = (message as { stream: ServerHttp2Stream }).stream
    if (session === undefined || sessions.has(session as ServerHttp2Session)) return
    sessions.add(session as ServerHttp2Session)
    const mark = markOf(session, ours)
    if (mark === undefined) return
    known(mark.connection)
    stand(session as ServerHttp2Session, mark.sender)
  }

  function known(connection: Duplex): void {
    fresh.delete(connection)
    if (fresh.size === 0) unsubscribe(channel, began)
  }

  /** Stands between a session and grpc-js. */
  function stand(session: ServerHttp2Session, sender: Sender): void {
    const others = session.listeners('stream') as StreamListener[]
    session.removeAllListeners('stream')
    session.on('stream', (...told: Parameters<StreamListener>) => {
      const [stream, headers] = told
      if (headers[':path'] === timed) {
        calls.set(stream, clock.ticks())
        stream.on('close', ended)
        if (take(stream, headers, sender)) return
      }
      for (const other of others) Reflect.apply(other, session, told)
    })
  }

  function ended(this: ServerHttp2Stream): void {
    calls.delete(this)
  }

  return {
    admit(connection, sender) {
      connections.add(connection)
      if (fresh.size === 0) subscribe(channel, began)
      fresh.add(connection)
      Object.assign(connection, { [ours]: { connection, sender } satisfies Mark })
      connection.once('close', () => {
        connections.delete(connection)
        if (fresh.has(connection)) known(connection)
      })
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
    close: () => void unsubscribe(channel, began),
  }
}

type StreamListener = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, ...more: unknown[]) => void

const channel = 'http2.server.stream.start'

/** What a connection of ours carries, so that its session can be known for ours. */
interface Mark {
  readonly connection: Duplex
  readonly sender: Sender
}

/** A session shows a proxy that only gives properties; a connection that is no socket of the system is behind another, its `stream`. */
function markOf({ socket }: Http2Session, ours: symbol): Mark | undefined {
  const behind: unknown = Reflect.get(socket, 'stream')
  const bearer: object = behind instanceof Duplex ? behind : socket
  return Reflect.get(bearer, ours) as Mark | undefined
}
