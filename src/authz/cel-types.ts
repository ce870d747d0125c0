import type { CelFunc } from '@bufbuild/cel'
import { once } from '../model/memo.ts'
import { functions } from './cel-cost.ts'

/** The type of a part of an expression as far as it is known before anything runs; `dyn` where it is not. */
export interface PartType {
  readonly name: string
  /** Type of the elements of a list or of the values of a map. */
  readonly of?: PartType
  /** Members of a variable: no others exist. */
  readonly members?: ReadonlyMap<string, PartType>
}

export const dyn: PartType = { name: 'dyn' }
export const bool: PartType = { name: 'bool' }
const text: PartType = { name: 'string' }
const texts: PartType = { name: 'list', of: text }
const textMap: PartType = { name: 'map', of: text }
const anything: PartType = { name: 'map', of: dyn }

const members = (of: Readonly<Record<string, PartType>>): PartType => ({
  ...anything,
  members: new Map(Object.entries(of)),
})

/** What an expression can see (DESIGN.md §3). */
export const variables: ReadonlyMap<string, PartType> = new Map([
  ['request', members({ method: text, scheme: text, host: text, path: text, query: textMap, headers: textMap })],
  ['identity', members({ subject: text, method: text, issuer: text, claims: anything, scopes: texts, groups: texts })],
  ['rule', members({ namespace: text, route: text, name: text })],
])

/** Names of types, as in `type(identity.claims.age) == int`. */
export const typeNames: ReadonlySet<string> = new Set(
  ['int', 'uint', 'double', 'bool', 'string', 'bytes', 'list', 'map', 'null_type', 'type'], // prettier-ignore
)

const numbers = new Set(['int', 'uint', 'double'])

/** False where no value of the one type ever equals one of the other: such a comparison is a slip. */
export function comparable(one: PartType, other: PartType): boolean {
  if (one.name === 'dyn' || other.name === 'dyn' || one.name === other.name) return true
  return numbers.has(one.name) && numbers.has(other.name)
}

/** The type of something that is of the one type or of the other. */
export function common(one: PartType | undefined, other: PartType): PartType {
  if (one === undefined) return other
  if (one.name !== other.name) return dyn
  if (one.of === undefined || other.of === undefined) return one.of === other.of ? other : { name: one.name, of: dyn }
  return { name: one.name, of: common(one.of, other.of) }
}

/** What is called, and with what. */
export interface Call {
  readonly name: string
  readonly target: PartType | undefined
  readonly args: readonly PartType[]
}

const byName = once((): ReadonlyMap<string, readonly CelFunc[]> => Map.groupBy(functions(), ({ name }) => name))

/** The type of a call's result, or why there is no such call. */
export function resultOf({ name, target, args }: Call): PartType | string {
  const known = byName().get(name)
  if (known === undefined) return `there is no function "${name}"`
  const styled = known.filter((func) => (func.target === undefined) === (target === undefined))
  const fitting = styled.filter(
    (func) =>
      (target === undefined || takes(func.target?.name, target)) &&
      func.arguments.length === args.length &&
      func.arguments.every((wanted, index) => takes(wanted.name, args[index] ?? dyn)),
  )
  const [first, ...others] = new Set(fitting.map(({ result }) => result.name))
  if (first === undefined) return misfit({ name, target, args })
  if (others.length > 0) return dyn
  // Lists that are joined keep their common element.
  const joined = first === 'list' ? args.reduce<PartType | undefined>(common, undefined) : undefined
  return joined?.name === 'list' ? joined : { name: first, ...(first === 'list' || first === 'map' ? { of: dyn } : {}) }
}

const takes = (wanted: string | undefined, given: PartType): boolean =>
  wanted === 'dyn' || given.name === 'dyn' || wanted === given.name

/** `"<" does not take (string, int)`. */
function misfit({ name, target, args }: Call): string {
  const given = args.map((arg) => arg.name).join(', ')
  const shown = name.replace(/^@/, '').replaceAll('_', '')
  return target === undefined
    ? `"${/^[@_!-]/.test(name) ? shown : name}" does not take (${given})`
    : `a ${target.name} has no ${name}(${given})`
}
