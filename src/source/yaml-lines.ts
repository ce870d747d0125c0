import { LineCounter, isMap, isScalar, isSeq, parseDocument } from 'yaml'
import type { Path } from '../model/result.ts'

/**
 * Finds the line of what stands at a path, or of its nearest parent. Only problems ask, so the text is parsed again when one
 * does: keeping every syntax tree would take ten times the memory of the text.
 */
export function lineFinder(text: string, firstLine: number): (path: Path) => number | undefined {
  let recent: WeakRef<Tree> | undefined
  return (path) => {
    const tree = recent?.deref() ?? read(text)
    recent = new WeakRef(tree)
    return firstLine - 1 + tree.lines.linePos(offsetOf(tree.contents, path)).line
  }
}

interface Tree {
  readonly lines: LineCounter
  readonly contents: unknown
}

function read(text: string): Tree {
  const lines = new LineCounter()
  const { contents } = parseDocument(text, {
    schema: 'core',
    uniqueKeys: false,
    prettyErrors: false,
    lineCounter: lines,
  })
  return { lines, contents }
}

function offsetOf(contents: unknown, path: Path): number {
  let here = contents
  let offset = startOf(contents) ?? 0
  for (const step of path) {
    if (isMap(here)) {
      const pair = here.items.find(({ key }) => isScalar(key) && key.value === String(step))
      if (pair === undefined) break
      offset = startOf(pair.key) ?? offset
      here = pair.value
    } else if (isSeq(here)) {
      here = here.items[Number(step)]
      if (here === undefined) break
      offset = startOf(here) ?? offset
    } else break
  }
  return offset
}

const startOf = (node: unknown): number | undefined =>
  isMap(node) || isSeq(node) || isScalar(node) ? node.range?.[0] : undefined
