import { setTimeout as sleep } from 'node:timers/promises'
import type { Health } from './health.ts'
import type { Connections } from './connections.ts'

/** How long the parts of a graceful end take. */
export interface DrainTimes {
  /** Between the two GOAWAYs: at least a round trip to the furthest gateway. */
  readonly roundTripMillis: number
  /** Until what is still under way is cut off. */
  readonly graceMillis: number
}

/** What a drain ends. */
export interface Draining {
  readonly health: Health
  readonly connections: Connections
  /** Takes no new connections. */
  readonly refuse: () => void
  /** Sends the last GOAWAY on every session and lets them end by themselves. */
  readonly end: () => void
}

/**
 * Ends a listener without losing a request. `session.close()` alone refuses every stream that was on its way (13–40 of 40
 * measured), so a GOAWAY with the highest id goes first and the real one a round trip later, as gRPC's A9 asks.
 */
export async function drain({ health, connections, refuse, end }: Draining, times: DrainTimes): Promise<void> {
  health.setServing(false)
  refuse()
  connections.announceEnd()
  await emptied(connections, times.roundTripMillis)
  health.close()
  end()
  await emptied(connections, times.graceMillis)
  connections.destroy()
}

/** Waits until no connection is open, or the time is over. */
async function emptied(connections: Connections, millis: number): Promise<void> {
  const until = performance.now() + millis
  while (connections.open() > 0 && performance.now() < until) await sleep(5)
}
