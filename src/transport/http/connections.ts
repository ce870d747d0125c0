import type { Socket } from 'node:net'

/** The open connections of one listener, and which of them is at work. */
export interface Connections {
  /** Takes a connection in, at the cost of one that does nothing where the listener is full; false where all are busy. */
  readonly admit: (socket: Socket) => boolean
  readonly began: (socket: Socket) => void
  readonly ended: (socket: Socket) => void
  /** Runs once every request of this connection is answered. */
  readonly whenIdle: (socket: Socket, then: () => void) => void
  readonly open: () => number
  /** Those on which nothing is under way. */
  readonly idle: () => readonly Socket[]
  readonly destroy: () => void
}

/** Counts up to `most` connections; flooding them with silent ones only makes the silent ones go (SECURITY.md E8). */
export function createConnections(most: number): Connections {
  const requests = new Map<Socket, number>()
  const silent = new Set<Socket>() // no request yet, oldest first
  const resting = new Set<Socket>() // between two requests, longest first
  const awaited = new Map<Socket, () => void>()

  function forget(socket: Socket): void {
    requests.delete(socket)
    silent.delete(socket)
    resting.delete(socket)
    awaited.delete(socket)
  }

  function makeRoom(): boolean {
    const [given] = [...first(silent), ...first(resting)]
    if (given === undefined) return false
    forget(given)
    given.destroy()
    return true
  }

  return {
    admit(socket) {
      if (requests.size >= most && !makeRoom()) return false
      requests.set(socket, 0)
      silent.add(socket)
      socket.once('close', () => forget(socket))
      return true
    },
    began(socket) {
      const before = requests.get(socket)
      if (before === undefined) return
      requests.set(socket, before + 1)
      silent.delete(socket)
      resting.delete(socket)
    },
    ended(socket) {
      const left = (requests.get(socket) ?? 0) - 1
      if (left < 0) return
      requests.set(socket, left)
      if (left > 0) return
      resting.add(socket)
      awaited.get(socket)?.()
    },
    whenIdle(socket, then) {
      if ((requests.get(socket) ?? 0) === 0) then()
      else awaited.set(socket, then)
    },
    open: () => requests.size,
    idle: () => [...requests].filter(([, count]) => count === 0).map(([socket]) => socket),
    destroy() {
      for (const socket of requests.keys()) socket.destroy()
    },
  }
}

function first(sockets: ReadonlySet<Socket>): readonly Socket[] {
  for (const socket of sockets) return [socket]
  return []
}
