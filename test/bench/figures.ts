import { median } from './results.ts'
import type { Results } from './results.ts'

/** A figure with a gate: what it is made of, and where it has to be. */
export interface Figure {
  readonly name: string
  readonly unit: '' | 'MiB' | 'ms'
  readonly gate: number
  readonly aim: number
  readonly better: 'lower' | 'higher'
  /** Names of the subjects or the probe that it takes. */
  readonly takes: readonly string[]
  readonly values: (results: Results) => readonly number[]
}

export type Verdict = 'aim reached' | 'gate held' | 'missed' | 'not measured'

/** A figure as it came out. */
export interface Outcome {
  readonly name: string
  readonly unit: Figure['unit']
  readonly gate: number
  readonly aim: number
  readonly median: number
  readonly least: number
  readonly most: number
  readonly samples: number
  readonly verdict: Verdict
}

type Limits = Pick<Figure, 'gate' | 'aim'> & Partial<Pick<Figure, 'unit' | 'better'>>

const figure = (
  name: string,
  takes: readonly string[],
  values: Figure['values'],
  { unit = '', better = 'lower', ...limits }: Limits,
): Figure => ({ name, takes, values, unit, better, ...limits })

/** What a check costs against the floor of the same sample. */
const cost = (name: string, subject: string, limits: Limits): Figure =>
  figure(name, [subject], (results) => ratios(results, subject), limits)

/** What one subject costs against another of the same round, each first held against its floor. */
const quotient = (name: string, over: string, under: string, limits: Limits): Figure =>
  figure(
    name,
    [over, under],
    (results) => {
      const below = ratios(results, under)
      return ratios(results, over).flatMap((ratio, round) => {
        const by = below[round]
        return by === undefined ? [] : [ratio / by]
      })
    },
    limits,
  )

const probed = (probe: string, limits: Limits): Figure =>
  figure(probe, [probe], ({ values }) => values.get(probe) ?? [], limits)

const ratios = ({ samples }: Results, subject: string): readonly number[] =>
  (samples.get(subject) ?? []).map(({ ratio }) => ratio)

const usual = { gate: 2.1, aim: 1.75 }
const tenRules = 'grpc matching, 10 rules on one host'
const manyRules = 'grpc matching, 10000 rules on one host'

/** In the order in which they are shown. */
export const figures: readonly Figure[] = [
  cost('gRPC full path, JWT hit, 4 x 25, ÷ e2', 'grpc jwt 4x25', usual),
  cost('the same over 1 x 1', 'grpc jwt 1x1', { gate: 1.6, aim: 1.4 }),
  cost('API key ÷ e2', 'grpc api key', usual),
  cost('Basic hit ÷ e2', 'grpc basic', usual),
  cost('guest ÷ e2', 'grpc guest', usual),
  quotient('proto-loader ÷ ours, same work', 'grpc jwt, proto-loader', 'grpc jwt 4x25', {
    gate: 1.3,
    aim: 1.7,
    better: 'higher',
  }),
  cost('HTTP keyed full path ÷ node:http', 'http keyed', { gate: 1.8, aim: 1.5 }),
  quotient('matching, 10,000 rules on one host ÷ 10', manyRules, tenRules, { gate: 1.5, aim: 1.15 }),
  probed('identity hit ÷ jose RS256 verification', { gate: 1 / 20, aim: 1 / 50 }),
  cost('JWT cold (each token once, RS256) ÷ e2', 'grpc jwt cold', { gate: 6, aim: 4 }),
  cost('the same with ES256', 'grpc jwt cold, ES256', { gate: 6, aim: 4 }),
  probed('RSS after many tokens over 1000', { gate: 64, aim: 32, unit: 'MiB' }),
  probed('start to ready, 1000 policies ÷ empty node', { gate: 12, aim: 6 }),
  probed('event-loop delay p99, wrong passwords', { gate: 10, aim: 3, unit: 'ms' }),
]

/** Works a figure out from what was measured. */
export function outcome(of: Figure, results: Results): Outcome {
  const { name, unit, gate, aim } = of
  const values = of.values(results)
  const middle = median(values)
  const spread = { median: middle, least: Math.min(...values), most: Math.max(...values), samples: values.length }
  return { name, unit, gate, aim, ...spread, verdict: verdict(of, middle) }
}

function verdict({ gate, aim, better }: Figure, value: number): Verdict {
  if (Number.isNaN(value)) return 'not measured'
  const within = (limit: number): boolean => (better === 'lower' ? value <= limit : value >= limit)
  return within(aim) ? 'aim reached' : within(gate) ? 'gate held' : 'missed'
}
