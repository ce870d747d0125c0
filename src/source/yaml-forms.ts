import { LRUCache } from 'lru-cache'

/*
 * Most manifests of a directory are of a few forms: the same lines, other names in them. A form is read as YAML once, with marks where
 * the names are; for each further document of the form the names are put there. What a mark turned out to be, all of a value, any other
 * name is too: names begin with a letter or a slash, have no character that means anything in YAML, and are none of its words.
 */

/** A value that is a name by itself, at the end of its line behind a key or a dash. */
const named = /^( *(?:- )*(?:[A-Za-z][\w./-]*: +|- +))([A-Za-z/][A-Za-z0-9._/-]{0,252})$/gm
const words = /^(?:null|true|false|yes|no|on|off|y|n)$/i

/** Neither holds a secret, and a form is remembered longer than its file. */
const remembered = /^kind: (?:AuthPolicy|HTTPRoute)$/m
const longest = 16_384

/** Stands for the name that was found at a place of a document. */
class Slot {
  readonly index: number
  constructor(index: number) {
    this.index = index
  }
}

/** `plain` is false where a mark became a part of something: such documents are read as they are. */
interface Form {
  readonly plain: boolean
  readonly template: unknown
}

const forms = new LRUCache<string, Form>({ max: 200 })

/** Not a part of any other word, so that it is seen wherever it comes out. */
const mark = (index: number): string => `Gatehouse-slot-${index}-here`
const marks = /Gatehouse-slot-(\d+)-here/
const slot = '\0'

/** Reads one document by its form; `read` reads it, and the form where that is new, as YAML, and throws where it is not one document. */
export function readByForm(text: string, read: (text: string) => unknown): unknown {
  if (text.length > longest || !remembered.test(text) || text.includes(slot) || marks.test(text)) return read(text)
  const names: string[] = []
  const form = text.replace(named, (line: string, before: string, name: string) => {
    if (words.test(name)) return line
    names.push(name)
    return `${before}${slot}`
  })
  const known = forms.get(form) ?? learn(form, names.length, read)
  return known.plain ? filled(known.template, names) : read(text)
}

function learn(form: string, count: number, read: (text: string) => unknown): Form {
  let index = 0
  const seen: number[] = []
  const made = template(read(form.replaceAll(slot, () => mark(index++))), seen)
  // A name that came out nowhere, or not by itself, is a part of something else: a comment, or a text of several lines.
  const plain = made !== undefined && seen.length === count && new Set(seen).size === count
  const learnt = { plain, template: plain ? made.value : undefined }
  forms.set(form, learnt)
  return learnt
}

interface Made {
  readonly value: unknown
}

/** The document with slots in place of the marks, or undefined where a mark is not all of a value. */
function template(value: unknown, seen: number[]): Made | undefined {
  if (typeof value === 'string') {
    const found = marks.exec(value)
    if (found === null) return { value }
    if (found[0] !== value) return undefined
    const index = Number(found[1])
    seen.push(index)
    return { value: new Slot(index) }
  }
  if (typeof value !== 'object' || value === null) return { value }
  if (Array.isArray(value)) {
    const items = value.map((item) => template(item, seen))
    return items.some((item) => item === undefined) ? undefined : { value: items.map((item) => item?.value) }
  }
  const members = Object.entries(value).map(([key, item]) => [key, template(item, seen)] as const)
  return members.some(([key, item]) => item === undefined || marks.test(key))
    ? undefined
    : { value: Object.fromEntries(members.map(([key, item]) => [key, item?.value])) }
}

function filled(value: unknown, names: readonly string[]): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Slot) return names[value.index]
  if (Array.isArray(value)) return value.map((item) => filled(item, names))
  const object: Record<string, unknown> = {}
  for (const [key, item] of Object.entries(value)) object[key] = filled(item, names)
  return object
}
