import { definitions } from './definitions.ts'
import { deepest, malformed } from './wire-cursor.ts'

/*
 * What protobufjs lets through and the lean codec does not. Written from the protos themselves and for nothing but clarity, so that
 * each of the two can be tested by the other.
 */

export interface FieldType {
  readonly name: string
  readonly number: number
  readonly label: string
  readonly type: string
  readonly typeName: string
}

export interface MessageType {
  readonly name: string
  readonly field: readonly FieldType[]
  readonly nestedType: readonly MessageType[]
  readonly options: { readonly mapEntry: boolean } | null
}

/** A message as the protos define it. */
export interface Scope {
  /** Full name of the message. */
  readonly path: string
  readonly type: MessageType
}

/** Throws where a message of this type is cut off, holds a known field in another form, or one message twice where one may be. */
export function scan(bytes: Buffer, typeName: string): void {
  const scope = find(typeName)
  if (scope === undefined) throw new Error(`protos/ define no message ${typeName}`)
  scanMessage(new Bytes(bytes), scope, 0)
}

/** Those that are no varint. */
export const wireTypes: ReadonlyMap<string, number> = new Map([
  ['TYPE_STRING', 2],
  ['TYPE_BYTES', 2],
  ['TYPE_MESSAGE', 2],
  ['TYPE_DOUBLE', 1],
])

function scanMessage(bytes: Bytes, scope: Scope, depth: number): void {
  if (depth > deepest) throw malformed
  const seen = new Set<number>()
  while (!bytes.over()) {
    const { number, wireType } = bytes.tag()
    const field = scope.type.field.find((one) => one.number === number)
    if (field === undefined) bytes.skip(number, wireType, depth)
    else if (wireType !== (wireTypes.get(field.type) ?? 0) || (seen.has(number) && single(field))) throw malformed
    else scanField(bytes, { field, scope, depth })
    seen.add(number)
  }
  if (isEntry(scope) && scope.type.field.some((field) => single(field) && !seen.has(field.number))) throw malformed
}

interface Place {
  readonly field: FieldType
  readonly scope: Scope
  readonly depth: number
}

function scanField(bytes: Bytes, { field, scope, depth }: Place): void {
  const wireType = wireTypes.get(field.type) ?? 0
  if (field.type === 'TYPE_MESSAGE') {
    const inner = typeOf(field, scope)
    scanMessage(bytes.part(), inner, isEntry(inner) ? depth : depth + 1)
  } else {
    const length = bytes.skip(field.number, wireType, depth)
    if (wireType === 0 && field.type !== 'TYPE_INT64' && length > 5 && length < 10) throw malformed
  }
}

/** A message that may be there once; in an entry of a map its value, which protobufjs cannot do without. */
const single = ({ type, label }: FieldType): boolean => type === 'TYPE_MESSAGE' && label !== 'LABEL_REPEATED'
const isEntry = ({ type }: Scope): boolean => type.options?.mapEntry === true

/** Names are looked for from the inside out, as in the protos. */
export function typeOf({ typeName }: FieldType, { path }: Scope): Scope {
  const key = `${typeName} in ${path}`
  const type = types.get(key) ?? resolved(typeName, path)
  types.set(key, type)
  return type
}

const types = new Map<string, Scope>()

function resolved(typeName: string, path: string): Scope {
  const scopes = path.split('.')
  for (let length = scopes.length; length >= 0; length--) {
    const found = find([...scopes.slice(0, length), typeName].join('.'))
    if (found !== undefined) return found
  }
  throw new Error(`protos/ define no message ${typeName}`)
}

/** The message of that full name. */
export function find(path: string): Scope | undefined {
  const whole = definitions[path]
  if (whole !== undefined && 'format' in whole) return { path, type: whole.type as MessageType }
  const dot = path.lastIndexOf('.')
  const outer = dot < 0 ? undefined : find(path.slice(0, dot))
  const type = outer?.type.nestedType.find(({ name }) => name === path.slice(dot + 1))
  return type && { path, type }
}

class Bytes {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  over(): boolean {
    return this.#at === this.#bytes.length
  }

  tag(): { readonly number: number; readonly wireType: number } {
    const tag = this.#varint(5)
    const number = Math.floor(tag / 8)
    if (number === 0) throw malformed
    return { number, wireType: tag % 8 }
  }

  part(): Bytes {
    return new Bytes(this.#take(this.#varint(5)))
  }

  /** Goes past a value; tells how many bytes it has. */
  skip(number: number, wireType: number, depth: number): number {
    const begin = this.#at
    if (depth > deepest) throw malformed
    if (wireType === 0) this.#varint(10)
    else if (wireType === 1) this.#take(8)
    else if (wireType === 2) this.part()
    else if (wireType === 3) this.#group(number, depth)
    else if (wireType === 5) this.#take(4)
    else throw malformed
    return this.#at - begin
  }

  #group(number: number, depth: number): void {
    for (;;) {
      const inner = this.tag()
      if (inner.wireType !== 4) this.skip(inner.number, inner.wireType, depth + 1)
      else if (inner.number === number) return
      else throw malformed
    }
  }

  /** A number of up to five bytes (32 bits) or ten (64 bits), of the last of which four bits count or one. */
  #varint(longest: 5 | 10): number {
    let value = 0
    for (let length = 1; length <= longest; length++) {
      if (this.over()) throw malformed
      const byte = this.#bytes[this.#at++] ?? 0
      if (length === longest && byte > (longest === 5 ? 15 : 1)) throw malformed
      value += (byte % 128) * 128 ** (length - 1)
      if (byte < 128) return value
    }
    throw malformed
  }

  #take(length: number): Buffer {
    const end = this.#at + length
    if (end > this.#bytes.length) throw malformed
    const taken = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return taken
  }
}
