import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  apiKeyFault,
  hashApiKey,
  keyDigest,
  newApiKey,
  parseApiKeys,
  parseExpiry,
} from '../../src/authn/api-key-line.ts'

const read = (text: string): ReturnType<typeof parseApiKeys> => parseApiKeys(Buffer.from(text, 'latin1'), [])
const key = 'abcdefghijklmnop-0123456789'
const digest = createHash('sha256').update(key, 'latin1').digest('base64url')

describe('a line', () => {
  it.each([
    ['a key', key, 1],
    ['a key with a newline', `${key}\n`, 1],
    ['a key with CRLF', `${key}\r\n`, 1],
    ['a hash', hashApiKey(key), 1],
    ['a hash with an expiry', hashApiKey(key, new Date('2027-01-01T00:00:00Z')), 1],
    ['two, with a blank between', `${hashApiKey(key)}\n\n${newApiKey()}\n`, 2],
  ])('%s', (_, text, count) => {
    const result = read(text)
    expect(result.ok && result.value.lines.length).toBe(count)
    expect(keyDigest(key)).toBe(digest)
    expect(result.ok && result.value.lines[0]?.digest).toBe(digest)
  })

  it.each([
    ['nothing', '\n\n'],
    ['a cut digest', `$gatehouse-key$sha256$${digest.slice(1)}`],
    ['a digest with padding', `$gatehouse-key$sha256$${digest}=`],
    ['a digest of the other alphabet', `$gatehouse-key$sha256$${'+'.repeat(43)}`],
    ['stray bits at the end', `$gatehouse-key$sha256$${'A'.repeat(42)}B`],
    ['another algorithm', `$gatehouse-key$sha512$${digest}`],
    ['an unknown parameter', `$gatehouse-key$sha256$${digest}$uses=1`],
    ['an empty expiry', `$gatehouse-key$sha256$${digest}$expires=`],
    ['an expiry without a zone', `$gatehouse-key$sha256$${digest}$expires=2027-01-01T00:00:00`],
    ['a second bad line', `${key}\nshort`],
    ['beyond ASCII', 'schlüsselschlüssel'],
    ['NUL', 'abcdefgh\0ijklmnopq'],
    ['too long', 'k'.repeat(1025)],
  ])('is refused: %s', (_, text) => {
    expect(read(text).ok).toBe(false)
  })

  it('is written as documented', () => {
    expect(hashApiKey(key, new Date('2027-01-01T00:00:00Z'))).toBe(
      `$gatehouse-key$sha256$${digest}$expires=2027-01-01T00:00:00Z`,
    )
  })

  it('reads what it writes, for any key', () => {
    const keys = fc.string({
      unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
      minLength: 8,
      maxLength: 1024,
    })
    const dates = fc.date({ min: new Date('2000-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
    fc.assert(
      fc.property(keys, fc.option(dates, { nil: undefined }), (one, until) => {
        expect(apiKeyFault(one)).toBeUndefined()
        const result = read(hashApiKey(one, until))
        expect(result.ok && result.value.lines).toEqual([{ digest: keyDigest(one), expires: until?.getTime() }])
      }),
    )
  })

  it('never throws and never repeats its text, whatever it is', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const result = read(`c4n4ry ${text}`)
        expect(JSON.stringify(result)).not.toContain('c4n4ry')
      }),
    )
  })
})

describe('a new key', () => {
  it('is fit, long, and each another', () => {
    const keys = Array.from({ length: 100 }, newApiKey)
    expect(new Set(keys).size).toBe(100)
    expect(keys.filter((one) => apiKeyFault(one) !== undefined || one.length < 43)).toEqual([])
  })
})

describe('an expiry', () => {
  it.each([
    ['2027-01-01T00:00:00Z', Date.UTC(2027, 0, 1)],
    ['2027-01-01T00:00:00.5Z', Date.UTC(2027, 0, 1, 0, 0, 0, 500)],
    ['2027-01-01T02:00:00+02:00', Date.UTC(2027, 0, 1)],
    ['2028-02-29T00:00:00Z', Date.UTC(2028, 1, 29)],
    ['2027-02-29T00:00:00Z', undefined],
    ['2027-02-30T00:00:00Z', undefined],
    ['2027-13-01T00:00:00Z', undefined],
    ['2027-01-01', undefined],
    ['2027-01-01 00:00:00Z', undefined],
    ['2027-01-01T00:00:00', undefined],
    ['1798761600', undefined],
    ['', undefined],
  ])('%s → %s', (text, expected) => {
    expect(parseExpiry(text)).toBe(expected)
  })
})
