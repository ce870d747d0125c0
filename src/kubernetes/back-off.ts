/** How long to wait after failures in a row: doubling, with jitter so that replicas do not come back together. */
export interface BackOff {
  readonly first: number
  readonly most: number
}

/** Milliseconds for the n-th failure in a row (from 1), between half of the step and all of it. */
export function backOff({ first, most }: BackOff, failures: number, random: () => number): number {
  const step = Math.min(most, first * 2 ** Math.min(failures - 1, 20))
  return step / 2 + (step / 2) * random()
}
