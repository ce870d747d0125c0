import { startCompany } from './company.ts'
import { figures } from './figures.ts'
import { probes } from './probes.ts'
import type { Effort } from './probes.ts'
import type { Results } from './results.ts'
import { takeSample } from './sample.ts'
import type { Pace, Sample } from './sample.ts'
import type { Stage } from './stage.ts'
import { subjects } from './subjects.ts'
import type { Make } from './subjects.ts'

/** What is measured, and who is told. */
export interface Plan {
  /** By name; what is none of them is a probe. */
  readonly subjects: ReadonlyMap<string, Make>
  /** Names of the subjects and probes. */
  readonly names: readonly string[]
  readonly effort: Effort
  readonly say: (line: string) => void
}

/** New processes for every sample, of which each subject has this many. */
export interface ThoroughPlan extends Plan {
  readonly samples: number
  readonly pace: Pace
}

/** Everything with a name that the pattern finds: what gates need first, in their order. A quick run has the ratios alone. */
export function choose(only: RegExp, quick: boolean): readonly string[] {
  const found = figures.filter(({ name, takes }) => [name, ...takes].some((one) => only.test(one)))
  const wanted = found.filter(({ unit }) => !quick || unit === '')
  const gated = wanted.flatMap(({ takes }) => takes)
  const others = quick ? [] : [...subjects.keys()].filter((name) => only.test(name))
  return [...new Set([...gated, ...others])]
}

/** Takes all samples, a shuffled round of everything after the other. Rejects with the name of what went wrong. */
export async function run(stage: Stage, plan: ThoroughPlan): Promise<Results> {
  const results = { samples: new Map<string, Sample[]>(), values: new Map<string, number[]>() }
  for (let round = 1; round <= plan.samples; round += 1) {
    for (const name of shuffled(plan.names)) {
      const make = plan.subjects.get(name)
      const where = `${round}/${plan.samples} `
      if (make === undefined) add(results.values, name, await probed(stage, name, plan, where))
      else add(results.samples, name, await sampled(stage, name, make, plan, where))
    }
  }
  return results
}

async function sampled(stage: Stage, name: string, make: Make, { pace, say }: ThoroughPlan, where: string) {
  const timed = timer()
  const company = startCompany(pace.warmUp)
  try {
    const sample = await named(name, takeSample(stage, make, pace, company))
    say(`${where}${name}: ${cost(sample)} (${timed()})`)
    return sample
  } finally {
    await company.close()
  }
}

/** Measures what is no subject, and says it. Rejects with its name. */
export async function probed(stage: Stage, name: string, { effort, say }: Plan, where = ''): Promise<number> {
  const timed = timer()
  const probe = probes.find((one) => one.name === name)
  if (probe === undefined) throw new Error(`${name}: there is no such subject`)
  const value = await named(name, probe.measure(stage, effort))
  say(`${where}${name}: ${value.toFixed(3)} (${timed()})`)
  return value
}

/** What rejects, with the name of what it is about. */
export async function named<T>(name: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (cause) {
    throw new Error(`${name}: ${(cause as Error).message}`, { cause })
  }
}

export const cost = ({ cpu, ratio }: Sample): string => `${cpu.toFixed(1)} µs, ${ratio.toFixed(2)} of its floor`

/** Tells the time since now. */
export function timer(): () => string {
  const begun = performance.now()
  return () => `${((performance.now() - begun) / 1000).toFixed(1)} s`
}

function add<T>(to: Map<string, T[]>, name: string, value: T): void {
  to.set(name, [...(to.get(name) ?? []), value])
}

function shuffled<T>(all: readonly T[]): readonly T[] {
  return all
    .map((one) => ({ one, by: Math.random() }))
    .sort((a, b) => a.by - b.by)
    .map(({ one }) => one)
}
