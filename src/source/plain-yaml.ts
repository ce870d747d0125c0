import {
  CORE_SCHEMA,
  EVENT_ID,
  SCALAR_STYLE,
  constructFromEvents,
  defineMappingTag,
  defineSequenceTag,
  getScalarValue,
  parseEvents,
} from 'js-yaml'
import type { Event } from 'js-yaml'
import type { Path } from '../model/result.ts'
import { readByForm } from './yaml-forms.ts'

/*
 * The YAML that nearly all manifests are written in. It gives the data that `yaml-manifests.ts` gives without a complaint, or gives
 * up: what is wrong, ambiguous or unusual (a repeated key, a number that JSON lacks, tags, aliases …) is read there, many times
 * slower, by the library that goes on behind a mistake and so can tell all of them.
 */

/** The documents of a text. */
export interface PlainDocuments {
  readonly objects: readonly unknown[]
  /** The line of what stands at a path of a document, or of its nearest parent. */
  readonly line: (document: number, path: Path) => number
}

const maxDepth = 60

/** Values that JSON has. The message is for nobody: the other reader has its own. */
const oddValue = (value: unknown): string =>
  typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0)) ? 'odd' : ''

const mapTag = defineMappingTag<Record<string, unknown>>('tag:yaml.org,2002:map', {
  create: () => ({}),
  addPair(object, key, value) {
    if (typeof key !== 'string' || key === '__proto__') return 'odd'
    object[key] = value
    return oddValue(value)
  },
  has: (object, key) => Object.hasOwn(object, String(key)),
  keys: (object) => Object.keys(object),
  get: (object, key) => object[String(key)],
  identify: () => false,
})

const seqTag = defineSequenceTag<unknown[]>('tag:yaml.org,2002:seq', {
  create: () => [],
  addItem(list, item) {
    list.push(item)
    return oddValue(item)
  },
  identify: () => false,
})

const schema = CORE_SCHEMA.withTags(mapTag, seqTag)

/** The documents of a text, or undefined where it is not plain. */
export function readPlainYaml(text: string): PlainDocuments | undefined {
  if (returns.test(text)) return undefined
  try {
    const objects = marks.test(text)
      ? readAll(text)
      : (apart(text)?.map((one) => readByForm(one, readOne)) ?? readAll(text))
    return { objects, line: lineFinder(text) }
  } catch {
    return undefined
  }
}

/** Throws where the text is not plain, or not YAML. */
function readAll(text: string): readonly unknown[] {
  const events = parseEvents(text, { maxDepth })
  if (marks.test(text) && !events.every(isPlain)) throw new Error('not plain')
  return constructFromEvents(events, { source: text, schema })
}

function readOne(text: string): unknown {
  const [object, ...more] = readAll(text)
  if (object === undefined || more.length > 0) throw new Error('not one document')
  return object
}

/** The texts of the documents, where nothing but plain `---` lines parts them: such a line is a mark wherever it stands (YAML 1.2 §9.1.4). */
function apart(text: string): readonly string[] | undefined {
  const parts = text.split(/^---[ \t]*\n/m)
  const documents = blank.test(parts[0] ?? '') ? parts.slice(1) : parts
  return documents.some((one) => blank.test(one) || unusual.test(one)) ? undefined : documents
}

const blank = /^(?:[ \t]*(?:#.*)?(?:\n|$))*$/
/** Ends of lines to some readers (YAML 1.2 §5.4), and part of them to others. */
const returns = /\r(?!\n)/
/** Other marks of documents, and a mark of byte order. */
const unusual = /^(?:---|\.\.\.)|\ufeff/m

/** Without any of these there is no directive, anchor, alias or tag. */
const marks = /[%&*!]/

/** Directives, anchors, aliases and tags are the other reader's to judge. */
function isPlain(event: Event): boolean {
  if (event.type === EVENT_ID.POP) return true
  if (event.type === EVENT_ID.ALIAS) return false
  if (event.type === EVENT_ID.DOCUMENT) return event.directives.length === 0
  return event.anchorStart === -1 && event.tagStart === -1
}

interface Outline {
  readonly events: readonly Event[]
  /** Index of the first event inside each document. */
  readonly documents: readonly number[]
}

/** Only problems ask, so the text is read again when one does: keeping the events would take ten times the memory of the text. */
function lineFinder(text: string): PlainDocuments['line'] {
  let recent: WeakRef<Outline> | undefined
  return (document, path) => {
    const outline = recent?.deref() ?? outlineOf(text)
    recent = new WeakRef(outline)
    const offset = offsetOf(text, outline, { document, path })
    return text.slice(0, offset).split('\n').length
  }
}

function outlineOf(text: string): Outline {
  const events = parseEvents(text, { maxDepth })
  return { events, documents: events.flatMap(({ type }, index) => (type === EVENT_ID.DOCUMENT ? [index + 1] : [])) }
}

interface Place {
  readonly document: number
  readonly path: Path
}

/** Where what stands at a path begins: the key of an entry, an item of a list, or else the nearest parent. */
function offsetOf(text: string, { events, documents }: Outline, { document, path }: Place): number {
  let at = documents[document] ?? 0
  let offset = startOf(events[at])
  for (const step of path) {
    const found = entry(text, events, { at, step })
    if (found === undefined) break
    offset = startOf(events[found.start])
    at = found.value
  }
  return offset
}

interface Step {
  readonly at: number
  readonly step: string | number
}

function entry(
  text: string,
  events: readonly Event[],
  { at, step }: Step,
): { start: number; value: number } | undefined {
  const type = events[at]?.type
  if (type !== EVENT_ID.MAPPING && type !== EVENT_ID.SEQUENCE) return undefined
  let index = 0
  for (let start = at + 1; events[start]?.type !== EVENT_ID.POP; index += 1) {
    const value = type === EVENT_ID.MAPPING ? after(events, start) : start
    const key = events[start]
    const name = type === EVENT_ID.SEQUENCE ? index : key?.type === EVENT_ID.SCALAR ? getScalarValue(text, key) : ''
    if (String(name) === String(step)) return { start, value }
    start = after(events, value)
  }
  return undefined
}

/** The event behind a value and all that is in it. */
function after(events: readonly Event[], at: number): number {
  let depth = 0
  for (let index = at; ; index += 1) {
    const type = events[index]?.type
    if (type === undefined) return index
    if (type === EVENT_ID.POP) depth -= 1
    else if (type !== EVENT_ID.SCALAR) depth += 1
    if (depth === 0) return index + 1
  }
}

function startOf(event: Event | undefined): number {
  if (event === undefined || !('anchorStart' in event)) return 0
  if (!('valueStart' in event)) return 'start' in event ? event.start : 0
  // Text in lines of its own begins behind the line of its indicator.
  const block = event.style === SCALAR_STYLE.LITERAL_BLOCK || event.style === SCALAR_STYLE.FOLDED_BLOCK
  return Math.max(0, event.valueStart - (block ? 1 : 0))
}
