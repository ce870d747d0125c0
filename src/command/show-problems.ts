import { showPath } from '../model/result.ts'
import type { Problem, Severity } from '../model/result.ts'

const words: Record<Severity, string> = { error: 'error', warning: 'warning', note: 'note' }

/** One problem as compilers write them, so that editors can jump to it: `file:line: error: what and where; mend [code]`. */
export function showProblem({ file, line, object, path, severity, say, mend, code }: Problem): string {
  const at = file === undefined ? '' : line === undefined ? `${file}: ` : `${file}:${line}: `
  const inside = [object, path.length === 0 ? undefined : showPath(path)]
    .filter((part) => part !== undefined)
    .join(' › ')
  const what = inside === '' ? say : `${inside}: ${say}`
  return `${at}${words[severity]}: ${what}${mend === undefined ? '' : `; ${mend}`} [${code}]`
}

/** `3 errors, 1 warning`, or `no problems`. */
export function countProblems(problems: readonly Pick<Problem, 'severity'>[]): string {
  const counts = (['error', 'warning', 'note'] as const).flatMap((severity) => {
    const count = problems.filter((problem) => problem.severity === severity).length
    return count === 0 ? [] : [`${count} ${words[severity]}${count === 1 ? '' : 's'}`]
  })
  return counts.length === 0 ? 'no problems' : counts.join(', ')
}
