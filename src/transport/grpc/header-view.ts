import { headersFault, limits } from '../../model/header-facts.ts'
import type { HeaderFacts } from '../../model/header-facts.ts'
import type { HeaderMap } from '../../model/header.ts'
import type { HeaderRange } from './header-range.ts'
import { nameKinds, nameSum, SumSet } from './name-sum.ts'
import { plainText } from './plain-text.ts'

/**
 * Headers as nearly every check has them: each name once and in lower case, each value visible ASCII. They stay in the bytes of the
 * check until somebody asks for one. Undefined for any others, which take more thought.
 */
export function headerView(
  bytes: Buffer,
  ranges: readonly HeaderRange[],
): { readonly headers: HeaderMap; readonly facts: HeaderFacts } | undefined {
  if (ranges.length > limits.headerFields) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const kept: HeaderRange[] = []
  const names = new SumSet()
  const unusualNames: string[] = []
  let size = 0
  let longestValue = 0
  for (const range of ranges) {
    const { name, nameEnd, value, valueEnd } = range
    if (name === nameEnd || bytes[name] === colon) continue // a pseudo-header
    const sum = nameSum(view, name, nameEnd)
    const strange = (sum & nameKinds.strange) !== 0
    if (strange || !names.add(sum) || !plainText(view, value, valueEnd)) return undefined
    if ((sum & nameKinds.unusual) !== 0) unusualNames.push(bytes.toString('latin1', name, nameEnd))
    kept.push(range)
    size += nameEnd - name + valueEnd - value
    longestValue = Math.max(longestValue, valueEnd - value)
  }
  const headers = new View(bytes, kept)
  const credentials = headers.get('authorization')?.[0]?.includes(',') === true
  const fault = headersFault({ fields: kept.length, bytes: size, longestValue, controls: false, credentials })
  return { headers, facts: { unusualNames, fault } }
}

const colon = 0x3a

class View implements HeaderMap {
  readonly #bytes: Buffer
  readonly #ranges: readonly HeaderRange[]
  /** What was asked for last: methods ask for one credential several times. */
  #last: readonly [name: string, values: readonly string[] | undefined] = ['', undefined]

  constructor(bytes: Buffer, ranges: readonly HeaderRange[]) {
    this.#bytes = bytes
    this.#ranges = ranges
  }

  get size(): number {
    return this.#ranges.length
  }

  get(name: string): readonly string[] | undefined {
    if (this.#last[0] === name) return this.#last[1]
    const range = this.#find(name)
    const values = range === undefined ? undefined : [this.#value(range)]
    this.#last = [name, values]
    return values
  }

  has(name: string): boolean {
    return this.#find(name) !== undefined
  }

  keys(): Iterable<string> {
    return this.#ranges.map((range) => this.#name(range))
  }

  *[Symbol.iterator](): Iterator<readonly [string, readonly string[]]> {
    for (const range of this.#ranges) yield [this.#name(range), [this.#value(range)]]
  }

  // Text of its own each time, and never a part of the whole message's: who keeps one keeps no more.
  #name({ name, nameEnd }: HeaderRange): string {
    return this.#bytes.toString('latin1', name, nameEnd)
  }

  #value({ value, valueEnd }: HeaderRange): string {
    return this.#bytes.toString('latin1', value, valueEnd)
  }

  #find(name: string): HeaderRange | undefined {
    for (const range of this.#ranges) {
      if (range.nameEnd - range.name === name.length && this.#named(range, name)) return range
    }
    return undefined
  }

  #named(range: HeaderRange, name: string): boolean {
    for (let at = 0; at < name.length; at++) {
      if (this.#bytes[range.name + at] !== name.charCodeAt(at)) return false
    }
    return true
  }
}
