import { wire } from './wire-cursor.ts'

/*
 * Every message that a CheckRequest can hold (envoy/service/auth/v3/external_auth.proto and what it imports), so that all of it is
 * known to be sound and what is judged is found on the way. A test compares this with the vendored protos.
 */

/** One field of a message. */
export interface Field {
  readonly wire: number
  /**
   * What is done with it: `skip`, see that it is a `number` of 32 bits, remember where it is (`text`; `span` for all entries of a map together), go into it (`one`, `each`,
   * and `entry` for those of a map, which count as no level), or take a header out of it (`joined`, `raw`).
   */
  readonly use: 'skip' | 'number' | 'text' | 'span' | 'one' | 'each' | 'entry' | 'joined' | 'raw'
  /** What it goes into; without fields where it goes into nothing. */
  readonly message: Message
  /** Where a check keeps it, -1 for nowhere. Index of the first of two numbers: where it begins and where it ends. */
  readonly slot: number
}

/** The fields of a message by number. */
export interface Message {
  readonly fields: readonly (Field | undefined)[]
  /** True for an entry of a map whose value is a message: it must not be left out. */
  readonly valued: boolean
}

/** What a check is judged by; each takes two numbers. */
export const slot = {
  http: 0,
  method: 2,
  path: 4,
  host: 6,
  scheme: 8,
  source: 10,
  extensions: 12,
  metadata: 14,
} as const
export const slots = 16

const nowhere = -1
const leaf: Message = { fields: [], valued: false }

function message(rows: Readonly<Record<number, Field>>, valued = false): Message {
  const fields: (Field | undefined)[] = []
  for (const [number, field] of Object.entries(rows)) fields[Number(number)] = field
  return { fields: Array.from(fields), valued }
}

const skipped = (type: number): Field => ({ wire: type, use: 'skip', message: leaf, slot: nowhere })
const number: Field = { ...skipped(wire.varint), use: 'number' }
const long = skipped(wire.varint)
const double = skipped(wire.fixed64)
const bytes = skipped(wire.bytes)
const text = (at: number): Field => ({ ...bytes, use: 'text', slot: at })
const one = (of: Message, at: number = nowhere): Field => ({ ...bytes, use: 'one', message: of, slot: at })
const each = (of: Message): Field => ({ ...bytes, use: 'each', message: of })

const textEntry = message({ 1: bytes, 2: bytes })
const texts: Field = { ...bytes, use: 'entry', message: textEntry }
const mapTo = (value: Message): Field => ({ ...texts, message: message({ 1: bytes, 2: one(value) }, true) })

// google/protobuf: Struct and Value hold each other
const values: (Field | undefined)[] = []
const value: Message = { fields: values, valued: false }
const struct = message({ 1: mapTo(value) })
const listValue = message({ 1: each(value) })
values.push(undefined, number, double, bytes, number, one(struct), one(listValue))
const any = message({ 1: bytes, 2: bytes })
const timestamp = message({ 1: long, 2: number })

// envoy/config/core/v3
const metadata = message({ 1: mapTo(struct), 2: mapTo(any) })
const pipe = message({ 1: bytes, 2: number })
const internalAddress = message({ 1: bytes, 2: bytes })
const socketAddress = (address: Field): Message =>
  message({ 1: number, 2: address, 3: number, 4: bytes, 5: bytes, 6: number, 7: bytes })
const addressOf = (address: Field): Message =>
  message({ 1: one(socketAddress(address)), 2: one(pipe), 3: one(internalAddress) })
export const headerValue = message({ 1: bytes, 2: bytes, 3: bytes })
const headerMap = message({ 1: { ...bytes, use: 'raw', message: headerValue } })

// envoy/service/auth/v3
const peer = (address: Field): Message =>
  message({ 1: one(addressOf(address)), 2: bytes, 3: texts, 4: bytes, 5: bytes })
const httpRequest = message({
  1: bytes,
  2: text(slot.method),
  3: { ...texts, use: 'joined' },
  4: text(slot.path),
  5: text(slot.host),
  6: text(slot.scheme),
  7: bytes,
  8: bytes,
  9: long,
  10: bytes,
  11: bytes,
  12: bytes,
  13: one(headerMap),
})
const request = message({ 1: one(timestamp), 2: one(httpRequest, slot.http) })
const attributeContext = message({
  1: one(peer(text(slot.source))),
  2: one(peer(bytes)),
  4: one(request),
  10: { ...texts, use: 'span', slot: slot.extensions },
  11: one(metadata),
  12: one(message({ 1: bytes })),
  13: one(metadata, slot.metadata),
})

/** `envoy.service.auth.v3.CheckRequest`. */
export const checkRequest = message({ 1: one(attributeContext) })
