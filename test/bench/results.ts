import type { Sample } from './sample.ts'

/** Everything that a run measured, by name; a subject or a probe that was left out has no entry. */
export interface Results {
  readonly samples: ReadonlyMap<string, readonly Sample[]>
  readonly values: ReadonlyMap<string, readonly number[]>
}

/** The middle one, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length / 2
  const [low = Number.NaN, high = low] = sorted.slice(Math.ceil(half) - 1, Math.floor(half) + 1)
  return (low + high) / 2
}
