import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseLabelSelector } from '../../src/registration/label-selector.ts'

const shop = { team: 'shop', stage: 'prod', 'example.com/tier': '1', empty: '' }

describe('label selectors', () => {
  it.each<readonly [string, boolean]>([
    ['*', true],
    ['team=shop', true],
    ['team==shop', true],
    ['team = shop', true],
    ['team=other', false],
    ['team!=other', true],
    ['team!=shop', false],
    ['missing!=shop', true],
    ['team', true],
    ['missing', false],
    ['!missing', true],
    ['!team', false],
    ['empty=', true],
    ['missing=', false],
    ['stage in (test, prod)', true],
    ['stage in (test)', false],
    ['missing in (test)', false],
    ['stage notin (test,dev)', true],
    ['missing notin (test)', true],
    ['stage notin (prod)', false],
    ['example.com/tier=1', true],
    ['team=shop,stage in (prod, test),!missing', true],
    ['team=shop,stage in (test, dev)', false],
  ])('%s', (text, expected) => {
    const read = parseLabelSelector(text)
    expect(read.ok && read.value(shop)).toBe(expected)
  })

  it.each([
    '',
    ' ',
    'team=shop,',
    ',',
    'team=shop stage=prod',
    'stage in',
    'stage in ()x',
    'Ünicode=a',
    'a=b c',
    '-a=b',
    '**',
  ])('refuses "%s": nothing written is not everything', (text) => {
    expect(parseLabelSelector(text).ok).toBe(false)
  })

  it('answers anything, soon', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 2000 }), (text) => {
        const read = parseLabelSelector(text)
        if (read.ok) read.value(shop)
        return true
      }),
    )
  })
})
