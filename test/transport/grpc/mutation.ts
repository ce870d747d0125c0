/* Changes to protobuf messages: some to their bytes, more to their fields, so that what comes out is often a message still. */

/** Numbers that are the same in each run with the same seed (mulberry32). */
export function randomness(seed: number) {
  let state = seed
  const below = (limit: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
  const pick = <T>(...all: readonly [T, ...T[]]): T => all[below(all.length)] ?? all[0]
  return { below, pick }
}

type Randomness = ReturnType<typeof randomness>

/** A field of a message; what holds a message itself has its fields. */
interface Field {
  number: number
  wireType: number
  content: Buffer | Field[]
}

const maxDepth = 16

function varint(value: number, padding = 0): Buffer {
  const bytes: number[] = []
  let left = value
  for (; left > 127; left = Math.floor(left / 128)) bytes.push((left % 128) | 128)
  bytes.push(left)
  for (let n = 0; n < padding; n++) {
    bytes.push((bytes.pop() ?? 0) | 128)
    bytes.push(0)
  }
  return Buffer.from(bytes)
}

/** The fields of a message, or undefined for bytes that are none, or nothing like one of ours. */
function fieldsOf(bytes: Buffer, depth = 0): Field[] | undefined {
  const fields: Field[] = []
  let at = 0
  const number = (): number => {
    let value = 0
    for (let shift = 0; shift < 4; shift++) {
      const byte = bytes[at++] ?? 255
      value += (byte & 127) * 128 ** shift
      if (byte < 128) return value
    }
    return -1
  }
  while (at < bytes.length) {
    const tag = number()
    if (tag < 8 || tag > 200 || (tag & 7) > 2) return undefined
    const begin = at
    const length = (tag & 7) === 2 ? number() : (tag & 7) === 1 ? 8 : number() && at - begin
    const from = (tag & 7) === 2 ? at : begin
    if (length < 0 || from + length > bytes.length) return undefined
    at = from + length
    const content = bytes.subarray(from, at)
    const inner = (tag & 7) === 2 && length > 1 && depth < maxDepth ? fieldsOf(content, depth + 1) : undefined
    fields.push({ number: tag >> 3, wireType: tag & 7, content: inner ?? content })
  }
  return fields
}

const bytesOf = (fields: readonly Field[], padded: Randomness | undefined): Buffer =>
  Buffer.concat(
    fields.flatMap(({ number, wireType, content }) => {
      const pad = padded !== undefined && padded.below(30) === 0 ? padded.below(10) : 0
      const inner = Buffer.isBuffer(content) ? content : bytesOf(content, padded)
      return [
        varint(number * 8 + wireType, pad === 3 ? 1 : 0),
        ...(wireType === 2 ? [varint(inner.length, pad)] : []),
        inner,
      ]
    }),
  )

const words = [
  'authorization',
  'Authorization',
  'x-envoy-auth-partial-body',
  'X_User',
  'x.user',
  ':path',
  '__proto__',
  'constructor',
  '7',
  'false',
  'CONNECT',
  'GET',
  'https',
  'a,b',
  'a\tb',
  'a\rb',
  'a\x7fb',
  'é',
  '\u212a',
  '',
  '/a/../b',
  '/a?b',
  'shop',
  'namespace',
  'envoy-gateway',
  'HTTPRoute',
]

const leaf = (random: Randomness): Buffer =>
  random.below(200) === 0
    ? Buffer.alloc(40_000, 'x')
    : random.below(4) === 0
      ? Buffer.from(Array.from({ length: random.below(6) }, () => random.below(256)))
      : Buffer.from(words[random.below(words.length)] ?? '')

/** Groups in groups, all empty. */
const groups = (depth: number): Buffer =>
  Buffer.concat([Buffer.from('ab01'.repeat(depth), 'hex'), Buffer.from('ac01'.repeat(depth), 'hex')])

function strangeField(random: Randomness): Field {
  const number = random.pick(1, 2, 3, 5, 9, 13, 15, 16, 31, 32, 2_000, 536_870_911)
  const deep = random.pick(1, 2, 90, 98, 99, 100, 101, 120)
  const kinds: readonly [() => Field, ...(() => Field)[]] = [
    () => ({ number, wireType: 2, content: leaf(random) }),
    () => ({ number, wireType: 0, content: varint(random.below(1_000_000), random.below(12)) }),
    () => ({ number, wireType: 1, content: Buffer.alloc(8, random.below(256)) }),
    () => ({ number, wireType: 5, content: Buffer.alloc(4, random.below(256)) }),
    () => ({ number, wireType: 3, content: Buffer.concat([Buffer.from([0x08, 0x01]), varint(number * 8 + 4)]) }),
    () => ({ number, wireType: 3, content: varint(random.below(400)) }),
    () => ({ number, wireType: random.below(8), content: leaf(random) }),
    () => ({ number: 20, wireType: 2, content: groups(deep) }),
    () => ({ number: 21, wireType: 3, content: Buffer.concat([groups(deep), Buffer.from([0xac, 0x01])]) }),
  ]
  return random.pick(...kinds)()
}

const copied = ({ content, ...rest }: Field): Field => ({
  ...rest,
  content: Buffer.isBuffer(content) ? content : content.map(copied),
})

/** `Struct` in `Struct`, as an entry of `fields`. */
function nested(depth: number): Field {
  let value: Field = { number: 3, wireType: 2, content: Buffer.from('x') }
  for (let n = 0; n < depth; n++) {
    const entry: Field[] = [
      { number: 1, wireType: 2, content: Buffer.from('a') },
      { number: 2, wireType: 2, content: [value] },
    ]
    value = { number: 5, wireType: 2, content: [{ number: 1, wireType: 2, content: entry }] }
  }
  return value
}

/** Does one thing to one field somewhere in the message, or to a list of them. */
function change(fields: Field[], random: Randomness): void {
  const lists: Field[][] = []
  const collect = (list: Field[]): void => {
    lists.push(list)
    for (const { content } of list) if (!Buffer.isBuffer(content)) collect(content)
  }
  collect(fields)
  const list = lists[random.below(lists.length)] ?? fields
  const other = lists[random.below(lists.length)] ?? fields
  const at = random.below(list.length + 1)
  const field = list[Math.min(at, list.length - 1)]
  const actions: (() => unknown)[] = [
    () => list.splice(at, 0, strangeField(random)),
    () => list.splice(at, 1),
    () => field && list.splice(random.below(list.length + 1), 0, copied(field)),
    () => field && other.splice(random.below(other.length + 1), 0, copied(field)),
    () => field && (field.number = random.pick(1, 2, 3, 4, 6, 10, 11, 12, 13, 14)),
    () => field && (field.wireType = random.below(8)),
    () => field && Buffer.isBuffer(field.content) && field.wireType === 2 && (field.content = leaf(random)),
    () => field && Buffer.isBuffer(field.content) && field.wireType === 2 && (field.content = leaf(random)),
    () => list.splice(0, list.length, ...list.toReversed()),
    () => list.splice(at, 0, nested(random.pick(1, 3, 20, 30, 45, 48, 49, 50, 51))),
  ]
  actions[random.below(actions.length)]?.()
}

function spoilt(bytes: Buffer, random: Randomness): Buffer {
  const at = random.below(bytes.length + 1)
  const changed = Buffer.from(bytes)
  switch (random.below(5)) {
    case 0:
      return changed.subarray(0, at)
    case 1:
      return Buffer.concat([changed.subarray(0, at), leaf(random), changed.subarray(at)])
    case 2:
      return Buffer.concat([changed.subarray(0, at), changed.subarray(at + random.below(6))])
    default:
      for (let n = random.below(3); n >= 0; n--) {
        const place = random.below(bytes.length)
        changed[place] = (changed[place] ?? 0) ^ (1 << random.below(8))
      }
      return changed
  }
}

const known = new WeakMap<Buffer, readonly Field[]>()

/** The message after a few changes to its fields, sometimes its lengths and sometimes its bytes. */
export function mutated(message: Buffer, random: Randomness): Buffer {
  const whole = known.get(message) ?? fieldsOf(message) ?? []
  known.set(message, whole)
  const fields = whole.map(copied)
  for (let n = random.below(4); n > 0; n--) change(fields, random)
  const bytes = bytesOf(fields, random.below(4) === 0 ? random : undefined)
  return random.below(4) === 0 ? spoilt(bytes, random) : bytes
}
