import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { scopes } from '../../src/authz/scopes.ts'
import type { ImmediateCondition } from '../../src/authz/condition.ts'
import { subject } from './subject.ts'

function compiled(required: readonly string[]): ImmediateCondition {
  const result = scopes.compile(required)
  if (!result.ok) throw new Error(JSON.stringify(result.findings))
  return result.value
}

const verdict = (required: readonly string[], held: readonly string[]) =>
  compiled(required)(subject({ identity: { scopes: held } }))

describe('scopes', () => {
  it.each<[string, readonly string[], readonly string[], boolean]>([
    ['the one scope', ['cart.write'], ['cart.write'], true],
    ['all of several, in any order', ['a', 'b'], ['c', 'b', 'a'], true],
    ['JWT-43 one of two', ['a', 'b'], ['a'], false],
    ['JWT-43 none held', ['a'], [], false],
    ['JWT-43 a longer word', ['admin'], ['administrator'], false],
    ['JWT-43 a shorter word', ['administrator'], ['admin'], false],
    ['JWT-43 another case', ['admin'], ['Admin'], false],
    ['JWT-43 an element with two words in it', ['a'], ['a  b'], false],
    ['JWT-43 an element with a tab', ['a'], ['a\tb'], false],
    ['JWT-43 a duplicate held', ['a'], ['a', 'a'], true],
    ['JWT-43 a duplicate required', ['a', 'a'], ['a'], true],
    ['JWT-43 an empty word', ['a'], [''], false],
    ['JWT-22 a member of Object', ['a'], ['constructor', '__proto__'], false],
  ])('%s', (_, required, held, expected) => {
    expect(verdict(required, held)).toEqual(expected ? { kind: 'true' } : { kind: 'false', scopes: required })
  })

  it.each<[string, readonly string[], string]>([
    ['an empty list', [], 'nothing-to-check'],
    ['an empty scope', ['a', ''], 'nothing-to-check'],
    ['a blank scope', [' '], 'nothing-to-check'],
    ['two scopes in one entry', ['a b'], 'bad-value'],
    ['a quote, which would end the challenge', ['a"'], 'bad-value'],
    ['a control character', ['a\n'], 'bad-value'],
    ['a letter beyond ASCII', ['é'], 'bad-value'],
  ])('refuses %s', (_, required, code) => {
    const result = scopes.compile(required)
    expect(result.ok ? [] : result.findings.map((finding) => finding.code)).toEqual([code])
  })

  it('JWT-43 holds exactly where every required scope is among those held', () => {
    const word = fc.string({ unit: fc.constantFrom(...'abAB.:'), minLength: 1, maxLength: 3 })
    fc.assert(
      fc.property(
        fc.array(word, { minLength: 1, maxLength: 4 }),
        fc.array(word, { maxLength: 6 }),
        (required, held) => {
          expect(verdict(required, held).kind).toBe(
            String(required.every((one) => held.some((other) => one === other))),
          )
        },
      ),
    )
  })
})
