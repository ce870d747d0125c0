import type { parse } from '@bufbuild/cel'
import { bool, common, comparable, dyn, resultOf, typeNames, variables } from './cel-types.ts'
import type { PartType } from './cel-types.ts'
import { compileRegex } from './regex.ts'
import type { Regex } from './regex.ts'

/** A part of a parsed expression. */
export type Expr = ReturnType<typeof parse>['expr']

/** The contents of parts of one kind. */
type Kind<Case extends string> = Extract<Expr['exprKind'], { case: Case }>['value']

/** What is wrong with an expression, and where in its text. */
export interface CelFault {
  readonly offset: number
  readonly say: string
  readonly mend?: string
}

/** What one look through an expression tells. */
export interface CelCheck {
  readonly faults: readonly CelFault[]
  readonly type: PartType
  /** `request.headers` and so on: what has to be at hand when it runs. */
  readonly uses: ReadonlySet<string>
  readonly patterns: ReadonlyMap<string, Regex>
}

const limits = { nodes: 500, depth: 100, loops: 2 } as const

interface Walk {
  readonly faults: CelFault[]
  readonly uses: Set<string>
  readonly patterns: Map<string, Regex>
  readonly offset: (expr: Expr) => number
  nodes: number
}

interface Place {
  readonly scope: ReadonlyMap<string, PartType>
  readonly depth: number
  readonly loops: number
}

/** Looks through an expression before it is taken: unknown names, types that can never fit, size. */
export function checkCel(expr: Expr, offset: (expr: Expr) => number): CelCheck {
  const walk: Walk = { faults: [], uses: new Set(), patterns: new Map(), offset, nodes: 0 }
  const type = typeOf(expr, { scope: variables, depth: 0, loops: 0 }, walk)
  const { faults, uses, patterns } = walk
  return { faults: faults.slice(0, 8), type, uses, patterns }
}

function complain(walk: Walk, at: Expr, say: string, mend?: string): PartType {
  walk.faults.push({ offset: walk.offset(at), say, ...(mend === undefined ? {} : { mend }) })
  return dyn
}

function typeOf(expr: Expr | undefined, outer: Place, walk: Walk): PartType {
  if (expr === undefined || walk.nodes >= limits.nodes) return dyn
  walk.nodes += 1
  if (walk.nodes === limits.nodes) return complain(walk, expr, `the expression has more than ${limits.nodes} parts`)
  if (outer.depth > limits.depth) {
    walk.nodes = limits.nodes // enough is known: the rest need not be looked at
    return complain(walk, expr, `the expression is nested deeper than ${limits.depth}`)
  }
  return part(expr, { ...outer, depth: outer.depth + 1 }, walk)
}

function part(expr: Expr, place: Place, walk: Walk): PartType {
  const { exprKind } = expr
  switch (exprKind.case) {
    case 'constExpr':
      return { name: constants[exprKind.value.constantKind.case ?? 'nullValue'] }
    case 'identExpr':
      return identifier(exprKind.value.name, expr, place, walk)
    case 'selectExpr': {
      const { operand, field, testOnly } = exprKind.value
      const found = member(operand, field, { at: expr, place, walk })
      return testOnly ? bool : found
    }
    case 'callExpr':
      return call(exprKind.value, expr, place, walk)
    case 'listExpr': {
      const types = exprKind.value.elements.map((one) => typeOf(one, place, walk))
      return { name: 'list', of: types.reduce(common, undefined) ?? dyn }
    }
    case 'structExpr':
      return struct(exprKind.value, expr, place, walk)
    case 'comprehensionExpr':
      return loop(exprKind.value, expr, place, walk)
    case undefined:
      return complain(walk, expr, 'the expression is empty')
  }
}

const constants = {
  nullValue: 'null_type',
  boolValue: 'bool',
  int64Value: 'int',
  uint64Value: 'uint',
  doubleValue: 'double',
  stringValue: 'string',
  bytesValue: 'bytes',
  durationValue: 'google.protobuf.Duration',
  timestampValue: 'google.protobuf.Timestamp',
} as const

function identifier(name: string, at: Expr, { scope }: Place, walk: Walk): PartType {
  const known = scope.get(name)
  if (known === undefined) {
    if (typeNames.has(name)) return { name: 'type' }
    return complain(walk, at, `there is no variable "${name}"`, `there is ${[...variables.keys()].join(', ')}`)
  }
  if (known === variables.get(name)) for (const field of known.members?.keys() ?? []) walk.uses.add(`${name}.${field}`)
  return known
}

interface At {
  readonly at: Expr
  readonly place: Place
  readonly walk: Walk
}

/** `operand.field`, and `operand['field']`. */
function member(operand: Expr | undefined, field: string, { at, place, walk }: At): PartType {
  const root = operand?.exprKind.case === 'identExpr' ? operand.exprKind.value.name : ''
  const known = variables.get(root)?.members
  if (known !== undefined && place.scope.get(root) === variables.get(root)) {
    walk.uses.add(`${root}.${field}`)
    return (
      known.get(field) ?? complain(walk, at, `${root} has no "${field}"`, `there is ${[...known.keys()].join(', ')}`)
    )
  }
  const type = typeOf(operand, place, walk)
  if (isHeaders(operand) && field !== field.toLowerCase()) {
    complain(walk, at, `"${field}" is never found`, 'header names are lower case here')
  }
  if (type.name === 'map') return type.of ?? dyn
  return type.name === 'dyn' ? dyn : complain(walk, at, `a ${type.name} has no members`)
}

function isHeaders(expr: Expr | undefined): boolean {
  const of = expr?.exprKind.case === 'selectExpr' ? expr.exprKind.value : undefined
  return (
    of?.field === 'headers' && of.operand?.exprKind.case === 'identExpr' && of.operand.exprKind.value.name === 'request'
  )
}

function call({ function: name, target, args }: Kind<'callExpr'>, at: Expr, place: Place, walk: Walk): PartType {
  const [first, second] = args
  if (name === '_[_]') return index(first, second, { at, place, walk })
  const on = target && typeOf(target, place, walk)
  const types = args.map((arg) => typeOf(arg, place, walk))
  if (name === 'matches' && on !== undefined) pattern(first, walk)
  const result = logic.get(name)?.(types) ?? resultOf({ name, target: on, args: types })
  return typeof result === 'string' ? complain(walk, at, result) : result
}

type Logic = (types: readonly PartType[]) => PartType | string | undefined

const equality: Logic = ([one = dyn, other = dyn]) =>
  comparable(one, other) ? bool : `a ${one.name} never equals a ${other.name}`

/** Operators that are no functions, and those whose functions take more than makes sense; text tells what is wrong. */
const logic: ReadonlyMap<string, Logic> = new Map<string, Logic>([
  ['@not_strictly_false', () => bool],
  ['_&&_', (types) => (types.every(isBool) ? bool : '"&&" takes bools only')],
  ['_||_', (types) => (types.every(isBool) ? bool : '"||" takes bools only')],
  ['_==_', equality],
  ['_!=_', equality],
  [
    '_?_:_',
    ([condition = dyn, one = dyn, other = dyn]) =>
      isBool(condition) ? common(one, other) : 'what stands before "?" is not a bool',
  ],
  [
    '@in',
    ([one = dyn, other = dyn]) =>
      other.name !== 'list' || comparable(one, other.of ?? dyn)
        ? undefined
        : `a ${one.name} is never in a list of ${other.of?.name ?? ''}`,
  ],
])

const isBool = ({ name }: PartType): boolean => name === 'bool' || name === 'dyn'

/** A stranger's text as a pattern could be made to cost anything, so it has to be written here. */
function pattern(arg: Expr | undefined, walk: Walk): void {
  if (arg === undefined) return
  const literal = arg.exprKind.case === 'constExpr' ? arg.exprKind.value.constantKind : undefined
  if (literal?.case !== 'stringValue') {
    complain(walk, arg, 'the pattern of matches() is not a literal', 'write the pattern itself, in quotes')
    return
  }
  const compiled = compileRegex(literal.value, 'part')
  if (compiled.ok) walk.patterns.set(literal.value, compiled.value)
  else for (const { say, mend } of compiled.findings) complain(walk, arg, `the pattern cannot be used: ${say}`, mend)
}

function index(operand: Expr | undefined, key: Expr | undefined, { at, place, walk }: At): PartType {
  const constant = key?.exprKind.case === 'constExpr' ? key.exprKind.value.constantKind : undefined
  if (constant?.case === 'stringValue') return member(operand, constant.value, { at, place, walk })
  const of = typeOf(operand, place, walk)
  const by = typeOf(key, place, walk)
  if (of.name === 'dyn') return dyn
  if (of.name !== 'list' && of.name !== 'map') return complain(walk, at, `a ${of.name} has no elements`)
  if (of.name === 'list' && !comparable(by, { name: 'int' })) return complain(walk, at, `a ${by.name} is no position`)
  return of.of ?? dyn
}

function struct({ messageName, entries }: Kind<'structExpr'>, at: Expr, place: Place, walk: Walk): PartType {
  if (messageName !== '') return complain(walk, at, `"${messageName}" cannot be made here`)
  for (const { keyKind, value } of entries) {
    if (keyKind.case === 'mapKey') typeOf(keyKind.value, place, walk)
    typeOf(value, place, walk)
  }
  return { name: 'map', of: dyn }
}

/** `all`, `exists`, `exists_one`, `map` and `filter`, as the parser spells them out. */
function loop(fold: Kind<'comprehensionExpr'>, at: Expr, outer: Place, walk: Walk): PartType {
  const range = typeOf(fold.iterRange, outer, walk)
  if (outer.loops === limits.loops) return complain(walk, at, `loops are nested deeper than ${limits.loops}`)
  if (!['list', 'map', 'dyn'].includes(range.name)) complain(walk, at, `a ${range.name} has no elements`)
  const start = typeOf(fold.accuInit, outer, walk)
  const result = start.name === 'list' ? { name: 'list', of: dyn } : start
  const element =
    range.name === 'list' ? (range.of ?? dyn) : range.name === 'map' && range.of?.name === 'string' ? range.of : dyn
  const scope = new Map([...outer.scope, [fold.iterVar, element], [fold.accuVar, result]] as const)
  const place = { scope, depth: outer.depth, loops: outer.loops + 1 }
  typeOf(fold.loopCondition, place, walk)
  typeOf(fold.loopStep, place, walk)
  return typeOf(fold.result, { ...place, loops: outer.loops }, walk)
}
