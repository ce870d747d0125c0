import { LRUCache } from 'lru-cache'

/*
 * Most manifests of a directory are of a few forms: the same lines, other names in them. A form is read as YAML once, with marks where
 * the names are; for each further document of the form the names are put there. What a mark turned out to be, all of a value, any other
 * name is too: names begin with a letter or a slash, have no character that means anything in YAML, and are none of its words.
 */

const bare = /[A-Za-z/][A-Za-z0-9._/-]{0,252}/y
/** A value that is a name by itself, at the end of its line behind a key or a dash. */
const named = new RegExp(String.raw`^( *(?:- )*(?:[A-Za-z][\w./-]*: +|- +))(${bare.source})$`, 'gm')
const words = /^(?:null|true|false|yes|no|on|off|y|n)$/i

/** Neither holds a secret, and a form is remembered longer than its file. */
const remembered = /^kind: (?:AuthPolicy|HTTPRoute)$/m
const longest = 16_384

/** A value of a form. What is in a list or an object are the names from one index to before another. */
type Node =
  | { readonly kind: 'same'; readonly value: unknown }
  | { readonly kind: 'name'; readonly index: number }
  | (Span & { readonly kind: 'list'; readonly items: readonly Node[] })
  | (Span & { readonly kind: 'object'; readonly members: readonly (readonly [string, Node])[] })

interface Span {
  readonly from: number
  readonly to: number
  /** What was made of it last, of which names: documents that say the same there share it. */
  last: { readonly names: readonly string[]; readonly made: object } | undefined
}

interface Form {
  readonly root: Node
  /** What stands before, between and behind the names. */
  readonly parts: readonly string[]
  /** Of the last document: many say the same in most places. */
  names: readonly string[]
}

/** `none` where a mark became a part of something: such documents are read as they are. */
const forms = new LRUCache<string, Form | 'none'>({ max: 200 })

/** The forms seen last, in that order: the next document most likely has one of them, and need not be taken apart to know it. */
const recent: Form[] = []
const mostRecent = 4

/** Not a part of any other word, so that it is seen wherever it comes out. */
const mark = (index: number): string => `Gatehouse-slot-${index}-here`
const marks = /Gatehouse-slot-(\d+)-here/
const slot = '\0'

/** Reads one document by its form; `read` reads it, and the form where that is new, as YAML, and throws where it is not one document. */
export function readByForm(text: string, read: (text: string) => unknown): unknown {
  if (text.length > longest || !remembered.test(text)) return read(text)
  const known = recognized(text)
  if (known !== undefined) return filled(known.root, known.names)
  if (text.includes(slot) || marks.test(text)) return read(text)
  const names: string[] = []
  const form = text.replace(named, (line: string, before: string, name: string) => {
    if (words.test(name)) return line
    names.push(name)
    return `${before}${slot}`
  })
  const learnt = forms.get(form) ?? learn(form, names.length, read)
  if (learnt === 'none') return read(text)
  remember(learnt, names)
  return filled(learnt.root, names)
}

/** The form of a text, with the text's names in it, where it is one of the last ones. */
function recognized(text: string): Form | undefined {
  for (const form of recent) {
    const names = namesIn(text, form)
    if (names === undefined) continue
    remember(form, names)
    return form
  }
  return undefined
}

/** The names that a text has in the places of a form, or undefined where it is not of that form. */
function namesIn(text: string, { parts, names: before }: Form): readonly string[] | undefined {
  let names: string[] | undefined
  let at = 0
  // By index: an iterator would make more objects than there are names.
  for (let index = 0; index < parts.length; index += 1) {
    const part = parts[index] ?? ''
    if (!text.startsWith(part, at)) return undefined
    at += part.length
    if (index === parts.length - 1) break
    const name = nameAt(text, at, before[index])
    if (name === undefined) return undefined
    if (name !== before[index]) names ??= [...before]
    if (names !== undefined) names[index] = name
    at += name.length
  }
  return at === text.length ? (names ?? before) : undefined
}

/** All that stands there and is of a name: where it is longer than one may be, the part behind it does not follow. */
function nameAt(text: string, at: number, before: string | undefined): string | undefined {
  // The part behind a name begins with the end of its line.
  if (before !== undefined && text.startsWith(before, at) && endsLine(text, at + before.length)) return before
  bare.lastIndex = at
  const name = bare.exec(text)?.[0]
  return name === undefined || words.test(name) ? undefined : name
}

const endsLine = (text: string, at: number): boolean => at === text.length || text[at] === '\n'

function remember(form: Form, names: readonly string[]): void {
  form.names = names
  if (recent[0] === form) return
  const place = recent.indexOf(form)
  if (place !== -1) recent.splice(place, 1)
  recent.unshift(form)
  recent.length = Math.min(recent.length, mostRecent)
}

function learn(form: string, count: number, read: (text: string) => unknown): Form | 'none' {
  let index = 0
  const root = nodeOf(read(form.replaceAll(slot, () => mark(index++))), { next: 0 })
  // A name that came out nowhere, or not by itself, is a part of something else: a comment, or a text of several lines.
  const whole = root !== undefined && spanOf(root).to === count
  const learnt = whole ? { root, parts: form.split(slot), names: [] } : 'none'
  forms.set(form, learnt)
  return learnt
}

/** The value with names in place of the marks, or undefined where these are not each all of a value, in the order of the text. */
function nodeOf(value: unknown, seen: { next: number }): Node | undefined {
  const from = seen.next
  if (typeof value === 'string') {
    const found = marks.exec(value)
    if (found === null) return { kind: 'same', value }
    const index = Number(found[1])
    seen.next += 1
    return found[0] === value && index === from ? { kind: 'name', index } : undefined
  }
  if (typeof value !== 'object' || value === null) return { kind: 'same', value }
  if (Array.isArray(value)) {
    const items = value.flatMap((item) => nodeOf(item, seen) ?? [])
    return items.length < value.length ? undefined : { kind: 'list', items, from, to: seen.next, last: undefined }
  }
  const entries = Object.entries(value)
  const members = entries.flatMap(([key, item]) => {
    const node = marks.test(key) ? undefined : nodeOf(item, seen)
    return node === undefined ? [] : [[key, node] as const]
  })
  return members.length < entries.length ? undefined : { kind: 'object', members, from, to: seen.next, last: undefined }
}

const spanOf = (node: Node): { readonly to: number } => {
  switch (node.kind) {
    case 'same':
      return { to: 0 }
    case 'name':
      return { to: node.index + 1 }
    case 'list':
    case 'object':
      return node
  }
}

function filled(node: Node, names: readonly string[]): unknown {
  switch (node.kind) {
    case 'same':
      return node.value
    case 'name':
      return names[node.index]
    case 'list':
      return shared(node, names, () => node.items.map((item) => filled(item, names)))
    case 'object':
      return shared(node, names, () => {
        const object: Record<string, unknown> = {}
        for (const [key, member] of node.members) object[key] = filled(member, names)
        return object
      })
  }
}

/** Frozen, because it is part of several documents. */
function shared(span: Span, names: readonly string[], make: () => object): object {
  const { last, from, to } = span
  if (last !== undefined && sameNames(last.names, names, from, to)) return last.made
  const made = Object.freeze(make())
  span.last = { names, made }
  return made
}

function sameNames(one: readonly string[], other: readonly string[], from: number, to: number): boolean {
  for (let index = from; index < to; index += 1) if (one[index] !== other[index]) return false
  return true
}
