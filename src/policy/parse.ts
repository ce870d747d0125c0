import { closest, distance } from 'fastest-levenshtein'
import { z } from 'zod'
import { fault, failed, ok } from '../model/result.ts'
import type { Finding, Path, Result } from '../model/result.ts'

type Issue = z.core.$ZodIssue

/** Validates a stranger's object; every complaint at once, each with its path, and a "did you mean" for unknown keys. */
export function parse<T>(schema: z.ZodType<T>, object: unknown): Result<T> {
  const read = schema.safeParse(object, { reportInput: true })
  if (read.success) return ok(read.data)
  const known = keysOf(schema)
  const all = withoutEchoes(read.error.issues).flatMap((issue) => findings(issue, known))
  const more = all.length > mostFindings ? [fault('too-large', [], 'there are more mistakes than these')] : []
  return failed([...all.slice(0, mostFindings), ...more])
}

/** A rule of ours about the keys of an object says nothing new where one of them is misspelt: `basik` is no method, so there is none. */
function withoutEchoes(issues: readonly Issue[]): readonly Issue[] {
  const misspelt = new Set(issues.flatMap((issue) => (issue.code === 'unrecognized_keys' ? placeOf(issue) : [])))
  return issues.filter((issue) => issue.code !== 'custom' || !misspelt.has(placeOf(issue)))
}

const pathOf = ({ path }: Issue): Path => path.map((step) => (typeof step === 'symbol' ? String(step) : step))
const placeOf = (issue: Issue): string => JSON.stringify(pathOf(issue))

/** What is told of one object: whoever mends so many will ask again. */
const mostFindings = 100

function findings(issue: Issue, known: (path: Path) => readonly string[]): readonly Finding[] {
  const path = pathOf(issue)
  if (issue.code === 'unrecognized_keys')
    return issue.keys.slice(0, mostFindings + 1).map((key) => unknownKey(key, path, known(path)))
  if (issue.code === 'invalid_value') {
    const values = issue.values.map(String)
    const given = typeof issue.input === 'string' ? issue.input : ''
    return [fault('bad-value', path, `must be ${oneOf(values)}`, suggestion(given, values))]
  }
  if (issue.code === 'invalid_type') {
    return [fault('bad-value', path, issue.input === undefined ? 'is required' : `must be ${article(issue.expected)}`)]
  }
  if (issue.code === 'too_small' || issue.code === 'too_big') {
    const [bound, limit] = issue.code === 'too_small' ? ['least', issue.minimum] : ['most', issue.maximum]
    return [
      fault(
        'bad-value',
        path,
        `must ${quantity[issue.origin] ?? 'be'} at ${bound} ${limit}${unit(issue.origin, Number(limit))}`,
      ),
    ]
  }
  // All others carry a message of ours, or one that says it all.
  return [fault('bad-value', path, plain(issue.message))]
}

const quantity: Readonly<Record<string, string>> = { array: 'have', string: 'have', set: 'have', map: 'have' }

const units: Readonly<Record<string, readonly [one: string, more: string]>> = {
  string: [' character', ' characters'],
  array: [' entry', ' entries'],
}
const unit = (origin: string, count: number): string => units[origin]?.[count === 1 ? 0 : 1] ?? ''

const unknownKey = (key: string, path: Path, known: readonly string[]): Finding =>
  fault('unknown-key', [...path, key], `there is no key "${key}" here`, suggestion(key, known))

const plain = (message: string): string =>
  message.replace(/^Invalid string: must match pattern .*$/, 'is not of its form')

const article = (type: string): string => (/^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`)

const oneOf = (values: readonly string[]): string =>
  values.length === 1 ? `"${values[0]}"` : `one of ${values.map((value) => `"${value}"`).join(', ')}`

/** `did you mean "x"?`, where something is close enough to be meant, else the list of what there is. */
export function suggestion(text: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined
  const given = text.slice(0, 300) // no name is longer, and looking for a near one takes time by length
  const near = closest(
    given.toLowerCase(),
    [...known].map((one) => one.toLowerCase()),
  )
  const original = known.find((one) => one.toLowerCase() === near)
  // A swapped pair of letters is two edits: what people mistype most.
  const limit = Math.max(given.length > 2 ? 2 : 1, Math.floor(given.length / 3))
  const close = given !== '' && distance(given.toLowerCase(), near) <= Math.min(limit, near.length - 1)
  return close ? `did you mean "${original}"?` : known.length <= 16 ? `there is ${known.join(', ')}` : undefined
}

interface Shape {
  readonly properties?: Readonly<Record<string, Shape>>
  readonly items?: Shape
  readonly anyOf?: readonly Shape[]
  readonly allOf?: readonly Shape[]
  readonly oneOf?: readonly Shape[]
}

/** The keys that a schema knows at a path, read off its own JSON schema. */
function keysOf(schema: z.ZodType): (path: Path) => readonly string[] {
  let root: Shape | undefined
  return (path) => {
    root ??= z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Shape
    const here = path.reduce<readonly Shape[]>((shapes, step) => shapes.flatMap((shape) => inside(shape, step)), [root])
    return [...new Set(here.flatMap(flat).flatMap((shape) => Object.keys(shape.properties ?? {})))]
  }
}

const flat = (shape: Shape): readonly Shape[] => [
  shape,
  ...[...(shape.anyOf ?? []), ...(shape.allOf ?? []), ...(shape.oneOf ?? [])].flatMap(flat),
]

const inside = (shape: Shape, step: string | number): readonly Shape[] =>
  flat(shape).flatMap((one) => (typeof step === 'number' ? (one.items ?? []) : (one.properties?.[step] ?? [])))
