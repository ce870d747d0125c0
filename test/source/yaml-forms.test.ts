import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { readPlainYaml } from '../../src/source/plain-yaml.ts'
import { readByForm } from '../../src/source/yaml-forms.ts'

/* A document that is read by its form is what the library that knows all of YAML makes of it. */

/** What the library gives; undefined where it complains or gives something else than one value a document. */
function whole(text: string): readonly unknown[] | undefined {
  const documents = parseAllDocuments(text, { strict: true, uniqueKeys: true })
  if (!Array.isArray(documents) || documents.some(({ errors }) => errors.length > 0)) return undefined
  return documents.map((one): unknown => one.toJS())
}

/** Nothing at all is no object, however often it is there: the libraries disagree on how many `...` end. */
const isAny = (one: unknown): boolean => one !== null

/** True where the plain reader took it, which then is as the library says. */
function agreed(text: string): boolean {
  const plain = readPlainYaml(text)
  if (plain !== undefined) expect(plain.objects.filter(isAny), text).toEqual(whole(text)?.filter(isAny))
  return plain !== undefined
}

const policy = (name: string, ...lines: readonly string[]): string =>
  ['apiVersion: gatehouse.dev/v1alpha1', 'kind: AuthPolicy', 'metadata:', `  name: ${name}`, ...lines, ''].join('\n')

describe('a document of a known form', () => {
  it('is not read as YAML again, and has its own names', () => {
    const seen: string[] = []
    const read = (text: string): unknown => {
      seen.push(text)
      return whole(text)?.[0]
    }
    const lines = ['spec:', '  remove:', '    - authorization', '    - cookie', '  text: "a: b"', '  count: 3']
    for (const name of ['one', 'two', 'three']) {
      const text = policy(name, ...lines).replace('cookie', `${name}-cookie`)
      expect(readByForm(text, read)).toEqual(whole(text)?.[0])
    }
    expect(seen).toHaveLength(1)
  })
  it('shares with the one before it what both say, which nobody can change', () => {
    const read = (text: string): unknown => whole(text)?.[0]
    const [one, other] = ['one', 'other'].map(
      (name) => readByForm(policy(name, 'spec:', '  l:', '    - a'), read) as { metadata: object; spec: { l: object } },
    )
    expect(other?.spec).toBe(one?.spec)
    expect([one?.metadata, other?.metadata]).toEqual([{ name: 'one' }, { name: 'other' }])
    expect([one, one?.spec, one?.spec.l].every((part) => Object.isFrozen(part))).toBe(true)
  })
  it.each([
    ['a longer name', 'site-1'],
    ['a shorter name', 'sit'],
    ['another name', 'shop'],
    ['a word of YAML', 'null'],
    ['a name that begins with a word of YAML', 'nullable'],
    ['a number', '1site'],
    ['the longest name', 'x'.repeat(253)],
    ['a name that is too long', 'x'.repeat(254)],
    ['a name and a space', 'site '],
    ['a name and a comment', 'site # one'],
    ['a text of two lines', 'site\n    more'],
    ['a line end of another system', 'site\r'],
    ['the separator of lines', 'site\u2028'],
    ['a key of its own', 'a: b'],
    ['nothing', ''],
    ['a mark', 'Gatehouse-slot-0-here'],
    ['the character that stands for names', '\0'],
    ['an alias', '*site'],
  ])('is of that form or not with %s where a name was', (_, name) => {
    const text = (first: string, last: string): string =>
      policy(first, 'spec:', '  path: site', `  l: [a]`, `  end: ${last}`)
    for (const end of ['\n', '']) {
      const [whole, first, last] = [text('site', 'site'), text(name, 'site'), text('site', name)].map((one) =>
        one.replace(/\n$/, end),
      )
      for (const one of [whole, first, whole, last, whole]) agreed(one ?? '')
    }
    expect(agreed(text('site', 'site'))).toBe(true)
  })
  it('is not of that form with more or less behind it', () => {
    const text = policy('site', 'spec:', '  path: site')
    for (const more of ['', '  x: site\n', 'x: 1\n', '\n', '# a: b\n', '...\n', '---\n']) {
      agreed(text)
      agreed(`${text}${more}`)
      agreed(text.slice(0, -1 - more.length))
    }
  })
  it('remembers nothing of a kind that may hold a secret', () => {
    const seen: string[] = []
    const read = (text: string): unknown => seen.push(text)
    for (const name of ['a', 'b']) readByForm(policy(name, 'x: 1').replace('AuthPolicy', 'Secret'), read)
    expect(seen).toHaveLength(2)
  })
})

describe('what looks like a name and is none', () => {
  it.each([
    ['a word of YAML', ['a: null', 'b: True', 'c: no', 'd: yes', 'l:', '  - false', '  - ON']],
    ['a text of several lines', ['a: one', '  two', 'b: three', '', '  four']],
    ['a text of lines as they stand', ['a: |', '  b: one', '  - two', '  c: three']],
    ['a folded text', ['a: >-', '  b: one', '  c: two']],
    ['lines inside quotes', ['a: "one', '  b: two', '  c: three"', "d: 'one", "  e: two'"]],
    ['a comment', ['a: one # b: two', '# c: three', 'd:', '  # - four', '  - five']],
    ['a flow', ['a: {', '  b: one', '}', 'c: [', '  d: two', ']']],
    ['the same key twice', ['a: one', 'a: two']],
    ['a key that is a name', ['a:', '  one: two', '  two: one']],
    ['a number in letters', ['a: e5', 'b: x1F', 'c: infinity', 'd: nan', 'e: o17']],
    ['a mark', ['a: Gatehouse-slot-0-here', 'b: Gatehouse-slot-1-here']],
    ['the end of a document', ['a: one', '...', 'b: two']],
    ['what stands behind a mark of a document', ['a: one', '--- b']],
    ['tabs and spaces', ['a: one ', 'b:  two', 'c:\tthree', '- d']],
    ['line ends of another system', ['a: one\r', 'b: two\r']],
  ])('%s', (_, lines) => {
    for (const name of ['one', 'two', 'null', 'true'])
      for (const text of [policy(name, ...lines), `${policy('a')}---\n${policy(name, ...lines)}`]) agreed(text)
  })
  it('whatever the lines are, the second reading of a form is as right as the first', () => {
    const name = fc.constantFrom(
      'one',
      'two',
      'a-b',
      'null',
      'Yes',
      'x1',
      'AuthPolicy',
      'e5',
      'y',
      'a.b',
      '/a/b',
      'a_b',
      'a/',
      'n.',
      '/',
    )
    const indent = fc.constantFrom('', '  ', '    ', '- ', '  - ', '- - ')
    const line = fc.oneof(
      fc.tuple(indent, fc.constantFrom('a: ', 'b: ', 'c: ', '- ', 'kind: ', ''), name).map((parts) => parts.join('')),
      fc
        .tuple(
          indent,
          fc.constantFrom('a:', 'b:', 'a: |', 'b: >', 'c: "x', '"', "'", '# a: one', '', 'x', '{', '}', 'a: [b'),
        )
        .map((parts) => parts.join('')),
      fc.constantFrom('---', '--- ', '...', 'spec:', 'metadata:'),
    )
    const form = fc.array(line, { maxLength: 8 })
    let taken = 0
    fc.assert(
      fc.property(form, name, name, name, (lines, one, other, third) => {
        const renamed = (to: string): string => policy(to, ...lines.map((text) => text.replace(/\bone$/, to)))
        for (const text of [renamed(one), renamed(other), renamed(third)]) taken += agreed(text) ? 1 : 0
        agreed(`${renamed(one)}---\n${renamed(other)}`)
      }),
      { numRuns: 2000 },
    )
    expect(taken).toBeGreaterThan(500)
  })
})

describe('documents of one text', () => {
  const one = policy('one')
  it.each([
    ['as they are written', `${one}---\n${policy('two')}`, 2],
    ['with a mark in front', `---\n${one}---\n${policy('two')}`, 2],
    ['behind a comment', `# about\n\n---\n${one}`, 1],
    ['with an empty one between', `${one}---\n---\n${one}`, 3],
    ['with an empty one behind', `${one}---\n`, 2],
    ['with a comment for one', `${one}---\n# nothing\n---\n${one}`, 3],
    ['without an end of line', `${one}---`, 2],
  ])('%s', (_, text, count) => {
    expect(agreed(text)).toBe(true)
    expect(readPlainYaml(text)?.objects).toHaveLength(count)
  })
})
