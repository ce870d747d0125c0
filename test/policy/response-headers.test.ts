import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { headerValueSafe } from '../../src/model/header.ts'
import { headerText } from '../../src/policy/header-text.ts'
import { compileHeaders, responseHeader } from '../../src/policy/response-headers.ts'
import type { ResponseHeader } from '../../src/policy/response-headers.ts'
import { subject } from '../authz/subject.ts'

const entry = (name: string, value: ResponseHeader['value']): ResponseHeader => responseHeader.parse({ name, value })

function set(entries: readonly ResponseHeader[], claims: string) {
  const compiled = compileHeaders(entries)
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.findings))
  return compiled.value(subject({ claims }))
}

/** The header of one claim: its text, `none`, or `refused`. */
function claim(json: string, path: readonly string[] = ['c']): string {
  const list = set([entry('x-c', { claim: [...path] })], `{"c":${json}}`)
  return list === undefined ? 'refused' : (list[0]?.[1] ?? 'none')
}

function refusals(entries: readonly ResponseHeader[]): readonly unknown[] {
  const compiled = compileHeaders(entries)
  return compiled.ok ? [] : compiled.findings.map(({ code, path }) => [code, ...path])
}

/** How a backend reads a value back. */
const decode = (text: string): string =>
  Buffer.from(
    text.replace(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  ).toString('utf8')

/** How a backend reads a list back: RFC 9110 §5.6.1, elements that are tokens of any characters or quoted-strings. */
const elements = (text: string): readonly string[] =>
  [...text.matchAll(/(?:^|,)(?:"((?:[^"\\]|\\.)*)"|([^",]*))(?=,|$)/g)].map(([, quoted, plain]) =>
    decode(quoted === undefined ? (plain ?? '') : quoted.replace(/\\(.)/g, '$1')),
  )

describe('values', () => {
  it.each<[string, string, string]>([
    ['text', '"ada"', 'ada'],
    ['text with spaces and signs within', '"Ada L. <a@b.example>; x=\\"y\\""', 'Ada L. <a@b.example>; x="y"'],
    ['HDR-06 a letter beyond ASCII', '"José"', 'Jos%C3%A9'],
    ['HDR-06 beyond the first plane', '"💥"', '%F0%9F%92%A5'],
    ['HDR-06 an override of the writing direction', '"a\\u202eb"', 'a%E2%80%AEb'],
    ['HDR-06 eight-bit', '"\\u00ff\\u0080"', '%C3%BF%C2%80'],
    ['HDR-06 the percent sign itself', '"100%25"', '100%2525'],
    ['HDR-06 line breaks and NUL', '"a\\r\\nb\\u0000\\t"', 'a%0D%0Ab%00%09'],
    ['HDR-06 spaces outside', '"  a b "', '%20%20a b%20'],
    ['HDR-06 half a character has no bytes', '"\\ud800"', 'refused'],
    ['HDR-10 an integer', '42', '42'],
    ['HDR-10 a fraction', '-0.5', '-0.5'],
    ['HDR-10 a large number', '1e21', '1e+21'],
    ['HDR-10 true', 'true', 'true'],
    ['HDR-10 false', 'false', 'false'],
    ['HDR-10 null', 'null', 'none'],
    ['HDR-10 empty text', '""', 'none'],
    ['HDR-10 an object', '{"a":[1,"é"],"b":null}', '{"a":[1,"%C3%A9"],"b":null}'],
    ['HDR-10 an empty object', '{}', '{}'],
    ['HDR-10 a list', '["a","b",1,true]', 'a,b,1,true'],
    ['HDR-10 an empty list', '[]', 'none'],
    ['HDR-07 an element with a comma', '["a,b","c"]', '"a,b",c'],
    ['HDR-07 an element with a quote', '["a\\"b"]', '"a\\"b"'],
    ['HDR-07 an element with a backslash', '["a\\\\b"]', '"a\\\\b"'],
    ['HDR-07 an element with spaces', '["a b"," c","d "]', 'a b," c","d "'],
    ['HDR-07 an empty element', '["","a"]', '"",a'],
    ['HDR-07 nulls are left out', '[null,"a",null]', 'a'],
    ['HDR-07 a list in a list', '[["a","b"],"c"]', '"[\\"a\\",\\"b\\"]",c'],
    ['HDR-07 half a character in an element', '["a","\\ud800"]', 'refused'],
  ])('%s', (_, json, text) => expect(claim(json)).toBe(text))

  it.each([
    ['missing', ['d']],
    ['HDR-11 __proto__', ['__proto__']],
    ['HDR-11 constructor', ['constructor', 'name']],
    ['HDR-11 toString', ['toString']],
    ['HDR-11 a method of a text', ['c', 'length']],
    ['HDR-11 a dotted name is one name', ['c.x']],
  ])('%s: no header', (_, path) => expect(claim('"x"', path)).toBe('none'))

  it('HDR-11 a dotted key is found under its own name', () => {
    expect(set([entry('x-c', { claim: ['a.b'] })], '{"a.b":"yes","a":{"b":"no"}}')).toEqual([['x-c', 'yes']])
  })

  it('takes long runs of spaces in no time that counts', () => {
    const inner = `a${' '.repeat(32_000)}b`
    for (let n = 0; n < 1000; n++) expect(headerText(inner)).toBe(inner)
    expect(headerText('  a b ')).toBe('%20%20a b%20')
    expect(headerText('   ')).toBe('%20%20%20')
  })

  it('HDR-06 every text comes back byte by byte, and can stand in a header', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), (text) => {
        const header = headerText(text) ?? 'refused'
        expect(header).toMatch(/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/)
        expect(headerValueSafe(header)).toBe(true)
        expect(decode(header)).toBe(text)
      }),
      { numRuns: 500 },
    )
  })

  it('HDR-07 every list of texts comes back element by element', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom(...' ,"\\%a') }))
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 6 }), (list) => {
        const header = headerText(list) ?? 'refused'
        expect(header).toMatch(/^[\x20-\x7e]*$/)
        expect(elements(header)).toEqual(list)
      }),
      { numRuns: 500 },
    )
  })

  it('HDR-10 whatever JSON a claim is, the header can be sent or is left out', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const header = claim(JSON.stringify(value))
        expect(header === 'refused' || headerValueSafe(header)).toBe(true)
      }),
    )
  })
})

describe('headers', () => {
  it('come from claims, CEL and fixed text, in order, with lower-case names', () => {
    const entries = [
      entry('X-User', { claim: ['sub'] }),
      entry('x-tenant', { cel: "identity.claims.tenant + '@' + rule.namespace" }),
      entry('x-roles', { cel: 'identity.claims.roles.filter(r, r != "b")' }),
      entry('x-edge', { text: 'gatehouse 100%' }),
      entry('x-none', { cel: 'null' }),
    ]
    expect(set(entries, '{"sub":"ada","tenant":"t1","roles":["a","b","c"]}')).toEqual([
      ['x-user', 'ada'],
      ['x-tenant', 't1@shop'],
      ['x-roles', 'a,c'],
      ['x-edge', 'gatehouse 100%'],
    ])
  })

  it('CFG-12 fixed text is never expanded', () => {
    const entries = ['${HOME}', '{{ .Values.x }}', '$(id)', '%(x)s'].map((text, index) => entry(`x-${index}`, { text }))
    expect(set(entries, '{}')?.map(([, value]) => value)).toEqual(['${HOME}', '{{ .Values.x }}', '$(id)', '%(x)s'])
  })

  it('an error in CEL refuses the request', () => {
    for (const cel of ['identity.claims.missing', 'string(int(identity.claims.sub))', "dyn(b'x')"]) {
      expect(set([entry('x-a', { text: 'a' }), entry('x-c', { cel })], '{"sub":"ada"}')).toBeUndefined()
    }
  })

  it('HDR-09 more than 8 KiB refuses the request, and nothing is cut off', () => {
    const list = (length: number) =>
      set([entry('x-c', { claim: ['c'] }), entry('x-d', { text: 'd' })], JSON.stringify({ c: 'x'.repeat(length) }))
    const room = 8192 - 'x-c'.length - 'x-dd'.length
    expect(list(room)?.[0]?.[1]).toHaveLength(room)
    expect(list(room + 1)).toBeUndefined()
    expect(list(1_000_000)).toBeUndefined()
    expect(set([entry('x-c', { claim: ['c'] })], JSON.stringify({ c: 'é'.repeat(2000) }))).toBeUndefined()
  })
})

describe('HDR-08 what is refused when a policy is loaded', () => {
  it.each([
    ':path',
    ':authority',
    'host',
    'Host',
    'content-length',
    'Content_Length',
    'transfer-encoding',
    'connection',
    'te',
    'trailer',
    'upgrade',
    'keep-alive',
    'x-envoy-auth-headers-to-remove',
    'a b',
    'a:b',
    'a\r\nb',
    'é',
    'a"b',
  ])('HDR-08 %j', (name) => expect(refusals([entry(name, { text: 'x' })])).toEqual([['forbidden-header', 0, 'name']]))

  it.each([
    ['x-user', 'X-User'],
    ['x-user', 'x_user'],
    ['X_USER', 'x-user'],
  ])('HDR-08 %s and %s are one header', (one, other) =>
    expect(refusals([entry(one, { text: 'x' }), entry(other, { text: 'y' })])).toEqual([['bad-value', 1, 'name']]),
  )

  it.each(['a\nb', 'a\r\nset-cookie: x', 'é', 'a\u0000', ' a', 'a ', '\ta'])('HDR-08 text %j', (text) =>
    expect(refusals([entry('x-a', { text })])).toEqual([['bad-value', 0, 'value', 'text']]),
  )

  it('HDR-09 fifty-one headers', () => {
    const many = (count: number) => Array.from({ length: count }, (_, index) => entry(`x-${index}`, { text: 'x' }))
    expect(refusals(many(50))).toEqual([])
    expect(refusals(many(51))).toEqual([['too-large']])
  })

  it('everything that is wrong, each with its place', () => {
    expect(
      refusals([
        entry('host', { text: 'x' }),
        entry('x-a', { cel: 'nope' }),
        entry('x-b', { cel: "b'x'" }),
        entry('x-b', { text: 'é' }),
      ]),
    ).toEqual([
      ['forbidden-header', 0, 'name'],
      ['bad-value', 3, 'name'],
      ['bad-cel', 1, 'value', 'cel'],
      ['bad-cel', 2, 'value', 'cel'],
      ['bad-value', 3, 'value', 'text'],
    ])
  })

  it.each<[string, unknown]>([
    ['no source', {}],
    ['two sources', { text: 'a', claim: ['a'] }],
    ['an unknown source', { header: 'a' }],
    ['empty text', { text: '' }],
    ['an empty path', { claim: [] }],
    ['a path that is text', { claim: 'a.b' }],
    ['a number', { text: 1 }],
  ])('the schema refuses %s', (_, value) =>
    expect(responseHeader.safeParse({ name: 'x-a', value }).success).toBe(false),
  )
})
