import { describe, expect, it } from 'vitest'
import type { PolicyCandidate } from '../../src/policy/candidate.ts'
import { levels, ruling } from '../../src/policy/precedence.ts'

const one = (id: string, some: Partial<PolicyCandidate> = {}): PolicyCandidate => ({
  id,
  manifest: {
    apiVersion: 'gatehouse.dev/v1alpha1',
    kind: 'AuthPolicy',
    namespace: 'n',
    name: id,
    object: {},
    line: () => undefined,
  },
  created: undefined,
  strategy: 'Defaults',
  targets: [],
  claimsNamespace: false,
  valid: true,
  spec: undefined,
  ...some,
})
const overrides = { strategy: 'Overrides' } as const

describe('GEP-713: which policy is in force', () => {
  type Given = readonly (readonly [PolicyCandidate, keyof typeof levels])[]
  const table: readonly (readonly [string, Given, string | undefined, readonly string[]])[] = [
    ['nobody', [], undefined, []],
    [
      'the most specific default',
      [
        [one('gw'), 'gateway'],
        [one('listener'), 'listener'],
        [one('route'), 'route'],
        [one('rule'), 'rule'],
      ],
      'rule',
      [],
    ],
    [
      'the order given does not matter',
      [
        [one('rule'), 'rule'],
        [one('gw'), 'gateway'],
      ],
      'rule',
      [],
    ],
    [
      'an override from above',
      [
        [one('gw', overrides), 'gateway'],
        [one('rule'), 'rule'],
      ],
      'gw',
      [],
    ],
    [
      'the least specific of two overrides',
      [
        [one('gw', overrides), 'gateway'],
        [one('rule', overrides), 'rule'],
      ],
      'gw',
      [],
    ],
    [
      'an override of a route over a default of a rule',
      [
        [one('route', overrides), 'route'],
        [one('rule'), 'rule'],
        [one('gw'), 'gateway'],
      ],
      'route',
      [],
    ],
    [
      'CFG-03 the older of two equals',
      [
        [one('b', { created: 2 }), 'rule'],
        [one('a', { created: 3 }), 'rule'],
      ],
      'b',
      ['a'],
    ],
    [
      'the dated before the undated',
      [
        [one('a'), 'rule'],
        [one('b', { created: 9 }), 'rule'],
      ],
      'b',
      ['a'],
    ],
    [
      'CFG-03 by name where the age is the same',
      [
        [one('b'), 'rule'],
        [one('a'), 'rule'],
        [one('c'), 'rule'],
      ],
      'a',
      ['b', 'c'],
    ],
    [
      'only equals conflict',
      [
        [one('a'), 'rule'],
        [one('b'), 'route'],
        [one('c'), 'route'],
      ],
      'a',
      [],
    ],
  ]
  it.each(table)('%s', (_, given, winner, losers) => {
    const made = ruling(given.map(([candidate, level]) => ({ candidate, level: levels[level] })))
    expect([made.winner?.id, made.conflicted.map(({ id }) => id)]).toEqual([winner, losers])
  })
})
