/* As much of HPACK (RFC 7541) as the load client needs: it asks servers for a dynamic table of size 0, so that every block stands for itself. */

const integer = (value: number, prefix: number, first: number): readonly number[] => {
  const most = 2 ** prefix - 1
  if (value < most) return [first | value]
  const rest = [first | most]
  for (let left = value - most; ; left = Math.floor(left / 128)) {
    if (left < 128) return [...rest, left]
    rest.push((left % 128) | 128)
  }
}

const literal = (text: string): readonly number[] => [...integer(text.length, 7, 0), ...Buffer.from(text, 'latin1')]

/** Index of a whole field of the static table (RFC 7541 appendix A). */
export type StaticField = number

/** A field, by its place in the static table or by name and value; a number as name is its place there. */
export type Field = StaticField | readonly [name: string | number, value: string]

/** The blocks of a client that sends the same fields again and again, as Envoy does: the first time in full, later by index. */
export function requestBlocks(fields: readonly Field[]): { readonly first: Buffer; readonly later: Buffer } {
  const named = fields.filter((field) => typeof field !== 'number')
  const first = fields.flatMap((field) => {
    if (typeof field === 'number') return integer(field, 7, 0x80)
    const [name, value] = field
    const start = typeof name === 'number' ? integer(name, 6, 0x40) : [0x40, ...literal(name)]
    return [...start, ...literal(value)]
  })
  const later = fields.flatMap((field) =>
    integer(typeof field === 'number' ? field : 61 + named.length - named.indexOf(field), 7, 0x80),
  )
  return { first: Buffer.from(first), later: Buffer.from(later) }
}

/** `:status` of the static table; other fields of it are not looked at. */
const statuses: Readonly<Record<number, string>> = {
  8: '200',
  9: '204',
  10: '206',
  11: '304',
  12: '400',
  13: '404',
  14: '500',
}

/** Reads a block of a server that keeps no dynamic table: its `:status`, and the fields that it spells out. */
export function readBlock(block: Buffer): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  const from = { block, at: 0 }
  while (from.at < block.length) {
    const byte = block[from.at] ?? 0
    if (byte >= 0x80) {
      const status = statuses[readInteger(from, 7)]
      if (status !== undefined) fields.set(':status', status)
    } else if (byte >= 0x20 && byte < 0x40) {
      readInteger(from, 5) // size update
    } else {
      const index = readInteger(from, byte >= 0x40 ? 6 : 4)
      const name = index === 0 ? readText(from) : index in statuses ? ':status' : `static ${index}`
      fields.set(name, readText(from))
    }
  }
  return fields
}

interface Cursor {
  readonly block: Buffer
  at: number
}

function readInteger(from: Cursor, prefix: number): number {
  const most = 2 ** prefix - 1
  let value = (from.block[from.at++] ?? 0) & most
  if (value < most) return value
  for (let factor = 1; ; factor *= 128) {
    const byte = from.block[from.at++]
    if (byte === undefined) throw new Error('a header block that ends too soon')
    value += (byte & 127) * factor
    if (byte < 128) return value
  }
}

function readText(from: Cursor): string {
  const huffman = ((from.block[from.at] ?? 0) & 0x80) !== 0
  const length = readInteger(from, 7)
  const bytes = from.block.subarray(from.at, (from.at += length))
  return huffman ? unpack(bytes) : bytes.toString('latin1')
}

// Appendix B is a canonical code: the lengths alone tell it. Printable characters only, for no server sends others here.
const lengths: readonly (readonly [bits: number, symbols: string])[] = [
  [5, '012aceiost'],
  [6, ' %-./3456789=A_bdfghlmnpru'],
  [7, ':BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz'],
  [8, '&*,;XZ'],
  [10, '!"()?'],
  [11, "'+|"],
  [12, '#>'],
]

const codes: ReadonlyMap<string, string> = (() => {
  const found = new Map<string, string>()
  let code = 0
  let width = 5
  for (const [bits, symbols] of lengths) {
    code <<= bits - width
    width = bits
    for (const symbol of symbols) found.set((code++).toString(2).padStart(bits, '0'), symbol)
  }
  return found
})()

function unpack(bytes: Buffer): string {
  let text = ''
  let code = ''
  for (const bit of [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')) {
    code += bit
    const symbol = codes.get(code)
    if (symbol === undefined) continue
    text += symbol
    code = ''
  }
  if (code.length > 7) throw new Error('a header value that is not printable')
  return text
}
