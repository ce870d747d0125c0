import { describe, expect, it } from 'vitest'
import { milliseconds } from '../../src/doctor/answers.ts'
import { broaderConstraints, broaderHosts, broaderPaths } from '../../src/doctor/match-form.ts'

describe('what covers', () => {
  it.each([
    ['e/a/b', ['e/a/b', 'p/a/b', 'p/a', 'p']],
    ['e/a/', ['e/a/', 'p/a', 'p']],
    ['p/a/b', ['p/a/b', 'p/a', 'p']],
    ['p', ['p']],
    ['e/', ['e/', 'p']],
    ['pa', ['pa', 'p']],
    ['r/a.*', ['r/a.*', 'p']],
  ])('the path %s', (path, expected) => {
    expect(broaderPaths(path)).toEqual(expected)
  })

  it.each([
    ['a.b.c', ['a.b.c', '*.b.c', '*.c', '']],
    ['*.b.c', ['*.b.c', '*.c', '']],
    ['localhost', ['localhost', '']],
    ['', ['']],
  ])('the host "%s"', (host, expected) => {
    expect(broaderHosts(host)).toEqual(expected)
  })

  it('constraints: every subset of a few', () => {
    expect(broaderConstraints(['a', 'b']).toSorted()).toEqual(['', 'a', 'a\nb', 'b'])
  })

  it('constraints: of many only none, each and all', () => {
    const many = ['a', 'b', 'c', 'd', 'e', 'f']
    expect(broaderConstraints(many)).toEqual(['', ...many, many.join('\n')])
  })
})

it.each([
  ['500ms', 500],
  ['1m30s', 90_000],
  ['1h', 3_600_000],
  ['0s', undefined],
  ['1.5s', undefined],
  ['-1s', undefined],
  ['', undefined],
])('the duration "%s"', (text, expected) => {
  expect(milliseconds(text)).toBe(expected)
})
