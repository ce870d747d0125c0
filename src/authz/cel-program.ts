import type { plan } from '@bufbuild/cel'
import { LRUCache } from 'lru-cache'
import { once } from '../model/memo.ts'
import { failed, fault, ok } from '../model/result.ts'
import type { Result } from '../model/result.ts'
import { checkCel } from './cel-check.ts'
import type { CelCheck, CelFault } from './cel-check.ts'
import { functions, withinCost } from './cel-cost.ts'
import { library } from './cel-library.ts'
import { weighLoops } from './cel-loops.ts'
import { noReads, readsOf } from './cel-reads.ts'
import type { HeaderReads } from './cel-reads.ts'
import { bindings, plain, textMember } from './cel-values.ts'
import type { Subject } from './condition.ts'

/*
 * CEL by @bufbuild/cel, because it passes the conformance tests of the specification, its functions can be replaced (so that
 * each can pay for what it reads: cel-cost.ts) and its syntax tree is public (so that slips are found at load: cel-check.ts).
 * @marcbachmann/cel-js is faster and checks types itself, but its `matches` is JavaScript's backtracking RegExp and cannot be
 * replaced, and nothing bounds what a loop may cost.
 */

/** A value as plain data (an int is a bigint), or that there is none. The cause never holds what a client sent. */
export type CelOutcome =
  { readonly kind: 'value'; readonly value: unknown } | { readonly kind: 'error'; readonly cause: Error }

/** A compiled expression. Never throws. */
export interface CelProgram {
  (subject: Subject): CelOutcome
  readonly reads: HeaderReads
}

/** What an expression is for: which types of result it may have. */
export type CelPurpose = 'condition' | 'value'

export const maxCelLength = 4096

const environment = once(() => library().celEnv({ funcs: [...functions()] }))

/** A thousand policies say `identity.subject`: what was compiled lately is not compiled again. A program keeps nothing of a request. */
const lately = new LRUCache<string, Result<CelProgram>>({ max: 512 })

/** Compiles an expression, or tells everything that is wrong with it, with its place in the text. */
export function compileCel(source: string, purpose: CelPurpose): Result<CelProgram> {
  if (source.length > maxCelLength) {
    return failed([fault('bad-cel', [], `the expression is longer than ${maxCelLength} characters`)])
  }
  const key = `${purpose} ${source}`
  const compiled = lately.get(key) ?? memberAlone(source, purpose) ?? compileAnew(source, purpose)
  lately.set(key, compiled)
  return compiled
}

/** `identity.subject` and its like are all the CEL that most policies have, and need neither a parser nor the library. */
function memberAlone(source: string, purpose: CelPurpose): Result<CelProgram> | undefined {
  const get = textMember(source)
  if (get === undefined || purpose === 'condition') return undefined
  const run = (subject: Subject): CelOutcome => {
    const value = get(subject)
    return value === undefined ? error(new Error('no such key')) : { kind: 'value', value }
  }
  return ok(Object.assign(run, { reads: { ...noReads, scheme: source === 'request.scheme' } }))
}

function compileAnew(source: string, purpose: CelPurpose): Result<CelProgram> {
  const faults = (found: readonly CelFault[]): Result<never> =>
    failed(found.map(({ offset, say, mend }) => fault('bad-cel', [], `${place(source, offset)}: ${say}`, mend)))
  const { parse, plan } = library()
  try {
    const { expr, sourceInfo } = parse(source)
    const check = checkCel(expr, ({ id }) => sourceInfo?.positions[String(id)] ?? 0)
    const found = [...check.faults, ...resultFault(check, purpose)]
    if (found.length > 0) return faults(found)
    weighLoops(expr)
    return ok(Object.assign(program(plan(environment(), expr), check), { reads: readsOf(expr) }))
  } catch (cause) {
    return faults([syntaxFault(cause)])
  }
}

function resultFault({ faults, type }: CelCheck, purpose: CelPurpose): readonly CelFault[] {
  if (faults.length > 0) return []
  const fits = type.name === 'dyn' || (purpose === 'condition' ? type.name === 'bool' : headerTypes.has(type.name))
  if (fits) return []
  return purpose === 'condition'
    ? [{ offset: 0, say: `the result is a ${type.name}, not a bool` }]
    : [{ offset: 0, say: `a ${type.name} cannot be a header`, mend: 'put string(…) around it' }]
}

const headerTypes = new Set(['string', 'bool', 'int', 'uint', 'double', 'null_type', 'list', 'map'])

/** What the parser says; a stack that overflowed on nesting is one more way to be wrong. */
function syntaxFault(cause: unknown): CelFault {
  if (!(cause instanceof Error)) return { offset: 0, say: 'the expression cannot be used' }
  if (cause instanceof RangeError) return { offset: 0, say: 'the expression is nested too deep' }
  const location =
    'location' in cause ? (cause.location as { readonly start?: { readonly offset?: unknown } }) : undefined
  const offset = location?.start?.offset
  return { offset: typeof offset === 'number' ? offset : 0, say: cause.message.replace(/^<input>:\d+:\d+: /, '') }
}

/** `line 1, column 14`. */
function place(source: string, offset: number): string {
  const before = source.slice(0, offset).split('\n')
  return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`
}

function program(run: ReturnType<typeof plan>, { uses, patterns }: CelCheck): (subject: Subject) => CelOutcome {
  const { isCelError } = library()
  return (subject) => {
    try {
      const spent = withinCost(patterns, () => {
        const result = run(bindings(subject, uses))
        return isCelError(result) ? error(result) : ({ kind: 'value', value: plain(result) } as const)
      })
      return spent?.value ?? error('costs too much')
    } catch (cause) {
      return error(cause)
    }
  }
}

/** An error's kind only: the library's messages quote values, and those are a client's. */
function error(cause: unknown): CelOutcome {
  const message = cause instanceof Error ? cause.message : String(cause)
  const kind = knownErrors.find(([form]) => form.test(message))
  return { kind: 'error', cause: new Error(`CEL: ${kind?.[1] ?? 'the expression failed'}`) }
}

const knownErrors: readonly (readonly [RegExp, string])[] = [
  [/^costs too much/, 'costs too much'],
  [/^too long/, 'a text is too long for what is done with it'],
  [/^(field not found|unresolved attribute|no such key|index \d+ out of|index out of)/, 'a member is missing'],
  [/^(found no matching overload|type mismatch)/, 'a value is of the wrong type'],
  [/^no header/, 'the result cannot be a header'],
]
