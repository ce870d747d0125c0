/** One request: what it carries, and when it was due. */
export interface Ticket {
  /** Which of the traffic's credentials it presents. */
  readonly index: number
  readonly credential: string
  /** Twelve hexadecimal digits, never the same again. */
  readonly serial: string
  /** Milliseconds of the monotonic clock at which it was meant to go: not later because the server kept others waiting. */
  readonly due: number
}

/** An answer as it came: `grpc-status` and message, or the status and head of HTTP. */
export interface Reply {
  readonly status: string
  readonly body: Buffer
}

export interface ConnectionEvents {
  /** May send again; what it sends goes out when the bytes at hand are read. */
  readonly onReply: (ticket: Ticket, reply: Reply) => void
  /** The connection is lost, or the server broke the protocol. At most once. */
  readonly onFailure: (cause: Error) => void
}

/** One connection of the load client, of either protocol. */
export interface Connection {
  readonly send: (ticket: Ticket) => void
  /** Writes what was sent since the last time, at once. */
  readonly flush: () => void
  /** Requests without an answer. */
  readonly load: () => number
  readonly close: () => void
}
