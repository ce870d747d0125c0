import { expect, it } from 'vitest'
import { boundedMemo } from '../../src/model/bounded-memo.ts'

it('makes each answer once, undefined too', () => {
  const made: string[] = []
  const length = boundedMemo(10, (text) => {
    made.push(text)
    return text === '' ? undefined : text.length
  })
  expect(['a', 'bb', 'a', '', ''].map(length)).toEqual([1, 2, 1, undefined, undefined])
  expect(made).toEqual(['a', 'bb', ''])
})

it('forgets all where there is one too many, and answers the same', () => {
  let made = 0
  const length = boundedMemo(3, (text) => {
    made += 1
    return text.length
  })
  expect(['a', 'bb', 'ccc', 'dddd', 'a'].map(length)).toEqual([1, 2, 3, 4, 1])
  expect(made).toBe(5)
})
