import { LineCounter, parseAllDocuments } from 'yaml'
import type { Document } from 'yaml'
import { fault } from '../model/result.ts'
import type { Finding, Problem } from '../model/result.ts'
import { lineFinder } from './yaml-lines.ts'
import { brokenObjects, readObject, unknownObject } from './manifest-objects.ts'
import type { Objects } from './manifest-objects.ts'
import { plainData } from './yaml-data.ts'
import type { DataFault } from './yaml-data.ts'

type Parsed = Document.Parsed

/**
 * YAML 1.2, core schema: `no`, `on` and dates are text, and there are no merge keys. Duplicate keys are found in `yaml-data.ts`:
 * the library compares each key with each other, which takes minutes for a file of a hundred thousand.
 */
const options = { version: '1.2', schema: 'core', merge: false, uniqueKeys: false, prettyErrors: false } as const

/** Reads the objects of a YAML or JSON text. Problems have the line and never its content: it may be a Secret's. */
export function readYaml(file: string, text: string): Objects {
  const lines = new LineCounter()
  try {
    const documents = parseAllDocuments(text, { ...options, lineCounter: lines })
    const parts = Array.isArray(documents) ? documents.map((document) => readDocument(file, text, document, lines)) : []
    return {
      manifests: parts.flatMap(({ manifests }) => manifests),
      problems: parts.flatMap(({ problems }) => problems),
    }
  } catch {
    // The parser recurses: nesting without end overflows its stack.
    const finding = fault('bad-yaml', [], 'cannot be parsed: it is nested too deep')
    const part = { file, object: undefined, line: () => undefined, prefix: [] }
    return { manifests: [unknownObject(part, '')], problems: [{ ...finding, file }] }
  }
}

function readDocument(file: string, text: string, document: Parsed, lines: LineCounter): Objects {
  const at = (offset: number, finding: Finding): Problem => ({ ...finding, file, line: lines.linePos(offset).line })
  const faults: DataFault[] = document.errors.map(({ code, pos }) => ({
    offset: pos[0],
    say: syntax.get(code) ?? 'is not valid YAML here',
  }))
  const object = plainData(document, faults)
  const [start, , end] = document.range
  const line = lineFinder(text.slice(start, end), lines.linePos(start).line)
  if (faults.length > 0) {
    const problems = faults.slice(0, 8).map(({ offset, say }) => at(offset, fault('bad-yaml', [], say)))
    return { manifests: brokenObjects({ file, object, line, prefix: [] }, text.slice(start, end)), problems }
  }
  if (object === null) return { manifests: [], problems: [] }
  return readObject({ file, object, line, prefix: [] })
}

/** The error codes that need their own words. The library's messages quote the text. */
const syntax: ReadonlyMap<string, string> = new Map([
  ['BAD_INDENT', 'is not indented as its surroundings are'],
  ['TAB_AS_INDENT', 'is indented with a tab'],
  ['MISSING_CHAR', 'lacks a closing character or a ":"'],
  ['BAD_SCALAR_START', 'begins with a character that needs quotes'],
  ['BAD_ALIAS', 'refers to an anchor that cannot be used'],
  ['TAG_RESOLVE_FAILED', 'has a tag that is not known'],
  ['UNEXPECTED_TOKEN', 'holds something that does not belong here'],
  ['MULTILINE_IMPLICIT_KEY', 'has a key of several lines: quotes are missing before it'],
])
