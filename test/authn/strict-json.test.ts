import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseStrictJson } from '../../src/authn/strict-json.ts'

const limits = { maxBytes: 1_000_000, maxMembers: 1_000_000 }
const parse = (text: string | Uint8Array): unknown => parseStrictJson(text, limits)

describe('parseStrictJson', () => {
  it.each([
    ['nothing', ''],
    ['space', '  '],
    ['two values', '1 2'],
    ['trailing comma in a list', '[1,]'],
    ['trailing comma in an object', '{"a":1,}'],
    ['leading comma', '[,1]'],
    ['no comma', '[1 2]'],
    ['no colon', '{"a" 1}'],
    ['unquoted name', '{a:1}'],
    ['single quotes', "{'a':1}"],
    ['comment', '{"a":1}//'],
    ['block comment', '/**/{}'],
    ['unclosed', '{"a":[1}'],
    ['wrong close', '[1}'],
    ['leading zero', '01'],
    ['plus', '+1'],
    ['bare point', '1.'],
    ['NaN', 'NaN'],
    ['Infinity', '-Infinity'],
    ['overflow', '1e400'],
    ['True', 'True'],
    ['control character', '"a\nb"'],
    ['bad escape', '"\\x41"'],
    ['short escape', '"\\u12"'],
    ['lone surrogate', '"\\ud800"'],
    ['lone surrogate as a name', '{"\\udc00":1}'],
    ['BOM', '\ufeff{}'],
    ['other space', '\u00a0{}'],
    ['duplicate member', '{"a":1,"a":1}'],
    ['duplicate member, escaped', '{"a":1,"\\u0061":2}'],
    ['duplicate __proto__', '{"__proto__":1,"__proto__":2}'],
    ['unclosed text', '"abc'],
  ])('refuses %s', (_name, text) => {
    expect(parse(text)).toBeUndefined()
    expect(parse(Buffer.from(text))).toBeUndefined()
  })

  it.each([
    ['bad byte', [0x22, 0xff, 0x22]],
    ['overlong slash', [0x22, 0xc0, 0xaf, 0x22]],
    ['half a character', [0x22, 0xe2, 0x82, 0x22]],
    ['a surrogate in UTF-8', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['BOM', [0xef, 0xbb, 0xbf, 0x7b, 0x7d]],
    ['UTF-16', [0x7b, 0x00, 0x7d, 0x00]],
  ])('refuses bytes: %s', (_name, bytes) => {
    expect(parse(Uint8Array.from(bytes))).toBeUndefined()
  })

  it('reads whatever JSON.stringify writes, as JSON.parse does, or refuses it', () => {
    const plain = (value: unknown): string => JSON.stringify(value)
    fc.assert(
      fc.property(fc.json({ maxDepth: 6, stringUnit: 'grapheme' }), fc.constantFrom(0, 1, 4), (text, indent) => {
        const value: unknown = JSON.parse(text)
        expect(plain(parse(JSON.stringify(value, undefined, indent)))).toBe(plain(value))
      }),
      { numRuns: 500 },
    )
  })

  it('never takes what JSON.parse refuses, and never throws', () => {
    const noise = fc.array(
      fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '"a"', '\\', '1', '-', 'e', '.', 'null', ' ', '\ufeff'),
    )
    fc.assert(
      fc.property(noise, (parts) => {
        const text = parts.join('')
        const ours = parse(text)
        if (ours !== undefined) expect(JSON.stringify(ours)).toBe(JSON.stringify(JSON.parse(text)))
      }),
      { numRuns: 5000 },
    )
  })

  it('makes frozen objects of own members only', () => {
    const value = parse('{"a":{"__proto__":{"x":1}},"b":[{}]}') as { a: object; b: object[] }
    expect(Object.getPrototypeOf(value)).toBeNull()
    expect(Object.getPrototypeOf(value.a)).toBeNull()
    expect(Object.hasOwn(value.a, '__proto__')).toBe(true)
    expect('x' in value.a).toBe(false)
    expect([value, value.a, value.b, value.b[0]].every((one) => Object.isFrozen(one))).toBe(true)
  })

  it('JWT-20 bounds bytes, depth and members', () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
    expect(parseStrictJson(nested(32), limits)).toBeDefined()
    expect(parseStrictJson(nested(33), limits)).toBeUndefined()
    expect(parseStrictJson(nested(50_000), limits)).toBeUndefined()
    expect(parseStrictJson('[1,2,3]', { maxBytes: 7, maxMembers: 3 })).toEqual([1, 2, 3])
    expect(parseStrictJson('[1,2,3]', { maxBytes: 6 })).toBeUndefined()
    expect(parseStrictJson('[1,2,3]', { maxBytes: 7, maxMembers: 2 })).toBeUndefined()
    expect(parseStrictJson('{"a":[1],"b":2}', { maxBytes: 99, maxMembers: 2 })).toBeUndefined()
  })

  it('JWT-21 50 000 colliding integer names end at the member bound, and cost what others do', () => {
    // V8 hashes array-index names by their value: steps of 2^20 fall into few buckets.
    const names = Array.from({ length: 50_000 }, (_, index) => `"${(index * 1_048_576) % 4_294_967_295}_${index}":0`)
    const integers = Array.from({ length: 50_000 }, (_, index) => `"${index * 65_536}":0`)
    const harmless = Array.from({ length: 50_000 }, (_, index) => `"name-${index}":0`)
    const least = (members: readonly string[]): number => {
      const bytes = Buffer.from(`{${members.join(',')}}`)
      const times = Array.from({ length: 7 }, () => {
        const started = performance.now()
        expect(parseStrictJson(bytes, { maxBytes: 4_000_000 })).toBeUndefined()
        return performance.now() - started
      })
      return Math.min(...times)
    }
    const usual = least(harmless)
    // By the square of the members it would be some thousand times.
    for (const members of [names, integers]) expect(least(members) / usual).toBeLessThan(20)
  })
})
