import type { Expr } from './cel-check.ts'
import { rangeFunction } from './cel-cost.ts'

/** Puts `@range` around what each loop of an expression runs over, with the weight of the loop's body. Gives the whole weight. */
export function weighLoops(expr: Expr): number {
  let weight = 1
  for (const child of children(expr)) weight += weighLoops(child)
  const { exprKind } = expr
  if (exprKind.case === 'comprehensionExpr' && exprKind.value.iterRange !== undefined) {
    const range = exprKind.value.iterRange
    exprKind.value.iterRange = rangeCall(range, weight)
  }
  return weight
}

const rangeCall = (range: Expr, weight: number): Expr => ({
  $typeName: 'cel.expr.Expr',
  id: range.id,
  exprKind: {
    case: 'callExpr',
    value: {
      $typeName: 'cel.expr.Expr.Call',
      function: rangeFunction,
      args: [
        range,
        {
          $typeName: 'cel.expr.Expr',
          id: range.id,
          exprKind: {
            case: 'constExpr',
            value: { $typeName: 'cel.expr.Constant', constantKind: { case: 'int64Value', value: BigInt(weight) } },
          },
        },
      ],
    },
  },
})

function children({ exprKind }: Expr): readonly Expr[] {
  const given = (...list: readonly (Expr | undefined)[]): readonly Expr[] => list.filter((one) => one !== undefined)
  switch (exprKind.case) {
    case 'selectExpr':
      return given(exprKind.value.operand)
    case 'callExpr':
      return given(exprKind.value.target, ...exprKind.value.args)
    case 'listExpr':
      return exprKind.value.elements
    case 'structExpr':
      return exprKind.value.entries.flatMap(({ keyKind, value }) =>
        given(keyKind.case === 'mapKey' ? keyKind.value : undefined, value),
      )
    case 'comprehensionExpr': {
      const { iterRange, accuInit, loopCondition, loopStep, result } = exprKind.value
      return given(iterRange, accuInit, loopCondition, loopStep, result)
    }
    case 'constExpr':
    case 'identExpr':
    case undefined:
      return []
  }
}
