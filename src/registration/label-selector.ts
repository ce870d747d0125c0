import { failed, fault, ok } from '../model/result.ts'
import type { Finding, Result } from '../model/result.ts'

type Labels = Readonly<Record<string, string>>

/** True where an object with these labels is selected. */
export type LabelSelector = (labels: Labels) => boolean

const key = String.raw`(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?`
const value = String.raw`(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?`

const forms: readonly (readonly [RegExp, (found: readonly string[]) => LabelSelector])[] = [
  [
    new RegExp(`^(${key})\\s*==?\\s*(${value})$`),
    ([, name = '', wanted]) =>
      (labels) =>
        labels[name] === wanted,
  ],
  [
    new RegExp(`^(${key})\\s*!=\\s*(${value})$`),
    ([, name = '', unwanted]) =>
      (labels) =>
        labels[name] !== unwanted,
  ],
  [
    new RegExp(`^(${key})$`),
    ([, name = '']) =>
      (labels) =>
        labels[name] !== undefined,
  ],
  [
    new RegExp(`^!\\s*(${key})$`),
    ([, name = '']) =>
      (labels) =>
        labels[name] === undefined,
  ],
  [
    new RegExp(`^(${key})\\s+(in|notin)\\s*\\(\\s*(${value}(?:\\s*,\\s*${value})*)\\s*\\)$`),
    ([, name = '', how, list = '']) => {
      const values = new Set(list.split(',').map((one) => one.trim()))
      return (labels) => {
        const given = labels[name]
        return how === 'in' ? given !== undefined && values.has(given) : given === undefined || !values.has(given)
      }
    },
  ],
]

/**
 * Reads a label selector as kubectl's `-l` takes it: `team=shop,stage in (prod, test),!legacy`. Every part must hold; `*` takes
 * everything, and nothing at all is a mistake rather than everything.
 */
export function parseLabelSelector(text: string): Result<LabelSelector> {
  if (text.trim() === '*') return ok(() => true)
  const parts = text.split(/,(?![^(]*\))/).map((part) => part.trim())
  const read = parts.map(one)
  const faults: Finding[] = read.flatMap((part, index) =>
    part === undefined
      ? [
          fault(
            'bad-value',
            [],
            `"${parts[index]?.slice(0, 100)}" is no part of a label selector`,
            'write key=value, key in (a, b), key or !key',
          ),
        ]
      : [],
  )
  if (faults.length > 0) return failed(faults)
  return ok((labels) => read.every((part) => part?.(labels) === true))
}

function one(part: string): LabelSelector | undefined {
  for (const [form, make] of forms) {
    const found = form.exec(part)
    if (found !== null) return make(found)
  }
  return undefined
}
