import { isAlias, isCollection, isMap, isScalar, isSeq } from 'yaml'
import type { Document, Node, Scalar, YAMLMap } from 'yaml'

/** What keeps a document from being plain JSON, and where in the text. Never holds what the text says. */
export interface DataFault {
  readonly offset: number
  readonly say: string
}

const maxDepth = 64
/** Nodes that aliases may add: ten lines of aliases to aliases are a billion nodes otherwise. */
const maxRepeated = 10_000

interface Walk {
  readonly faults: DataFault[]
  readonly anchors: Map<string, Node>
  repeated: number
}

/**
 * The document as JSON, adding to `faults` what cannot be: duplicate keys, keys that are not text, unknown tags, numbers that
 * are none, aliases that lead in circles or to too much. Everything readable is in the result, even beside faults.
 */
export function plainData(document: Document.Parsed, faults: DataFault[]): unknown {
  const walk: Walk = { faults, anchors: new Map(), repeated: 0 }
  return data(document.contents, { depth: 0, repeating: false }, walk)
}

interface Place {
  readonly depth: number
  readonly repeating: boolean
}

function data(node: unknown, { depth, repeating }: Place, walk: Walk): unknown {
  if (node === null || node === undefined) return null
  if (repeating) walk.repeated += 1
  if (isAlias(node)) {
    const of = walk.anchors.get(node.source)
    if (of === undefined) return refuse(node, 'refers to an anchor that does not come before it', walk)
    return data(of, { depth: depth + 1, repeating: true }, walk)
  }
  if (depth > maxDepth) return refuse(node, `is nested deeper than ${maxDepth}`, walk)
  if (walk.repeated > maxRepeated) return refuse(node, 'repeats too much by aliases', walk)
  const inner = { depth: depth + 1, repeating }
  const value = isScalar(node) ? scalar(node, walk) : isCollection(node) ? collection(node, inner, walk) : null
  // Known only once it is complete: an alias inside its own anchor leads in a circle.
  if (isAnchored(node)) walk.anchors.set(node.anchor, node)
  return value
}

const isAnchored = (node: unknown): node is Node & { readonly anchor: string } =>
  (isScalar(node) || isCollection(node)) && node.anchor !== undefined

function collection(node: Node, place: Place, walk: Walk): unknown {
  checkTag(node, ['tag:yaml.org,2002:map', 'tag:yaml.org,2002:seq'], walk)
  if (isSeq(node)) return node.items.map((item) => data(item, place, walk))
  return isMap(node) ? mapping(node, place, walk) : null
}

function mapping(node: YAMLMap, place: Place, walk: Walk): unknown {
  const entries = new Map<string, unknown>()
  for (const { key, value } of node.items) {
    const name = isScalar(key) ? key.value : undefined
    if (typeof name !== 'string') refuse(key ?? value ?? node, 'has a key that is not text: put it in quotes', walk)
    else if (entries.has(name)) refuse(key, 'has a key that came before', walk)
    else entries.set(name, data(value, place, walk))
  }
  return Object.fromEntries(entries)
}

const scalarTags = ['str', 'int', 'float', 'bool', 'null'].map((tag) => `tag:yaml.org,2002:${tag}`)

function scalar(node: Scalar, walk: Walk): unknown {
  checkTag(node, scalarTags, walk)
  const { value } = node
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number' && Number.isFinite(value)) return value
  return refuse(node, 'is not a value that JSON has', walk)
}

/** A tag of a type that JSON does not have would be a value nobody checks; one that is unknown says nothing at all. */
function checkTag(
  { tag, range }: Node & { readonly tag?: string | undefined },
  known: readonly string[],
  walk: Walk,
): void {
  if (tag !== undefined && !known.includes(tag)) {
    walk.faults.push({ offset: range?.[0] ?? 0, say: 'has a tag that Gatehouse does not read' })
  }
}

function refuse(node: unknown, say: string, walk: Walk): null {
  const range = isScalar(node) || isCollection(node) || isAlias(node) ? node.range : undefined
  if (walk.faults.length < 16) walk.faults.push({ offset: range?.[0] ?? 0, say })
  return null
}
