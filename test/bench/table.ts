import type { Outcome } from './figures.ts'
import { median } from './results.ts'
import type { Results } from './results.ts'
import type { Sample } from './sample.ts'

/** Two tables for people: the figures with a gate, and what every subject costs. */
export function tables(outcomes: readonly Outcome[], results: Results): string {
  const subjects = [...results.samples].map(([name, samples]) => subjectRow(name, samples))
  return [
    table(['figure', 'gate', 'aim', 'measured', 'range', 'samples', 'verdict'], outcomes.map(figureRow)),
    table(
      [
        'subject',
        'µs',
        '÷ floor',
        'range',
        'drift',
        'checks/s',
        'used',
        'p50 ms',
        'p99',
        'open: used',
        'p50 ms',
        'p99',
        'p99.9',
      ],
      subjects,
    ),
  ].join('\n\n')
}

function figureRow({
  name,
  unit,
  gate,
  aim,
  median: middle,
  least,
  most,
  samples,
  verdict,
}: Outcome): readonly string[] {
  const shown = unit === '' ? name : `${name}, ${unit}`
  if (samples === 0) return [shown, number(gate), number(aim), '-', '-', '0', verdict]
  return [
    shown,
    number(gate),
    number(aim),
    number(middle),
    `${number(least)} - ${number(most)}`,
    String(samples),
    verdict,
  ]
}

function subjectRow(name: string, samples: readonly Sample[]): readonly string[] {
  const of = (value: (sample: Sample) => number): number => median(samples.map(value))
  const ratios = samples.map(({ ratio }) => ratio)
  const open = samples.flatMap((sample) => sample.open ?? [])
  const late = (value: (one: (typeof open)[number]) => number): string =>
    open.length === 0 ? '' : number(median(open.map(value)))
  return [
    name,
    of(({ cpu }) => cpu).toFixed(1),
    number(median(ratios)),
    `${number(Math.min(...ratios))} - ${number(Math.max(...ratios))}`,
    number(of(({ drift }) => drift)),
    of(({ closed }) => closed.requests / closed.seconds).toFixed(0),
    number(of(({ closed }) => closed.utilisation)),
    number(of(({ closed }) => closed.latency.p50)),
    number(of(({ closed }) => closed.latency.p99)),
    late(({ utilisation }) => utilisation),
    late(({ latency }) => latency.p50),
    late(({ latency }) => latency.p99),
    late(({ latency }) => latency.p999),
  ]
}

const number = (value: number): string => (Math.abs(value) < 0.1 ? value.toFixed(3) : value.toFixed(2))

/** Columns as wide as they have to be; the first to the left, the others to the right. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
  return all.map(line).join('\n')
}
