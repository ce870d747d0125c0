import type { Socket } from 'node:net'
import type { Head, Incoming } from './ask.ts'
import type { Outgoing } from './writer.ts'

/** Called for every request, whatever it is, with the connection that it came on. */
export type Serve = (incoming: Incoming, head: Head, outgoing: Outgoing, socket: Socket) => void

/** One version of HTTP, on sockets that somebody else accepted. */
export interface Protocol {
  readonly take: (socket: Socket) => void
  readonly close: () => void
}
