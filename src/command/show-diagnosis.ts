import { showFix } from '../doctor/diagnosis.ts'
import type { Diagnosis } from '../doctor/diagnosis.ts'
import { address } from '../policy/compile.ts'
import { showProblem } from './show-problems.ts'

/** A diagnosis as compilers write them, with the YAML that mends it indented below. */
export function showDiagnosis(one: Diagnosis): string {
  const { code, severity, path, say, mend, object } = one
  const problem = address(object, { code, severity, path, say, ...(mend === undefined ? {} : { mend }) })
  const fix = showFix(one)
  return [
    showProblem(problem),
    ...(fix === undefined
      ? []
      : fix
          .trimEnd()
          .split('\n')
          .map((line) => `    ${line}`)),
  ].join('\n')
}
