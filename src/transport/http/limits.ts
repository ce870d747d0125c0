/** Bounds of an HTTP listener, each far above what a gateway needs. */
export const httpLimits = {
  connections: 4_096,
  /** A gateway's own limit is 60 to 96 kB; past this nothing is parsed and the answer is 431. */
  headBytes: 98_304,
  /** A body is never looked at. A gateway that forwards more than this is told no. */
  bodyBytes: 8_388_608,
  streamsPerConnection: 128,
  sessionMegabytes: 16,
  /** Until the first byte of a connection, and from there until the end of the head of a request. */
  headMillis: 8_000,
  requestMillis: 30_000,
  /** No byte moves on a connection with a request under way. */
  stalledMillis: 65_000,
  /** Longer than any gateway keeps a connection (Envoy: an hour), so that it is never us who hang up on a request. */
  idleMillis: 3_660_000,
} as const
