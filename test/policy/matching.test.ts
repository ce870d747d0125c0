import { describe, expect, it } from 'vitest'
import { parseHttpRoute } from '../../src/policy/gateway-api.ts'
import type { HttpRoute } from '../../src/policy/gateway-api.ts'
import { createMatcher } from '../../src/policy/matching.ts'
import { named, sitesOf, surroundingsOf } from '../../src/policy/topology.ts'
import { policy, request, rule } from '../support/make.ts'
import type { RequestGiven } from '../support/make.ts'

interface RuleGiven {
  readonly name?: string
  readonly matches?: readonly object[]
  /** Whether the rule carries an ExternalAuth filter. */
  readonly open?: boolean
  readonly allowedHeaders?: readonly string[]
}

function route(
  name: string,
  rules: readonly RuleGiven[],
  some: { hostnames?: string[]; created?: string } = {},
): HttpRoute {
  const object = {
    metadata: { name, ...(some.created === undefined ? {} : { creationTimestamp: some.created }) },
    spec: {
      hostnames: some.hostnames ?? [],
      rules: rules.map(({ name: called, matches, open, allowedHeaders }) => ({
        ...(called === undefined ? {} : { name: called }),
        ...(matches === undefined ? {} : { matches }),
        filters:
          open === true
            ? []
            : [
                {
                  type: 'ExternalAuth',
                  externalAuth: { protocol: 'HTTP', http: { allowedHeaders: allowedHeaders ?? [] } },
                },
              ],
      })),
    },
  }
  const manifest = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    namespace: 'shop',
    name,
    object,
    line: () => undefined,
  }
  const read = parseHttpRoute(manifest)
  if (!read.ok) throw new Error(JSON.stringify(read.findings))
  return read.value
}

function chosen(routes: readonly HttpRoute[], given: RequestGiven): string {
  const nothing = new Map()
  const topology = {
    routes: named(routes),
    gateways: nothing,
    listenerSets: nothing,
    defaults: [],
    claims: nothing,
    claimsOn: () => [],
  }
  const sites = routes.flatMap((one) => sitesOf(one, surroundingsOf(one, topology), topology))
  const judged = sites.map((site) => ({
    site,
    rule: rule({ key: site.key, policy: policy(), hostnames: site.hostnames }),
    winner: undefined,
    findings: [],
  }))
  const made = createMatcher(undefined)([{ namespace: { name: 'shop' }, sites: judged }])(
    request({ via: 'matching', claim: { kind: 'match' }, ...given }),
  )
  return made.kind === 'rule' ? `${made.rule.key.route}/${made.rule.key.rule}` : made.reason
}

const prefix = (value: string, more: object = {}) => ({ path: { type: 'PathPrefix', value }, ...more })
const exact = (value: string) => ({ path: { type: 'Exact', value } })
const regex = (value: string) => ({ path: { type: 'RegularExpression', value } })
const header = (name: string, value: string, more: object = {}) => ({ headers: [{ name, value, ...more }] })
const query = (name: string, value: string) => ({ queryParams: [{ name, value }] })

describe('NRM-20 path matching', () => {
  const rules = [
    { name: 'exact', matches: [exact('/admin/exact')] },
    { name: 'admin', matches: [prefix('/admin')] },
    { name: 'slash', matches: [prefix('/slash/')] },
    { name: 'root', matches: [prefix('/')] },
  ]
  it.each([
    ['/admin', 'r/admin'],
    ['/admin/', 'r/admin'],
    ['/admin/x/y', 'r/admin'],
    ['/administrator', 'r/root'],
    ['/admin.json', 'r/root'],
    ['/admin/exact', 'r/exact'],
    ['/admin/exact/', 'r/admin'],
    ['/Admin', 'r/root'],
    ['/slash', 'r/slash'],
    ['/slash/x', 'r/slash'],
    ['/admin*', 'r/root'],
    ['/admin/*x', 'r/admin'],
    ['/admin?x=/admin/exact', 'r/admin'],
    ['/public/../admin', 'ambiguous-target'],
    ['//admin', 'ambiguous-target'],
    ['/admin;x=1', 'ambiguous-target'],
    ['/%61dmin', 'ambiguous-target'],
    ['/%7Eadmin', 'ambiguous-target'],
    ['/a%40b', 'r/root'],
  ])('%s is %s', (target, expected) => {
    expect(chosen([route('r', rules)], { target })).toBe(expected)
  })
})

describe('precedence, in the words of the API', () => {
  const table: readonly (readonly [string, readonly HttpRoute[], RequestGiven, string])[] = [
    [
      'exact before a longer prefix',
      [
        route('r', [
          { name: 'p', matches: [prefix('/a/b')] },
          { name: 'e', matches: [exact('/a/b')] },
        ]),
      ],
      { target: '/a/b' },
      'r/e',
    ],
    [
      'the longest prefix',
      [
        route('r', [
          { name: 's', matches: [prefix('/a')] },
          { name: 'l', matches: [prefix('/a/b')] },
        ]),
      ],
      { target: '/a/b/c' },
      'r/l',
    ],
    [
      'a method',
      [
        route('r', [
          { name: 'any', matches: [prefix('/a')] },
          { name: 'get', matches: [prefix('/a', { method: 'GET' })] },
        ]),
      ],
      { target: '/a' },
      'r/get',
    ],
    [
      'NRM-22 methods are case-sensitive',
      [
        route('r', [
          { name: 'any', matches: [prefix('/a')] },
          { name: 'get', matches: [prefix('/a', { method: 'GET' })] },
        ]),
      ],
      { target: '/a', method: 'get' },
      'r/any',
    ],
    [
      'more headers',
      [
        route('r', [
          { name: 'one', matches: [prefix('/a', header('x-a', '1'))] },
          {
            name: 'two',
            matches: [
              prefix('/a', {
                headers: [
                  { name: 'X-A', value: '1' },
                  { name: 'x-b', value: '2' },
                ],
              }),
            ],
          },
        ]),
      ],
      { target: '/a', headers: { 'x-a': '1', 'x-b': '2' } },
      'r/two',
    ],
    [
      'more query parameters',
      [
        route('r', [
          { name: 'one', matches: [prefix('/a')] },
          { name: 'two', matches: [prefix('/a', query('v', '1'))] },
        ]),
      ],
      { target: '/a?v=1' },
      'r/two',
    ],
    [
      'the exact hostname before the wildcard',
      [
        route('w', [{ name: 'x' }], { hostnames: ['*.example'] }),
        route('e', [{ name: 'x' }], { hostnames: ['shop.example'] }),
      ],
      {},
      'e/x',
    ],
    [
      'the longer wildcard',
      [
        route('w', [{ name: 'x' }], { hostnames: ['*.example'] }),
        route('l', [{ name: 'x' }], { hostnames: ['*.shop.example'] }),
      ],
      { authority: 'a.shop.example' },
      'l/x',
    ],
    [
      'NRM-14 the host in any case',
      [route('e', [{ name: 'x' }], { hostnames: ['Shop.Example'] })],
      { authority: 'SHOP.example:8443' },
      'e/x',
    ],
    [
      'the older route',
      [
        route('a', [{ name: 'x' }], { created: '2026-02-01T00:00:00Z' }),
        route('b', [{ name: 'x' }], { created: '2026-01-01T00:00:00Z' }),
      ],
      {},
      'b/x',
    ],
    [
      'the first name where the age is the same',
      [
        route('b', [{ name: 'x' }], { created: '2026-01-01T00:00:00Z' }),
        route('a', [{ name: 'x' }], { created: '2026-01-01T00:00:00Z' }),
      ],
      {},
      'a/x',
    ],
    ['the first rule of a route', [route('r', [{ name: 'one' }, { name: 'two' }])], {}, 'r/one'],
    ['no matches means every path', [route('r', [{ name: 'all' }])], { target: '/x/y' }, 'r/all'],
    ['unnamed rules', [route('r', [{ matches: [prefix('/a')] }])], { target: '/a' }, 'r/_'],
    ['nothing matches', [route('r', [{ name: 'a', matches: [prefix('/a')] }])], { target: '/b' }, 'no-match'],
    ['another host', [route('r', [{ name: 'a' }], { hostnames: ['a.example'] })], {}, 'no-match'],
  ]
  it.each(table)('%s', (_, routes, given, expected) => {
    expect(chosen(routes, given)).toBe(expected)
  })
})

describe('what gateways could decide differently is refused', () => {
  const table: readonly (readonly [string, readonly HttpRoute[], RequestGiven, string])[] = [
    ['two routes of unknown age', [route('a', [{ name: 'x' }]), route('b', [{ name: 'x' }])], {}, 'ambiguous-match'],
    [
      'a regex beside a prefix',
      [
        route('r', [
          { name: 'p', matches: [prefix('/a')] },
          { name: 'x', matches: [regex('/a.*')] },
        ]),
      ],
      { target: '/ab' },
      'r/x',
    ],
    [
      'a regex over a prefix',
      [
        route('r', [
          { name: 'p', matches: [prefix('/a')] },
          { name: 'x', matches: [regex('/a.*')] },
        ]),
      ],
      { target: '/a/b' },
      'ambiguous-match',
    ],
    [
      'an exact path beats a regex everywhere',
      [
        route('r', [
          { name: 'e', matches: [exact('/a')] },
          { name: 'x', matches: [regex('/.*')] },
        ]),
      ],
      { target: '/a' },
      'r/e',
    ],
    [
      'NRM-08 a regex matches the whole path',
      [route('r', [{ name: 'x', matches: [regex('/public')] }])],
      { target: '/public/x' },
      'no-match',
    ],
    [
      'an open rule would win',
      [
        route('r', [
          { name: 'o', matches: [prefix('/a')], open: true },
          { name: 'p', matches: [prefix('/')] },
        ]),
      ],
      { target: '/a' },
      'no-match',
    ],
    [
      'a header of the match is not sent to us',
      [
        route('r', [
          { name: 'strict', matches: [prefix('/a', header('x-admin', '1'))] },
          { name: 'lax', matches: [prefix('/a')] },
        ]),
      ],
      { target: '/a' },
      'ambiguous-match',
    ],
    [
      'the same header, sent but absent',
      [
        route('r', [
          { name: 'strict', matches: [prefix('/a', header('x-admin', '1'))], allowedHeaders: ['X-Admin'] },
          { name: 'lax', matches: [prefix('/a')] },
        ]),
      ],
      { target: '/a' },
      'r/lax',
    ],
    [
      'a repeated header',
      [route('r', [{ name: 'strict', matches: [prefix('/a', header('x-admin', '1'))] }])],
      { target: '/a', headers: { 'x-admin': ['1', '2'] } },
      'ambiguous-match',
    ],
    [
      'NRM-24 a repeated query parameter',
      [route('r', [{ name: 'q', matches: [prefix('/a', query('a', '1'))] }])],
      { target: '/a?a=1&a=2' },
      'ambiguous-match',
    ],
    [
      'a lesser rival changes nothing',
      [
        route('r', [
          { name: 'l', matches: [prefix('/a/b')] },
          { name: 's', matches: [prefix('/a', header('x', '1'))] },
        ]),
      ],
      { target: '/a/b' },
      'r/l',
    ],
    ['a request that is wrong in itself', [route('r', [{ name: 'all' }])], { authority: 'a,b' }, 'bad-host'],
  ]
  it.each(table)('%s', (_, routes, given, expected) => {
    expect(chosen(routes, given)).toBe(expected)
  })
})

it('finds the same rule among 10,000 as among 10', () => {
  const rules = (count: number) =>
    route(
      'r',
      Array.from({ length: count }, (_, index) => ({ name: `r${index}`, matches: [prefix(`/p${index}`)] })),
    )
  for (const count of [10, 10_000]) expect(chosen([rules(count)], { target: '/p7/x' })).toBe('r/r7')
})

it('NRM-28 does not choke on a pattern made to choke', () => {
  const hostile = [
    route('r', [
      { name: 'x', matches: [regex('(a+)+$')] },
      { name: 'y', matches: [regex('(.*a){20}')] },
    ]),
  ]
  const started = performance.now()
  expect(chosen(hostile, { target: `/${'a'.repeat(20_000)}!` })).toBe('ambiguous-match')
  // Backtracking would take longer than the age of the universe; this is no benchmark.
  expect(performance.now() - started).toBeLessThan(5_000)
})
