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

/** Undefined where a mark became a part of something: such documents are read as they are. */
interface Form {
  readonly root: Node | undefined
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
  const { root } = forms.get(form) ?? learn(form, names.length, read)
  return root === undefined ? read(text) : filled(root, names)
}

function learn(form: string, count: number, read: (text: string) => unknown): Form {
  let index = 0
  const root = nodeOf(read(form.replaceAll(slot, () => mark(index++))), { next: 0 })
  // A name that came out nowhere, or not by itself, is a part of something else: a comment, or a text of several lines.
  const learnt = { root: root !== undefined && spanOf(root).to === count ? root : undefined }
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
