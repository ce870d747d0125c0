/** How much JSON is taken: all of it is counted before or while it is read, never after. */
export interface JsonLimits {
  /** Most bytes (of text: UTF-16 units) that are looked at. */
  readonly maxBytes: number
  /** Deepest nesting of objects and arrays. */
  readonly maxDepth?: number
  /** Most members and elements in the whole text: names chosen to collide in the engine's tables stay cheap (JWT-21). */
  readonly maxMembers?: number
}

/** A text that is not the JSON that we take; never leaves this file. */
class Refusal extends Error {}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads a stranger's JSON (RFC 8259) into frozen, null-prototype objects, or gives undefined. Refuses what two readers
 * could read differently: duplicate members (RFC 7515 §4), bad UTF-8 or a BOM (RFC 8725 §3.7), lone surrogates, numbers
 * that overflow, anything after the value; and what is too long, too deep or too many.
 */
export function parseStrictJson(input: string | Uint8Array, limits: JsonLimits): unknown {
  if (input.length > limits.maxBytes) return undefined
  try {
    const text = typeof input === 'string' ? input : decoder.decode(input)
    return read({ text, at: 0, members: limits.maxMembers ?? 4096, depth: limits.maxDepth ?? 32 })
  } catch {
    return undefined
  }
}

/** An object of own members only, as `parseStrictJson` makes it. */
export type JsonObject = Readonly<Record<string, unknown>>

/** True for a JSON object; arrays and null are none. */
export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

interface Cursor {
  readonly text: string
  at: number
  /** Members and elements that may still come. */
  members: number
  /** Levels that may still be opened. */
  depth: number
}

function read(cursor: Cursor): unknown {
  const value = readValue(cursor)
  skipSpace(cursor)
  if (cursor.at !== cursor.text.length) throw new Refusal('trailing text')
  return value
}

const literals: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['true', true],
  ['false', false],
  ['null', null],
])

function readValue(cursor: Cursor): unknown {
  skipSpace(cursor)
  const mark = cursor.text[cursor.at]
  if (mark === '{') return readObject(cursor)
  if (mark === '[') return readArray(cursor)
  return mark === '"' ? readString(cursor) : readScalar(cursor)
}

function readObject(cursor: Cursor): JsonObject {
  const object = Object.create(null) as Record<string, unknown>
  readItems(cursor, '}', () => {
    skipSpace(cursor)
    const name = readString(cursor)
    if (name in object) throw new Refusal('duplicate member')
    expect(cursor, ':')
    object[name] = readValue(cursor)
  })
  return Object.freeze(object)
}

function readArray(cursor: Cursor): readonly unknown[] {
  const list: unknown[] = []
  readItems(cursor, ']', () => list.push(readValue(cursor)))
  return Object.freeze(list)
}

/** Comma-separated items up to the closing mark, under the depth and member bounds. */
function readItems(cursor: Cursor, close: '}' | ']', item: () => void): void {
  if (--cursor.depth < 0) throw new Refusal('too deep')
  cursor.at += 1
  if (next(cursor) === close) cursor.at += 1
  else {
    do {
      if (--cursor.members < 0) throw new Refusal('too many members')
      item()
    } while (separated(cursor, close))
  }
  cursor.depth += 1
}

/** True past a comma, false past the closing mark. */
function separated(cursor: Cursor, close: '}' | ']'): boolean {
  const mark = next(cursor)
  if (mark !== ',' && mark !== close) throw new Refusal('not JSON')
  cursor.at += 1
  return mark === ','
}

const unplain = /[\\\x00-\x1f]/
const escaped = /"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y

function readString(cursor: Cursor): string {
  const text = readPlain(cursor) ?? (JSON.parse(demand(match(cursor, escaped))) as string)
  if (!text.isWellFormed()) throw new Refusal('lone surrogate')
  return text
}

/** A string that stands as it is written; undefined for one with escapes, and for what is none. */
function readPlain(cursor: Cursor): string | undefined {
  const { text, at } = cursor
  const end = text[at] === '"' ? text.indexOf('"', at + 1) : -1
  if (end < 0) return undefined
  const inner = text.slice(at + 1, end)
  if (unplain.test(inner)) return undefined
  cursor.at = end + 1
  return inner
}

const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const word = /true|false|null/y

function readScalar(cursor: Cursor): unknown {
  const name = match(cursor, word)
  if (name !== undefined) return literals.get(name)
  const value = Number(demand(match(cursor, number)))
  if (!Number.isFinite(value)) throw new Refusal('number out of range')
  return value
}

function match(cursor: Cursor, form: RegExp): string | undefined {
  form.lastIndex = cursor.at
  const found = form.exec(cursor.text)?.[0]
  if (found !== undefined) cursor.at += found.length
  return found
}

function demand(text: string | undefined): string {
  if (text === undefined) throw new Refusal('not JSON')
  return text
}

function expect(cursor: Cursor, mark: string): void {
  if (next(cursor) !== mark) throw new Refusal('not JSON')
  cursor.at += 1
}

function skipSpace(cursor: Cursor): void {
  while (isSpace(cursor.text.charCodeAt(cursor.at))) cursor.at += 1
}

/** RFC 8259 §2: space, tab, line feed, carriage return. */
const isSpace = (code: number): boolean => code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d

function next(cursor: Cursor): string | undefined {
  skipSpace(cursor)
  return cursor.text[cursor.at]
}
