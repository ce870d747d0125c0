import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseTarget, queryPairs } from '../../src/model/target.ts'

describe('NRM what makes a path ambiguous', () => {
  const table: readonly (readonly [id: string, path: string, ambiguity: string | undefined])[] = [
    ['NRM-01', '//admin/x', 'empty-segment'],
    ['NRM-01', '///admin', 'empty-segment'],
    ['NRM-01', '/public//admin', 'empty-segment'],
    ['NRM-02', '/public/../admin/secrets', 'dot-segment'],
    ['NRM-02', '/public/./../admin', 'dot-segment'],
    ['NRM-03', '/public/%2e%2e/admin', 'dot-segment'],
    ['NRM-03', '/public/%2E./admin', 'dot-segment'],
    ['NRM-03', '/public/.%2e/admin', 'dot-segment'],
    ['NRM-04', '/admin%2fsecret', 'encoded-separator'],
    ['NRM-04', '/public%2f..%2fadmin', 'encoded-separator'],
    ['NRM-04', '/public%5cadmin', 'encoded-separator'],
    ['NRM-04', '/a%2Fb', 'encoded-separator'],
    ['NRM-03', '/%63onsole', 'encoded-letter'],
    ['NRM-03', '/a%2Db', 'encoded-letter'],
    ['NRM-03', '/%7eada', 'encoded-letter'],
    ['NRM-06', '/public/secret%23/endpoint', 'encoded-delimiter'],
    ['NRM-07', '/api/private%3Fpath=/status', 'encoded-delimiter'],
    ['NRM-09', '/%252e%252e/x', 'double-encoding'],
    ['NRM-09', '/%252f', 'double-encoding'],
    ['NRM-09', '/%25%32%65%25%32%65/x', 'double-encoding'],
    ['NRM-11', '/%c0%ae%c0%ae/admin', 'bad-utf8'],
    ['NRM-11', '/%ff', 'bad-utf8'],
    ['NRM-11', '/caf%C3%A9', undefined],
    ['NRM-11', '/%EF%BC%8E%EF%BC%8E/x', undefined],
    ['NRM-12', '/\\admin', 'backslash'],
    ['NRM-12', '/public\\..\\admin', 'backslash'],
    ['NRM-20', '/admin/.', 'dot-segment'],
    ['NRM-20', '/admin/..', 'dot-segment'],
    ['NRM-20', '/admin.json', undefined],
    ['NRM-20', '/administrator', undefined],
    ['NRM-25', '/a/...', undefined],
    ['NRM-25', '/..', 'dot-segment'],
    ['NRM-25', '/.', 'dot-segment'],
    ['R7', '/a/..;x=1/b', 'dot-segment'],
    ['R7', '/a/%2e%2e%3bx/b', 'dot-segment'],
    ['R7', '/admin;jsessionid=1', 'parameter'],
    ['plain', '/shop/cart/7?next=//x/../y', undefined],
    ['plain', "/a%20b/~user/-_.!$&'()*+,=:@", undefined],
  ]
  it.each(table)('%s %s', (_, path, ambiguity) => {
    expect(parseTarget(path)?.ambiguous).toBe(ambiguity)
  })
})

describe('NRM what is no target at all', () => {
  const long = `/${'a'.repeat(40_000)}`
  const deep = '/a'.repeat(2_000)
  const table: readonly (readonly [string, string])[] = [
    ['NRM-06 raw fragment', '/public#x'],
    ['NRM-10 encoded NUL', '/a%00'],
    ['NRM-10 encoded LF', '/a%0a'],
    ['NRM-10 encoded CR', '/a%0D'],
    ['NRM-10 encoded DEL', '/a%7f'],
    ['NRM-10 tab', '/a\tb'],
    ['NRM-10 empty', ''],
    ['NRM-11 raw non-ASCII', '/caf\u00e9'],
    ['NRM-13 absolute form', 'http://evil/admin'],
    ['NRM-13 authority form', 'evil:443'],
    ['NRM-26 64 KiB', long],
    ['NRM-26 2,000 segments', deep],
    ['bad escape', '/a%zz'],
    ['cut escape', '/a%2'],
    ['space', '/a b'],
  ]
  it.each(table)('%s', (_, target) => {
    expect(parseTarget(target)).toBeUndefined()
  })
})

it('keeps what it was given: no input is decoded, shortened or repaired', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), (text) => {
      const target = parseTarget(`/${text}`)
      if (target === undefined) return true
      const rebuilt = target.query === undefined ? target.path : `${target.path}?${target.query}`
      return target.raw === `/${text}` && rebuilt === target.raw
    }),
  )
})

it('finds every path that a lenient server would resolve to another', () => {
  const piece = fc.constantFrom(
    '..',
    '.',
    '%2e',
    '%2E%2e',
    'a',
    'admin',
    '%61',
    '',
    ';x',
    '%2f',
    '\\',
    '%5c',
    '%252e',
    '%25%32%65',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
      const target = parseTarget(`/${pieces.join('/')}`)
      if (target === undefined || target.ambiguous !== undefined) return true
      let decoded = target.path
      for (let round = 0; round < 3; round += 1) decoded = decodeURIComponent(decoded)
      const resolved = new URL(`http://h${decoded.replaceAll('\\', '/')}`).pathname
      return resolved === decoded && !decoded.includes('//')
    }),
    { numRuns: 2000 },
  )
})

describe('NRM-24 query parameters', () => {
  const many = Array.from({ length: 10_000 }, (_, index) => `a${index}=1`).join('&')
  const table: readonly (readonly [string, string | undefined, readonly (readonly [string, string])[] | undefined])[] =
    [
      ['absent', undefined, []],
      [
        'repeated',
        'a=1&a=2',
        [
          ['a', '1'],
          ['a', '2'],
        ],
      ],
      ['semicolons do not separate', 'a=1;a=2', [['a', '1;a=2']]],
      ['encoded names are equal', '%61=1', [['a', '1']]],
      ['brackets mean nothing', 'a[]=1', [['a[]', '1']]],
      ['bounded', many, undefined],
      ['bad escape', 'a=%zz', undefined],
    ]
  it.each(table)('%s', (_, query, pairs) => {
    expect(queryPairs(query)).toEqual(pairs)
  })
})

it('a short target, which takes one look, is read as a long one is', () => {
  const piece = fc.constantFrom(
    '/',
    '/',
    '/a',
    'b',
    '.',
    '~',
    '-',
    '_',
    '?',
    '#',
    '%',
    '%2f',
    '%41',
    ';',
    '\\',
    ' ',
    '\x7f',
    'é',
    '*',
  )
  const long = `/${'a'.repeat(1_100)}`
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const rest = `/${pieces.join('')}`
      const [short, whole] = [parseTarget(rest), parseTarget(`${long}${rest}`)]
      expect(short && { ...short, raw: undefined }).toEqual(
        whole && { ...whole, raw: undefined, path: whole.path.slice(long.length) },
      )
    }),
    { numRuns: 5_000 },
  )
})

it('what does not begin with a slash is no target, however plain', () => {
  expect(['', '?a', 'a', 'a/b', 'a?b'].map(parseTarget)).toEqual(Array.from({ length: 5 }, () => undefined))
})
