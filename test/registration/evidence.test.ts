import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createEvidence } from '../../src/registration/evidence.ts'
import type { Evidence, RuleForm } from '../../src/registration/evidence.ts'

const rule = 'shop/cart/pay'
const day = 24 * 60 * 60 * 1000
const form = (text: string, by: RuleForm['by'] = 'filter'): ReadonlyMap<string, RuleForm> =>
  new Map([[rule, { form: text, by }]])

describe('evidence of checks', () => {
  it.each<readonly [string, (evidence: Evidence) => void, boolean]>([
    ['nothing was seen', () => undefined, false],
    ['a check was seen', (evidence) => evidence.seen(rule, 1000), true],
    [
      'before anybody asked for it',
      (evidence) => {
        evidence.seen(rule, 1000)
        evidence.settle(form('a'), 2000)
      },
      true,
    ],
    [
      'of the form before',
      (evidence) => {
        evidence.settle(form('a'), 0)
        evidence.seen(rule, 1000)
        evidence.settle(form('b'), 2000)
      },
      false,
    ],
    [
      'of the new form',
      (evidence) => {
        evidence.settle(form('a'), 0)
        evidence.settle(form('b'), 2000)
        evidence.seen(rule, 2500)
      },
      true,
    ],
    [
      'right after the filter went: the gateway still asks as it did before',
      (evidence) => {
        evidence.settle(form('a'), 0)
        evidence.settle(form('b', 'other'), 2000)
        evidence.seen(rule, 2500)
      },
      false,
    ],
    [
      'long after the filter went: something else makes the gateway ask',
      (evidence) => {
        evidence.settle(form('a'), 0)
        evidence.settle(form('b', 'other'), 2000)
        evidence.seen(rule, 40_000)
      },
      true,
    ],
    [
      'of a rule that was gone meanwhile',
      (evidence) => {
        evidence.settle(form('a'), 0)
        evidence.seen(rule, 1000)
        evidence.settle(new Map(), 2000)
        evidence.settle(form('a'), 3000)
      },
      false,
    ],
    ['from this very machine', (evidence) => evidence.seen(rule, 1000, 'local'), false],
    [
      'from this very machine, and from elsewhere',
      (evidence) => {
        evidence.seen(rule, 1000, 'somebody')
        evidence.seen(rule, 2000, 'local')
      },
      true,
    ],
    ['more than a day ago', (evidence) => evidence.seen(rule, 50_000 - day), false],
  ])('%s', (_, happens, expected) => {
    const evidence = createEvidence(0)
    happens(evidence)
    expect(evidence.checked(rule, 50_000)).toBe(expected)
  })

  it('has a new version at the first check only: requests do not make work', () => {
    const evidence = createEvidence(0)
    const versions = [0, 1, 2].map((at) => {
      evidence.seen(rule, 1000 + at)
      return evidence.version()
    })
    expect(new Set(versions).size).toBe(1)
  })

  it('remembers who proves most, and tells when somebody proves more', () => {
    const evidence = createEvidence(0)
    const told = (['local', 'somebody', 'gateway', 'somebody', 'certificate'] as const).map((by, at) => {
      evidence.seen(rule, 1000 + at, by)
      return [evidence.witness(rule, 2000), evidence.version()]
    })
    expect(told).toEqual([
      ['local', 1],
      ['somebody', 2],
      ['gateway', 3],
      ['gateway', 3],
      ['certificate', 4],
    ])
    expect(evidence.lastSeen(rule)).toBe(1004)
  })

  it('holds nothing of rules that are not claimed', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('a/b/c', 'a/b/d', 'x/y/_')), (seen) => {
        const evidence = createEvidence(0)
        for (const one of seen) evidence.seen(one, 10)
        for (const one of seen) evidence.probed('Gateway a/b', one, { kind: 'refused' }, 10)
        evidence.settle(new Map([['a/b/c', { form: '', by: 'filter' }]]), 20)
        expect(
          ['a/b/d', 'x/y/_'].filter((one) => evidence.lastSeen(one) ?? evidence.probe('Gateway a/b', one, 20)),
        ).toEqual([])
        expect(evidence.checked('a/b/c', 20)).toBe(seen.includes('a/b/c'))
      }),
    )
  })
})
