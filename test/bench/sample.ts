import type { Company } from './company.ts'
import { median } from './results.ts'
import type { Stage } from './stage.ts'
import type { Reference, Subject } from './subject.ts'
import { reference } from './subjects.ts'
import type { Make } from './subjects.ts'
import type { Limits, Measured } from './traffic.ts'

/** How long the parts of a sample are. */
export interface Pace {
  readonly warmUp: Limits
  /** Slices of the subject, each between two of the floor. */
  readonly turns: number
  readonly slice: Limits
  /** Milliseconds of an open loop behind them. */
  readonly openMillis: number
}

/** One subject, with the floor of its protocol directly before and after each slice; middle values of all turns. */
export interface Sample {
  /** CPU microseconds for each check. */
  readonly cpu: number
  readonly floor: number
  readonly ratio: number
  /** Share by which the floor moved between its lowest and its highest slice: how calm the machine was. */
  readonly drift: number
  /** The turn with the middle cost. */
  readonly closed: Measured
  readonly open: Measured | undefined
}

/** What costs are held against: what Node.js itself takes for a constant answer. */
export const floorOf = ({ traffic }: Subject): Reference => (traffic.protocol === 'http' ? 'http' : 'e2')

/** Share of a core at which an open loop is to load the server. */
const openLoad = 0.55

/** A slice of the subject, with the floor directly before and after it. */
export interface Turn {
  readonly before: Measured
  readonly own: Measured
  readonly after: Measured
}

/** Middle values of turns, of which there is one at least. */
export function sampleOf(turns: readonly Turn[], open?: Measured): Sample {
  const floors = turns.flatMap(({ before, after }) => [before.cpu, after.cpu])
  const ratios = turns.map(({ before, own, after }) => (2 * own.cpu) / (before.cpu + after.cpu))
  const cpu = median(turns.map(({ own }) => own.cpu))
  const [middle] = turns.toSorted((a, b) => Math.abs(a.own.cpu - cpu) - Math.abs(b.own.cpu - cpu))
  if (middle === undefined) throw new Error('a sample has one turn at least')
  const drift = Math.max(...floors) / Math.min(...floors) - 1
  return { cpu, floor: median(floors), ratio: median(ratios), drift, closed: middle.own, open }
}

/** Takes one sample. Rejects on a wrong answer, and when a server does not live through it. */
export async function takeSample(stage: Stage, make: Make, pace: Pace, company: Company): Promise<Sample> {
  const subject = make(stage)
  const floor = await company.ready(reference(floorOf(subject), subject.shape)(stage))
  const own = await company.ready(subject)
  const turns: Turn[] = []
  let before = await floor.slice(pace.slice)
  for (let turn = 0; turn < pace.turns; turn += 1) {
    const between = await own.slice(pace.slice)
    const after = await floor.slice(pace.slice)
    turns.push({ before, own: between, after })
    before = after
  }
  const rate = Math.floor((openLoad * 1e6) / sampleOf(turns).cpu)
  return sampleOf(turns, await own.slice({ millis: pace.openMillis }, { ...subject.shape, rate }))
}
