import type { Expr } from './cel-check.ts'

/** What of a request, besides its line, somebody looks at: what a gateway has to send. */
export interface HeaderReads {
  /** Lower-case names that are written out. */
  readonly names: readonly string[]
  /** True where a name is computed or all headers are looked through: nobody can tell which. */
  readonly others: boolean
  /** True where the client's scheme is looked at, which over HTTP comes in `X-Forwarded-Proto`. */
  readonly scheme: boolean
}

/** Nothing but the request line. */
export const noReads: HeaderReads = { names: [], others: false, scheme: false }

/** All of them together. */
export const allReads = (reads: readonly HeaderReads[]): HeaderReads => ({
  names: [...new Set(reads.flatMap(({ names }) => names))],
  others: reads.some(({ others }) => others),
  scheme: reads.some(({ scheme }) => scheme),
})

interface Found {
  readonly names: Set<string>
  others: boolean
  scheme: boolean
}

/**
 * The request headers that an expression looks at: `request.headers['x-a']`, `request.headers.accept`, `has(…)` and
 * `'x-a' in request.headers` name one; whatever else is done with `request.headers`, or with `request` itself, may look at any.
 * A loop's variable that is called `request` counts as the request: a header too many is named, never one too few.
 */
export function readsOf(expr: Expr): HeaderReads {
  const found: Found = { names: new Set(), others: false, scheme: false }
  look(expr, found)
  return { ...found, names: [...found.names] }
}

function look(expr: Expr | undefined, found: Found): void {
  if (expr === undefined) return
  const name = namedHeader(expr)
  if (name !== undefined) {
    found.names.add(name.toLowerCase())
    return
  }
  const member = isRequest(expr) ? 'all of it' : memberOf(expr)
  if (member === undefined) return partsOf(expr).forEach((part) => look(part, found))
  // Its other members are of its line, which needs no header.
  found.others ||= member === 'headers' || member === 'all of it'
  found.scheme ||= member === 'scheme' || member === 'all of it'
}

/** The one header that a part looks at. */
function namedHeader({ exprKind }: Expr): string | undefined {
  if (exprKind.case === 'selectExpr') return isHeaders(exprKind.value.operand) ? exprKind.value.field : undefined
  if (exprKind.case !== 'callExpr') return undefined
  const [first, second] = exprKind.value.args
  if (exprKind.value.function === '_[_]') return isHeaders(first) ? literal(second) : undefined
  return exprKind.value.function === '@in' && isHeaders(second) ? literal(first) : undefined
}

const isHeaders = (expr: Expr | undefined): boolean => memberOf(expr) === 'headers'

const isRequest = (expr: Expr | undefined): boolean =>
  expr?.exprKind.case === 'identExpr' && expr.exprKind.value.name === 'request'

/** `headers` of `request.headers` and of `request['headers']`. */
function memberOf(expr: Expr | undefined): string | undefined {
  const { exprKind } = expr ?? {}
  if (exprKind?.case === 'selectExpr') return isRequest(exprKind.value.operand) ? exprKind.value.field : undefined
  if (exprKind?.case !== 'callExpr' || exprKind.value.function !== '_[_]') return undefined
  const [of, member] = exprKind.value.args
  return isRequest(of) ? literal(member) : undefined
}

function literal(expr: Expr | undefined): string | undefined {
  const constant = expr?.exprKind.case === 'constExpr' ? expr.exprKind.value.constantKind : undefined
  return constant?.case === 'stringValue' ? constant.value : undefined
}

function partsOf({ exprKind }: Expr): readonly (Expr | undefined)[] {
  switch (exprKind.case) {
    case 'selectExpr':
      return [exprKind.value.operand]
    case 'callExpr':
      return [exprKind.value.target, ...exprKind.value.args]
    case 'listExpr':
      return exprKind.value.elements
    case 'structExpr':
      return exprKind.value.entries.flatMap(({ keyKind, value }) => [
        keyKind.case === 'mapKey' ? keyKind.value : undefined,
        value,
      ])
    case 'comprehensionExpr': {
      const { iterRange, accuInit, loopCondition, loopStep, result } = exprKind.value
      return [iterRange, accuInit, loopCondition, loopStep, result]
    }
    case 'constExpr':
    case 'identExpr':
    case undefined:
      return []
  }
}
