import type { Socket } from 'node:net'

/** What is known of one connection; made and changed in this file only. */
export interface Connection {
  readonly socket: Socket
  /** Requests under way. */
  readonly requests: number
}

/** The open connections of one listener, and which of them is at work. */
export interface Connections {
  /** Takes a connection in, at the cost of one that does nothing where the listener is full; false where all are busy. */
  readonly admit: (socket: Socket) => boolean
  /** A request begins; undefined where the connection is gone. */
  readonly began: (socket: Socket) => Connection | undefined
  readonly ended: (connection: Connection | undefined) => void
  /** Runs once every request of this connection is answered. */
  readonly whenIdle: (socket: Socket, then: () => void) => void
  readonly open: () => number
  /** Those on which nothing is under way. */
  readonly idle: () => readonly Socket[]
  readonly destroy: () => void
}

interface Tracked extends Connection {
  requests: number
  /** Counts up with each request that ends: the least has rested longest. */
  rested: number
  awaited: (() => void) | undefined
}

/** Counts up to `most` connections; flooding them with silent ones only makes the silent ones go (SECURITY.md E8). */
export function createConnections(most: number): Connections {
  const connections = new Map<Socket, Tracked>()
  const silent = new Set<Socket>() // no request yet, oldest first
  let answers = 0

  function forget(socket: Socket): void {
    connections.delete(socket)
    silent.delete(socket)
  }

  function makeRoom(): boolean {
    const [given = longestAtRest()] = silent
    if (given === undefined) return false
    forget(given)
    given.destroy()
    return true
  }

  /** Looked for when there is need of it, which is when every connection has been of use: to keep the order costs every request. */
  function longestAtRest(): Socket | undefined {
    let found: Tracked | undefined
    for (const one of connections.values()) {
      if (one.requests === 0 && (found === undefined || one.rested < found.rested)) found = one
    }
    return found?.socket
  }

  return {
    admit(socket) {
      if (connections.size >= most && !makeRoom()) return false
      connections.set(socket, { socket, requests: 0, rested: 0, awaited: undefined })
      silent.add(socket)
      socket.once('close', () => forget(socket))
      return true
    },
    began(socket) {
      const connection = connections.get(socket)
      if (connection === undefined) return undefined
      connection.requests += 1
      if (silent.size > 0) silent.delete(socket)
      return connection
    },
    ended(connection) {
      const tracked = connection as Tracked | undefined
      if (tracked === undefined) return
      tracked.requests -= 1
      tracked.rested = answers += 1
      if (tracked.requests > 0) return
      const { awaited } = tracked
      tracked.awaited = undefined
      awaited?.()
    },
    whenIdle(socket, then) {
      const connection = connections.get(socket)
      if (connection === undefined || connection.requests === 0) then()
      else connection.awaited = then
    },
    open: () => connections.size,
    idle: () => [...connections.values()].filter(({ requests }) => requests === 0).map(({ socket }) => socket),
    destroy() {
      for (const socket of connections.keys()) socket.destroy()
    },
  }
}
