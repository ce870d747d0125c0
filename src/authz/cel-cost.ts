import type { CelFunc, CelInput, CelList } from '@bufbuild/cel'
import { once } from '../model/memo.ts'
import { library } from './cel-library.ts'
import type { Regex } from './regex.ts'

/*
 * What keeps an expression from costing more than a request may (CVE-2025-25208). CEL has no unbounded loop, but `map` in
 * `map` over a stranger's list, and strings that double at each step, grow beyond any size. So every function of the
 * environment pays for what it reads before it runs, and every loop pays for its steps before it starts.
 */

/** Units that one evaluation may use; one is about a tenth of a microsecond. */
export const costLimit = 50_000

/** Name of the function that `cel-program.ts` puts around the range of every loop. No source text can write an `@`. */
export const rangeFunction = '@range'

/** Patterns of one expression, by their text: `matches` takes literals only (`cel-check.ts`), compiled when the policy is loaded. */
export type Patterns = ReadonlyMap<string, Regex>

/** The running evaluation. One is enough: CEL is synchronous, and no evaluation starts within another. */
const meter: { left: number; patterns: Patterns } = { left: 0, patterns: new Map() }

/** Runs an evaluation under the limit; undefined where it needs more. */
export function withinCost<T>(patterns: Patterns, evaluate: () => T): { readonly value: T } | undefined {
  const { stackTraceLimit } = Error
  meter.left = costLimit
  meter.patterns = patterns
  try {
    // An expression may meet an error at each step of a loop, and a stack trace takes longer than the step.
    Error.stackTraceLimit = 0
    const value = evaluate()
    return meter.left < 0 ? undefined : { value }
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** Takes units off; an error in the expression where none are left. */
export function charge(units: number): void {
  meter.left -= units
  if (meter.left < 0) throw new Error('costs too much')
}

const longestNumber = 256
/** Functions that look into what lists and maps hold, to any depth. */
const deep = new Set(['_==_', '_!=_', '@in'])
/** Conversions from text, whose cost grows faster than the text. */
const conversions = new Set(['int', 'uint', 'double', 'timestamp', 'duration'])
/** A time zone makes the calendar methods of timestamps build a formatter. */
const calendarCost = 2_000

function weigh(value: unknown, inDepth: boolean): void {
  const { isCelList, isCelMap } = library()
  if (typeof value === 'string' || value instanceof Uint8Array) return charge(1 + (value.length >> 4))
  if (isCelList(value)) {
    charge(1 + (value.size >> 5))
    if (inDepth) for (const element of value) weigh(element, true)
  } else if (isCelMap(value)) {
    charge(1 + (value.size >> 5))
    if (inDepth) for (const element of value.values()) weigh(element, true)
  } else charge(1)
}

/** The same function, paying first. Same name and types, so the environment takes it in place of its own. */
function paying(func: CelFunc): CelFunc {
  const { celFunc, celMethod, isCelError } = library()
  const inDepth = deep.has(func.name)
  const run = (target: unknown, given: readonly unknown[]): never => {
    charge(func.name.startsWith('get') && given.length > 0 ? calendarCost : 1)
    if (target !== undefined) weigh(target, inDepth)
    for (const one of given) {
      if (conversions.has(func.name) && typeof one === 'string' && one.length > longestNumber)
        throw new Error('too long')
      weigh(one, inDepth)
    }
    const result = func.call(0, target as Parameters<CelFunc['call']>[1], given as Parameters<CelFunc['call']>[2])
    if (isCelError(result)) throw result
    return result as never
  }
  return ending(
    func.target === undefined
      ? celFunc(func.name, func.arguments, func.result, (...given: readonly unknown[]) => run(undefined, given))
      : celMethod(func.name, func.target, func.arguments, func.result, function (...given: readonly unknown[]) {
          return run(this, given)
        }),
  )
}

/**
 * The same function, ending the whole evaluation once it may cost no more. An error alone would not: `||` and `exists` pass
 * over it, and a loop goes on.
 */
function ending(func: CelFunc): CelFunc {
  const call: CelFunc['call'] = (id, target, args) => {
    const result = func.call(id, target, args)
    if (meter.left < 0) throw new Error('costs too much')
    return result
  }
  return Object.create(func, { call: { value: call } }) as CelFunc
}

function matches(text: string, pattern: string): boolean {
  const regex = meter.patterns.get(pattern)
  if (regex === undefined) throw new Error('unknown pattern')
  if (text.length > regex.limit) throw new Error('too long')
  charge(1 + (text.length >> 2))
  return regex(text)
}

/** Elements of the lists that `joined` made, so that joining them again copies an array and walks through nothing. */
const elements = new WeakMap<CelList, readonly CelInput[]>()

/** Concatenation that copies: the library's own keeps a tree, which a long `map` makes thousands of levels deep. */
function joined(one: CelList, other: CelList): CelList {
  const all = elementsOf(one).concat(elementsOf(other))
  const result = library().celList(all)
  elements.set(result, all)
  return result
}

const elementsOf = (list: CelList): readonly CelInput[] => elements.get(list) ?? ([...list] as readonly CelInput[])

/** Charges a loop for all of its steps, each at the weight of its body. */
function range(over: unknown, weight: bigint): CelInput {
  const { isCelList, isCelMap } = library()
  const size = isCelList(over) || isCelMap(over) ? over.size : 0
  charge(1 + size * Number(weight))
  return over as CelInput
}

/** The functions of CEL's standard library, each paying its way, and what the loops are wrapped in. */
export const functions = once((): readonly CelFunc[] => {
  const { CelScalar, celEnv, celFunc, celMethod, listType } = library()
  const { BOOL, DYN, INT, STRING } = CelScalar
  const list = listType(DYN)
  return [
    ...[...celEnv().funcs].map(paying),
    paying(celFunc('_+_', [list, list], list, joined)),
    ending(
      celMethod('matches', STRING, [STRING], BOOL, function (pattern) {
        return matches(this, pattern)
      }),
    ),
    ending(celFunc(rangeFunction, [DYN, INT], DYN, range)),
  ]
})
