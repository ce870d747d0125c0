import { z } from 'zod'
import { ok } from '../model/result.ts'
import type { Result } from '../model/result.ts'
import { compileCel, maxCelLength } from './cel-program.ts'
import { fails, holds } from './condition.ts'
import type { ConditionKind, ImmediateCondition, Subject, Verdict } from './condition.ts'

const schema = z
  .string()
  .max(maxCelLength)
  .describe(
    'A CEL expression that gives a bool; it sees `request`, `identity` and `rule`. An error refuses the request.',
  )

/** `cel: "'admin' in identity.groups"`: the expression is true. Anything else is not, and an error is told apart. */
export const cel: ConditionKind<string, ImmediateCondition> = { kind: 'cel', schema, compile }

function compile(source: string): Result<ImmediateCondition> {
  const compiled = compileCel(source, 'condition')
  if (!compiled.ok) return compiled
  const run = compiled.value
  const condition = (subject: Subject): Verdict => {
    const outcome = run(subject)
    if (outcome.kind === 'error') return outcome
    if (outcome.value === true) return holds
    return outcome.value === false ? fails : { kind: 'error', cause: new Error('CEL: the result is not a bool') }
  }
  return ok(Object.assign(condition, { reads: run.reads }))
}
