/** Runs work once for all who ask for the same at the same time. */
export type SingleFlight<T> = (
  key: string,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
) => Promise<T>

interface Flight<T> {
  readonly result: Promise<T>
  readonly stop: AbortController
  waiting: number
}

/** Flights of one kind. The work is told to stop only when nobody waits for it any more. */
export function createSingleFlight<T>(): SingleFlight<T> {
  const flights = new Map<string, Flight<T>>()
  return (key, signal, work) => {
    if (signal.aborted) return Promise.reject(new Error('cancelled', { cause: signal.reason }))
    let flight = flights.get(key)
    if (flight === undefined || flight.stop.signal.aborted) {
      const stop = new AbortController()
      const started: Flight<T> = { stop, waiting: 0, result: work(stop.signal).finally(() => land(key, started)) }
      flight = started
      flights.set(key, flight)
    }
    const aboard = flight
    aboard.waiting++
    const leave = (): void => {
      aboard.waiting--
      if (aboard.waiting === 0) aboard.stop.abort(signal.reason)
    }
    signal.addEventListener('abort', leave, { once: true })
    return aboard.result.finally(() => signal.removeEventListener('abort', leave))
  }

  function land(key: string, flight: Flight<T>): void {
    if (flights.get(key) === flight) flights.delete(key)
  }
}
