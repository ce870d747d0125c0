import { isUtf8 } from 'node:buffer'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { basicCredential } from '../../src/authn/basic-credential.ts'

const encoded = (pair: string | Uint8Array): string => Buffer.from(pair).toString('base64')
const read = (...values: readonly string[]) => basicCredential(new Map([['authorization', values]]))
const refused = (reason: string) => ({ kind: 'refused', reason })
const malformed = refused('malformed-credential')
const pair = (user: string, password: string) => ({ kind: 'credential', user, password })

describe('a Basic credential', () => {
  const cases: readonly (readonly [name: string, value: string, expected: object])[] = [
    ['plain', `Basic ${encoded('ada:secret')}`, pair('ada', 'secret')],
    ['BAS-08 split at the first colon', `Basic ${encoded('ada:a:b:c')}`, pair('ada', 'a:b:c')],
    ['BAS-08 a password of colons', `Basic ${encoded('ada:::')}`, pair('ada', '::')],
    ['spaces in both', `Basic ${encoded('Ada L: pass word ')}`, pair('Ada L', ' pass word ')],
    ['BAS-12 any case of the scheme', `bAsIc ${encoded('ada:secret')}`, pair('ada', 'secret')],
    ['BAS-12 two spaces', `Basic  ${encoded('ada:secret')}`, malformed],
    ['BAS-12 a tab', `Basic\t${encoded('ada:secret')}`, malformed],
    ['BAS-12 no space', `Basic${encoded('ada:secret')}`, { kind: 'absent' }],
    ['BAS-12 nothing behind the scheme', 'Basic', malformed],
    ['BAS-12 a space behind the scheme', 'Basic ', malformed],
    ['BAS-12 something behind the credential', `Basic ${encoded('ada:secret')} `, malformed],
    ['another scheme', 'Bearer abc', { kind: 'absent' }],
    ['no scheme', ' ', { kind: 'absent' }],
    ['nothing', '', { kind: 'absent' }],
    ['two joined by Envoy', `Basic ${encoded('ada:secret')},Basic ${encoded('ada:secret')}`, malformed],
    ['BAS-07 a colon alone', `Basic ${encoded(':')}`, malformed],
    ['BAS-07 no password', `Basic ${encoded('ada:')}`, malformed],
    ['BAS-07 no user', `Basic ${encoded(':secret')}`, malformed],
    ['BAS-07 no colon', `Basic ${encoded('ada')}`, malformed],
    ['BAS-09 NFC', `Basic ${encoded('Zo\u00eb:p\u00e4')}`, pair('Zo\u00eb', 'p\u00e4')],
    ['BAS-09 NFD', `Basic ${encoded('Zoe\u0308:pa\u0308')}`, pair('Zo\u00eb', 'p\u00e4')],
    ['BAS-09 latin-1', `Basic ${encoded(Buffer.from('Zo\u00eb:p\u00e4', 'latin1'))}`, malformed],
    ['BAS-09 an overlong colon', `Basic ${encoded(Buffer.from([0x61, 0xc0, 0xba, 0x62, 0x3a, 0x63]))}`, malformed],
    ['BAS-09 a surrogate', `Basic ${encoded(Buffer.from([0x61, 0x3a, 0xed, 0xa0, 0x80]))}`, malformed],
    ['BAS-04 a zero byte', `Basic ${encoded('ada:pass\0x')}`, malformed],
    ['BAS-10 a control character in the user', `Basic ${encoded('a\u0007da:secret')}`, malformed],
    ['BAS-10 a line feed in the password', `Basic ${encoded('ada:sec\nret')}`, malformed],
    ['BAS-10 a tab', `Basic ${encoded('ada:sec\tret')}`, malformed],
    ['BAS-10 DEL', `Basic ${encoded('ada:secret\u007f')}`, malformed],
    ['BAS-10 a control character above ASCII', `Basic ${encoded('ada:sec\u0085ret')}`, malformed],
    ['BAS-11 a space inside', 'Basic YWRhOnNl Y3JldA==', malformed],
    ['BAS-11 missing padding', 'Basic YWRhOnNlY3JldA', malformed],
    ['BAS-11 half the padding', 'Basic YWRhOnNlY3JldA=', malformed],
    ['BAS-11 too much padding', 'Basic YWRhOnNlY3JldA===', malformed],
    ['BAS-11 padding inside', 'Basic YWRhOg==c2VjcmV0', malformed],
    [
      'BAS-11 url-safe alphabet',
      `Basic ${encoded('ada:\u00ff\u00fe\u00bf?').replaceAll('/', '_').replaceAll('+', '-')}`,
      malformed,
    ],
    ['BAS-11 trailing junk', 'Basic YWRhOnNlY3JldA==!!', malformed],
    ['BAS-11 a newline', 'Basic YWRhOnNlY3JldA==\n', malformed],
    ['BAS-11 bits that mean nothing', 'Basic YWRhOnNlY3JldB==', malformed],
    ['BAS-24 8 KiB and a byte', `Basic ${'A'.repeat(8187)}`, refused('too-large')],
    ['BAS-24 a megabyte', `Basic ${'A'.repeat(2 ** 20)}`, refused('too-large')],
    ['BAS-24 a password of 1024 bytes', `Basic ${encoded(`ada:${'x'.repeat(1024)}`)}`, pair('ada', 'x'.repeat(1024))],
    ['BAS-24 a password of 1025 bytes', `Basic ${encoded(`ada:${'x'.repeat(1025)}`)}`, malformed],
  ]
  it.each(cases)('%s', (_, value, expected) => expect(read(value)).toEqual(expected))

  it('is absent without the header', () => expect(basicCredential(new Map())).toEqual({ kind: 'absent' }))

  it('is refused where the header came twice, even if both are the same', () => {
    expect(read('Basic YTpi', 'Basic YTpi')).toEqual(refused('repeated-credential'))
  })
})

describe('BAS-11 any text', () => {
  const value = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string().map((text) => `Basic ${encoded(text)}`),
    fc.base64String().map((text) => `basic ${text}`),
    fc.string().map((text) => `Basic ${text}`),
  )

  it('is taken in its one spelling only, and never throws', () => {
    fc.assert(
      fc.property(value, (text) => {
        const found = read(text)
        const spelling = found.kind === 'credential' ? encoded(`${found.user}:${found.password}`) : ''
        expect(['absent', 'refused', 'credential']).toContain(found.kind)
        expect(found.kind !== 'credential' || text.slice(6) === spelling || text !== text.normalize('NFC')).toBe(true)
      }),
      { numRuns: 3000 },
    )
  })

  it('is base 64 that encodes back to itself, whatever it ends in', () => {
    const letters = [...'ABQgwEIMUYckos048z9+/=']
    const ends = letters.flatMap((one) => letters.flatMap((two) => letters.map((three) => one + two + three)))
    const all = ['YTpiY', 'YTpi', 'YTpiYTpiY'].flatMap((begin) => ends.map((end) => begin + end))
    // Of those that are: text without control characters, to which nothing else is wrong.
    const right = all.filter((text) => {
      const bytes = Buffer.from(text, 'base64')
      return bytes.toString('base64') === text && isUtf8(bytes) && !/\p{Cc}/u.test(bytes.toString('utf8'))
    })
    expect(right.length).toBeGreaterThan(100)
    expect(all.filter((text) => read(`Basic ${text}`).kind === 'credential')).toEqual(right)
  })

  it('comes back as it was sent', () => {
    const word = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).map((text) => text.normalize('NFC'))
    const clean = word.filter((text) => text !== '' && !/\p{Cc}/u.test(text) && text.isWellFormed())
    fc.assert(
      fc.property(
        clean.filter((user) => !user.includes(':')),
        clean,
        (user, password) => {
          const expected = pair(user.normalize('NFC'), password.normalize('NFC'))
          expect(read(`Basic ${encoded(`${user}:${password}`)}`)).toEqual(expected)
        },
      ),
      { numRuns: 2000 },
    )
  })
})
