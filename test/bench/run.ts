import { startCompany } from './company.ts'
import type { Company } from './company.ts'
import { figures } from './figures.ts'
import { probes } from './probes.ts'
import type { Results } from './results.ts'
import { takeSample } from './sample.ts'
import type { Pace, Sample } from './sample.ts'
import type { Stage } from './stage.ts'
import { subjects } from './subjects.ts'
import type { Make } from './subjects.ts'

export interface Plan {
  /** By name; what is none of them is a probe. */
  readonly subjects: ReadonlyMap<string, Make>
  /** Names of the subjects and probes. */
  readonly names: readonly string[]
  readonly samples: number
  readonly pace: Pace
  /** Processes are kept for all subjects that can share them, in the order of the names; else new ones for every sample, shuffled. */
  readonly quick: boolean
  /** Milliseconds of the monotonic clock after which nothing new is begun. */
  readonly until: number
  readonly say: (line: string) => void
}

/** What takes longest comes last, and is what a run without time leaves out first. */
const longest = 'RSS after many tokens over 1000'

/** Everything with a name that the pattern finds: what gates need first, in their order. */
export function choose(only: RegExp, quick: boolean): readonly string[] {
  const wanted = figures.filter(({ name, takes }) => [name, ...takes].some((one) => only.test(one)))
  const gated = wanted.flatMap(({ takes }) => takes)
  const others = quick ? [] : [...subjects.keys()].filter((name) => only.test(name))
  const names = [...new Set([...gated, ...others])]
  return names.filter((name) => name !== longest).concat(names.filter((name) => name === longest))
}

/** Takes all samples, a round of every subject after the other. Rejects with the name of what went wrong. */
export async function run(stage: Stage, plan: Plan): Promise<Results> {
  const results = { samples: new Map<string, Sample[]>(), values: new Map<string, number[]>() }
  const shared = plan.quick ? startCompany(plan.pace.warmUp) : undefined
  try {
    for (let round = 1; round <= plan.samples; round += 1) {
      for (const name of plan.quick ? plan.names : shuffled(plan.names)) {
        if (performance.now() > plan.until) {
          plan.say(`left out for want of time: ${name}`)
          continue
        }
        const begun = performance.now()
        const told = await measure(stage, name, plan, shared, results).catch((cause: unknown) => {
          throw new Error(`${name}: ${(cause as Error).message}`, { cause })
        })
        const seconds = ((performance.now() - begun) / 1000).toFixed(1)
        plan.say(`${round}/${plan.samples} ${name}: ${told} (${seconds} s)`)
      }
    }
  } finally {
    await shared?.close()
  }
  return results
}

async function measure(
  stage: Stage,
  name: string,
  { pace, subjects: known }: Plan,
  shared: Company | undefined,
  results: { readonly samples: Map<string, Sample[]>; readonly values: Map<string, number[]> },
): Promise<string> {
  const make = known.get(name)
  if (make === undefined) {
    const value = await probes.find((one) => one.name === name)?.measure(stage)
    if (value === undefined) throw new Error('there is no such subject')
    add(results.values, name, value)
    return value.toFixed(3)
  }
  const company = shared ?? startCompany(pace.warmUp)
  try {
    const sample = await takeSample(stage, make, pace, company)
    add(results.samples, name, sample)
    return `${sample.cpu.toFixed(1)} µs, ${sample.ratio.toFixed(2)} of its floor`
  } finally {
    if (shared === undefined) await company.close()
  }
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
