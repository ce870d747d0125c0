import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileRegex } from '../../src/authz/regex.ts'
import type { Regex, RegexScope } from '../../src/authz/regex.ts'

function compiled(pattern: string, scope: RegexScope = 'whole'): Regex {
  const result = compileRegex(pattern, scope)
  if (!result.ok) throw new Error(JSON.stringify(result.findings))
  return result.value
}

/** Milliseconds of the second of two runs: the first builds what later ones use. */
function cost(run: () => unknown): number {
  run()
  const started = performance.now()
  run()
  return performance.now() - started
}

describe('regex', () => {
  it.each<[string, RegexScope, string, boolean]>([
    ['/api/v[0-9]+/.*', 'whole', '/api/v1/x', true],
    ['/api', 'whole', '/api/v1', false],
    ['api', 'whole', '/api', false],
    ['api', 'part', '/api/v1', true],
    ['^/api', 'part', '/api/v1', true],
    ['^api', 'part', '/api', false],
    ['a|ab', 'whole', 'ab', true],
    ['a.b', 'whole', 'a\nb', false],
    ['(?i)abc', 'whole', 'ABC', true],
    ['', 'whole', '', true],
    ['', 'whole', 'x', false],
  ])('%s (%s) of %j', (pattern, scope, text, expected) => expect(compiled(pattern, scope)(text)).toBe(expected))

  it.each([
    '(',
    '(?=a)',
    '(?<!a)b',
    '(a)\\1',
    'a{1001}',
    '((a{100}){100}){100}',
    '*',
    '[z-a]',
    '(?P<',
    'a'.repeat(1025),
  ])('NRM-28 %s is refused at load', (pattern) => {
    const result = compileRegex(pattern)
    expect(result.ok ? [] : result.findings.map(({ code }) => code)).toEqual(['bad-regex'])
  })

  it('NRM-28 a pattern that is small to write and large to run is refused', () => {
    const started = performance.now()
    expect(compileRegex('(a{30}b{30}){30}').ok).toBe(false)
    expect(compileRegex('(\\pL{30}|\\pN{30}){20}').ok).toBe(false)
    expect(performance.now() - started).toBeLessThan(1000)
  })

  const hostile = [
    '(a+)+$',
    '(.*a){20}',
    '(a|aa)+b',
    '(a?){50}a{50}',
    '.*.*.*=.*',
    '(a|b)*a(a|b){12}',
    '(a|b)*a(a|b){30}c',
    '(x+x+)+y',
    '([a-z]+)*[A-Z]',
  ]
  it.each(hostile)('NRM-28 %s reads what it takes on in a few milliseconds', (pattern) => {
    const regex = compiled(pattern)
    const mixed = Array.from({ length: regex.limit }, (_, index) =>
      ((index * 2_654_435_761) >>> 16) % 2 === 0 ? 'a' : 'b',
    ).join('')
    for (const text of ['a'.repeat(regex.limit), `${'a'.repeat(regex.limit - 1)}!`, mixed]) {
      // 10 ms on an idle machine; three times that where eight test runs share two cores.
      expect(cost(() => regex(text))).toBeLessThan(30)
    }
  })

  it.each(hostile.slice(0, 5))('NRM-28 %s needs time in line with the text, not with its square', (pattern) => {
    const regex = compiled(pattern)
    expect(cost(() => regex(`${'a'.repeat(65_536)}!`))).toBeLessThan(250)
  })

  it('says of any text what JavaScript says, where the two languages are one', () => {
    const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '(a|b)', '(ab)?', 'a*', 'b+', '(?:a|bb)*', 'a{1,2}')
    fc.assert(
      fc.property(
        fc.array(atom, { minLength: 1, maxLength: 5 }),
        fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 8 }),
        (atoms, text) => {
          const pattern = atoms.join('')
          expect(compiled(pattern)(text)).toBe(new RegExp(`^(?:${pattern})$`).test(text))
          expect(compiled(pattern, 'part')(text)).toBe(new RegExp(pattern).test(text))
        },
      ),
    )
  })
})
