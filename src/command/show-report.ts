import { styleText } from 'node:util'
import type { Writable } from 'node:stream'
import { denyReasons } from '../model/decision.ts'
import { showPath } from '../model/result.ts'
import type { Severity } from '../model/result.ts'
import type { CheckReport, Reported } from './check.ts'
import { countProblems } from './show-problems.ts'

/** How wide lines may be, and how words are set off where they can be. */
interface Page {
  readonly width: number
  readonly paint: (style: Parameters<typeof styleText>[0], text: string) => string
}

/** A terminal's own width, within what can be read; colours only there, and not with NO_COLOR (no-color.org). */
export function pageOf(stream: Writable): Page {
  const columns = 'columns' in stream && typeof stream.columns === 'number' ? stream.columns : 120
  const terminal = 'isTTY' in stream && stream.isTTY === true
  return {
    width: Math.min(160, Math.max(60, columns)),
    paint: (style, text) => (terminal ? styleText(style, text, { stream }) : text),
  }
}

/**
 * The report for people: under each object its findings as compilers write them (`file:line: error: what [code]`), where inside, what
 * to do, and the YAML that does it; then what became of the rules, and how much there is of everything.
 */
export function showReport(report: CheckReport, page: Page): readonly string[] {
  const { findings, protectedRules, refusing } = report
  const groups = [...Map.groupBy(findings, ({ object, file }) => object ?? file ?? '')]
  const untold = refusing.filter(({ told }) => !told)
  return [
    ...groups.flatMap(([name, ofObject]) => [...heading(name, page), ...ofGroup(ofObject, page), '']),
    ...(untold.length === 0 ? [] : ['Refusing everything:', ...untold.map(ruleLine), '']),
    ...wrapped(summary(findings, protectedRules, refusing.length), { first: '', more: '', page }),
  ]
}

/** What is about no object and no file needs no line above it. */
const heading = (name: string, page: Page): readonly string[] => (name === '' ? [] : [page.paint('bold', name)])

const ruleLine = ({ rule, reason }: CheckReport['refusing'][number]): string =>
  `  ${rule}: ${denyReasons[reason][1]} [${reason}]`

function summary(findings: readonly Reported[], protectedRules: number, refusing: number): string {
  const objects = new Set(findings.map(({ object, file }) => object ?? file)).size
  const where = objects === 0 ? '' : ` in ${counted(objects, 'object')}`
  return `${counted(protectedRules, 'rule')} protected, ${refusing} refusing everything, ${countProblems(findings)}${where}`
}

const counted = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`

const colours: Readonly<Record<Severity, Parameters<typeof styleText>[0]>> = {
  error: ['red', 'bold'],
  warning: ['yellow', 'bold'],
  note: ['cyan', 'bold'],
}

/** One YAML often mends several findings of an object: it is shown with the first. */
function ofGroup(findings: readonly Reported[], page: Page): readonly string[] {
  const shown = new Set<string>()
  return findings.flatMap((one) => {
    const { severity, code, path, say, mend, fix } = one
    const first = fix !== undefined && !shown.has(fix)
    if (fix !== undefined) shown.add(fix)
    const head = `${placeOf(one)}${page.paint(colours[severity], severity)}: `
    const at = path.length === 0 ? [] : [`    at   ${page.paint('dim', showPath(path))}`]
    const how = fix === undefined || first ? mend : `${mend ?? ''} (the YAML above does it too)`
    return [
      ...wrapped(`${head}${say} ${page.paint('dim', `[${code}]`)}`, { first: '  ', more: '      ', page }),
      ...at,
      ...(how === undefined ? [] : wrapped(how, { first: '    mend ', more: '         ', page })),
      ...(first
        ? fix
            .trimEnd()
            .split('\n')
            .map((line) => page.paint('green', `         ${line}`))
        : []),
    ]
  })
}

const placeOf = ({ file, line }: Reported): string =>
  file === undefined ? '' : line === undefined ? `${file}: ` : `${file}:${line}: `

interface Margins {
  readonly first: string
  readonly more: string
  readonly page: Page
}

/** Words in lines that fit, as far as words do. */
function wrapped(text: string, { first, more, page: { width } }: Margins): readonly string[] {
  const lines: string[] = []
  let line = first
  for (const word of text.split(' ')) {
    const empty = line === first || line === more
    if (!empty && visible(line) + 1 + visible(word) > width) {
      lines.push(line)
      line = more + word
    } else line += empty ? word : ` ${word}`
  }
  return [...lines, line]
}

/** Columns that a text takes: what sets a colour takes none. */
const visible = (text: string): number => text.replaceAll(/\x1b\[[\d;]*m/g, '').length

/** The report for programs. Fields are only ever added; `path` is written as in `spec.rules[0]`. */
export const reportJson = ({ findings, protectedRules, refusing }: CheckReport): object => ({
  findings: findings.map(({ severity, code, object, file, line, path, say, mend, fix }) => ({
    severity,
    code,
    object: object ?? null,
    file: file ?? null,
    line: line ?? null,
    path: showPath(path),
    message: say,
    mend: mend ?? null,
    yaml: fix ?? null,
  })),
  rules: { protected: protectedRules, refusing: refusing.map(({ rule, reason }) => ({ rule, reason })) },
  summary: {
    errors: count(findings, 'error'),
    warnings: count(findings, 'warning'),
    notes: count(findings, 'note'),
  },
})

const count = (findings: readonly Reported[], severity: Severity): number =>
  findings.filter((one) => one.severity === severity).length
