import { describe, expect, it } from 'vitest'
import { claims } from '../../src/authz/claims.ts'
import { subject } from './subject.ts'

type Block = Parameters<typeof claims.compile>[0]
type Entry = Block[number]

function holdsFor(entries: readonly Entry[], json: string): string {
  const result = claims.compile(claims.schema.parse(entries))
  if (!result.ok) throw new Error(JSON.stringify(result.findings))
  return result.value(subject({ claims: json })).kind
}

const table: readonly [string, Entry, string, boolean][] = [
  ['equals: text', { path: ['a'], equals: 'x' }, '{"a":"x"}', true],
  ['equals: another text', { path: ['a'], equals: 'x' }, '{"a":"X"}', false],
  ['equals: a number', { path: ['a'], equals: 1 }, '{"a":1}', true],
  ['equals: text is no number', { path: ['a'], equals: 1 }, '{"a":"1"}', false],
  ['equals: a number is no text', { path: ['a'], equals: '1' }, '{"a":1}', false],
  ['equals: true', { path: ['a'], equals: true }, '{"a":true}', true],
  ['equals: text is no bool', { path: ['a'], equals: true }, '{"a":"true"}', false],
  ['equals: false is not "missing"', { path: ['a'], equals: false }, '{}', false],
  ['equals: a list of it is not it', { path: ['a'], equals: 'x' }, '{"a":["x"]}', false],
  [
    'contains: in a list',
    { path: ['realm_access', 'roles'], contains: 'clerk' },
    '{"realm_access":{"roles":["a","clerk"]}}',
    true,
  ],
  ['contains: part of an element', { path: ['a'], contains: 'adm' }, '{"a":["admin"]}', false],
  ['contains: part of a text', { path: ['a'], contains: 'admin' }, '{"a":"administrator"}', false],
  ['contains: the text itself is no list', { path: ['a'], contains: 'x' }, '{"a":"x"}', false],
  ['contains: a number among texts', { path: ['a'], contains: 1 }, '{"a":["1"]}', false],
  ['contains: within an inner list', { path: ['a'], contains: 'x' }, '{"a":[["x"]]}', false],
  ['contains: a key of an object', { path: ['a'], contains: 'x' }, '{"a":{"x":1}}', false],
  ['oneOf: yes', { path: ['a'], oneOf: ['x', 'y'] }, '{"a":"y"}', true],
  ['oneOf: no', { path: ['a'], oneOf: ['x', 'y'] }, '{"a":"z"}', false],
  ['oneOf: the list itself', { path: ['a'], oneOf: ['x', 'y'] }, '{"a":["x","y"]}', false],
  ['matches: all of it', { path: ['a'], matches: 'adm.*' }, '{"a":"admin"}', true],
  ['matches: not a part of it', { path: ['a'], matches: 'admin' }, '{"a":"xadmin"}', false],
  ['matches: not the first line of it', { path: ['a'], matches: 'admin' }, '{"a":"admin\\nx"}', false],
  ['matches: an alternative is whole, too', { path: ['a'], matches: 'a|admin' }, '{"a":"admin"}', true],
  ['matches: not each side half-anchored', { path: ['a'], matches: 'a|b' }, '{"a":"ax"}', false],
  ['matches: a number is no text', { path: ['a'], matches: '.*' }, '{"a":1}', false],
  ['matches: a dot is a dot where escaped', { path: ['a'], matches: 'v1\\.api' }, '{"a":"v1xapi"}', false],
  ['NRM-18 equals takes metacharacters as they stand', { path: ['a'], equals: 'v1.api' }, '{"a":"v1xapi"}', false],
  [
    'NRM-18 contains takes metacharacters as they stand',
    { path: ['a'], contains: 'a+(b)*[c]$^|\\' },
    '{"a":["a+(b)*[c]$^|\\\\"]}',
    true,
  ],
  ['exists: yes', { path: ['a', 'b'], exists: true }, '{"a":{"b":0}}', true],
  ['exists: null is nothing', { path: ['a'], exists: true }, '{"a":null}', false],
  ['exists: missing', { path: ['a', 'b'], exists: true }, '{"a":1}', false],
  ['exists: false, missing', { path: ['a'], exists: false }, '{}', true],
  ['exists: false, there', { path: ['a'], exists: false }, '{"a":""}', false],
  ['a position in a list', { path: ['a', '1'], equals: 'y' }, '{"a":["x","y"]}', true],
  ['a name with a dot is one name', { path: ['a.b'], equals: 1 }, '{"a":{"b":1}}', false],
  ['HDR-11 a dotted key', { path: ['a.b'], equals: 1 }, '{"a.b":1}', true],
  ['JWT-22 isAdmin is not there for everybody', { path: ['isAdmin'], exists: true }, '{}', false],
  ['JWT-22 __proto__ is no claim', { path: ['__proto__'], exists: true }, '{}', false],
  ['JWT-22 constructor is no claim', { path: ['constructor'], exists: true }, '{}', false],
  ['JWT-22 hasOwnProperty is no claim', { path: ['a', 'hasOwnProperty'], exists: true }, '{"a":{}}', false],
  [
    'JWT-22 INT-23 a token that brings __proto__ gains nothing',
    { path: ['isAdmin'], equals: true },
    '{"__proto__":{"isAdmin":true}}',
    false,
  ],
  [
    'JWT-22 a claim that is really called so',
    { path: ['__proto__', 'isAdmin'], equals: true },
    '{"__proto__":{"isAdmin":true}}',
    true,
  ],
  ['JWT-22 no method of a text', { path: ['a', 'length'], exists: true }, '{"a":"x"}', false],
]

describe('claims', () => {
  it.each(table)('%s', (_, entry, json, expected) => expect(holdsFor([entry], json)).toBe(String(expected)))

  it('every test must hold', () => {
    const both: Entry[] = [
      { path: ['a'], equals: 1 },
      { path: ['b'], exists: true },
    ]
    expect(['{"a":1,"b":2}', '{"a":1}', '{"b":2}', '{}'].map((json) => holdsFor(both, json))).toEqual([
      'true',
      'false',
      'false',
      'false',
    ])
  })

  it('INT-23 finds its way through ten thousand claims', () => {
    const many = JSON.stringify(Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`c${index}`, index])))
    expect(holdsFor([{ path: ['c9999'], equals: 9999 }], many)).toBe('true')
    expect(holdsFor([{ path: ['c10000'], exists: true }], many)).toBe('false')
  })

  it('NRM-28 a pattern is not asked about a text that is too long for it', () => {
    const slow: Entry = { path: ['a'], matches: '(a|b)*a(a|b){100}' }
    const long = JSON.stringify({ a: 'ab'.repeat(30_000) })
    const started = performance.now()
    expect(holdsFor([slow], long)).toBe('false')
    expect(performance.now() - started).toBeLessThan(100)
  })

  it.each<[string, unknown]>([
    ['no test', [{ path: ['a'] }]],
    ['two tests', [{ path: ['a'], equals: 1, exists: true }]],
    ['an unknown test', [{ path: ['a'], like: 'x' }]],
    ['no path', [{ path: [], exists: true }]],
    ['an empty name', [{ path: [''], exists: true }]],
    ['a path that is text', [{ path: 'a.b', exists: true }]],
    ['equals with a list', [{ path: ['a'], equals: ['x'] }]],
    ['equals with null', [{ path: ['a'], equals: null }]],
    ['oneOf with nothing', [{ path: ['a'], oneOf: [] }]],
    ['exists with text', [{ path: ['a'], exists: 'yes' }]],
    ['thirty-three of them', Array.from({ length: 33 }, () => ({ path: ['a'], exists: true }))],
  ])('the schema refuses %s', (_, block) => expect(claims.schema.safeParse(block).success).toBe(false))

  it('an empty list has nothing to check, and each bad pattern is told with its place', () => {
    const codes = (block: Block) => {
      const result = claims.compile(block)
      return result.ok ? [] : result.findings.map(({ code, path }) => [code, ...path])
    }
    expect(codes([])).toEqual([['nothing-to-check']])
    const matches = ['ok', '(', '(?=x)', '(a)\\1', 'a'.repeat(1025)].map((pattern) => ({
      path: ['a'],
      matches: pattern,
    }))
    expect(codes(matches)).toEqual([1, 2, 3, 4].map((index) => ['bad-regex', index, 'matches']))
  })
})
