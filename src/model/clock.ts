/** Time comes in by the door: tests bend it. */
export interface Clock {
  /** Wall clock, milliseconds since the epoch: for `exp`, `nbf`, expiry dates. */
  readonly now: () => number
  /** Monotonic milliseconds: for cache lifetimes, back-off and latency; never steps back. */
  readonly ticks: () => number
}
