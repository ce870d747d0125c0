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
  /** Milliseconds of an open loop behind them; none where 0. */
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

/** Takes one sample. Rejects on a wrong answer, and when a server does not live through it. */
export async function takeSample(stage: Stage, make: Make, pace: Pace, company: Company): Promise<Sample> {
  const subject = make(stage)
  const floor = await company.ready(reference(floorOf(subject), subject.shape)(stage))
  const own = await company.ready(subject)
  const floors = [await floor.slice(pace.slice)]
  const turns: Measured[] = []
  for (let turn = 0; turn < pace.turns; turn += 1) {
    turns.push(await own.slice(pace.slice))
    floors.push(await floor.slice(pace.slice))
  }
  const costs = floors.map(({ cpu }) => cpu)
  const ratios = turns.map(({ cpu }, turn) => (2 * cpu) / ((costs[turn] ?? 0) + (costs[turn + 1] ?? 0)))
  const cpu = median(turns.map((one) => one.cpu))
  const rate = Math.floor((openLoad * 1e6) / cpu)
  const open =
    pace.openMillis > 0 ? await own.slice({ millis: pace.openMillis }, { ...subject.shape, rate }) : undefined
  const [closed] = turns.toSorted((a, b) => Math.abs(a.cpu - cpu) - Math.abs(b.cpu - cpu))
  if (closed === undefined) throw new Error('a sample has one turn at least')
  const drift = Math.max(...costs) / Math.min(...costs) - 1
  return { cpu, floor: median(costs), ratio: median(ratios), drift, closed, open }
}
