import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { resolve } from '../../src/engine/resolve.ts'
import { createCompiler } from '../../src/policy/compile.ts'
import type { Snapshot } from '../../src/policy/snapshot.ts'
import { offlineServices } from '../../src/services.ts'
import { request } from '../support/make.ts'
import type { RequestGiven } from '../support/make.ts'
import { readManifests } from '../support/manifests.ts'

/* Anybody can write an HTTPRoute for any host. In a cluster it takes requests only where a gateway accepted it. */

const services = offlineServices()
afterAll(() => services.close())

const cluster = { namespace: 'gatehouse', name: 'gatehouse', ports: { grpc: 9001, http: 9002, matching: 9003 } }
const world = 'gateway.networking.k8s.io'

interface ListenerGiven {
  readonly name?: string
  readonly port?: number
  readonly hostname?: string
  readonly from?: 'All' | 'Same' | 'Selector'
  readonly selector?: string
}

const gateway = (name: string, listeners: readonly ListenerGiven[] = [{}], namespace = 'infra') => ({
  apiVersion: `${world}/v1`,
  kind: 'Gateway',
  metadata: { namespace, name },
  spec: {
    gatewayClassName: 'any',
    listeners: listeners.map(({ name: called = 'web', port = 80, hostname, from = 'All', selector = 'edge' }) => ({
      name: called,
      port,
      protocol: 'HTTP',
      ...(hostname === undefined ? {} : { hostname }),
      allowedRoutes: {
        namespaces: { from, ...(from === 'Selector' ? { selector: { matchLabels: { use: selector } } } : {}) },
      },
    })),
  },
})

type Told = 'accepted' | 'refused' | 'unknown' | 'unanswered' | 'outdated'

interface ParentGiven {
  readonly kind?: string
  readonly name?: string
  readonly sectionName?: string
  /** What its controller says. */
  readonly told?: Told
}

interface RouteGiven {
  readonly path?: string
  readonly hosts?: readonly string[]
  readonly parents?: readonly ParentGiven[]
  readonly created?: string
  /** Without our filter. */
  readonly open?: boolean
}

const refOf = ({ kind = 'Gateway', name = 'edge', sectionName }: ParentGiven) => ({
  kind,
  ...(kind === 'Service' ? { group: '' } : { namespace: 'infra' }),
  name,
  ...(sectionName === undefined ? {} : { sectionName }),
})

const words = { accepted: 'True', refused: 'False', unknown: 'Unknown', outdated: 'True' } as const

const route = (namespace: string, name: string, given: RouteGiven = {}) => {
  const { path = '/', hosts = ['shop.example'], parents = [{}], created = '2026-11-01T00:00:00Z', open = false } = given
  return {
    apiVersion: `${world}/v1`,
    kind: 'HTTPRoute',
    metadata: { namespace, name, creationTimestamp: created, generation: 2 },
    spec: {
      hostnames: hosts,
      parentRefs: parents.map(refOf),
      rules: [
        {
          name: 'all',
          matches: [{ path: { type: 'PathPrefix', value: path } }],
          filters: open ? [] : [filter],
        },
      ],
    },
    status: {
      parents: parents.flatMap((parent) => {
        const { told = 'accepted' } = parent
        if (told === 'unanswered') return []
        const observedGeneration = told === 'outdated' ? 1 : 2
        return [
          {
            parentRef: refOf(parent),
            controllerName: 'example.com/gateway',
            conditions: [{ type: 'Accepted', status: words[told], observedGeneration }],
          },
        ]
      }),
    },
  }
}

const filter = {
  type: 'ExternalAuth',
  externalAuth: {
    protocol: 'HTTP',
    backendRef: { name: 'gatehouse', namespace: 'gatehouse', port: 9003 },
    http: { allowedResponseHeaders: ['x-user'] },
  },
}

const policy = (namespace: string, name: string) => ({
  apiVersion: 'gatehouse.dev/v1alpha1',
  kind: 'AuthPolicy',
  metadata: { namespace, name },
  spec: { targetRefs: [{ group: world, kind: 'HTTPRoute', name }], guest: { subject: 'visitor' } },
})

const everybody = [policy('shop', 'cart'), policy('shop', 'more'), policy('mallory', 'trap')]

const read = (objects: readonly object[]) =>
  readManifests([...objects, ...everybody].map((one) => JSON.stringify(one)).join('\n---\n'))

function toldBy(snapshot: Snapshot, given: RequestGiven = {}): string {
  const asked = { via: 'matching', claim: { kind: 'match' }, target: '/pay/1', ...given } as const
  const resolution = resolve(snapshot, request(asked))
  return resolution.kind === 'rule' ? resolution.rule.id : resolution.reason
}

const told = (objects: readonly object[], given: RequestGiven = {}): string =>
  toldBy(createCompiler(services, cluster)(read(objects)).snapshot, given)

const inDirectory = (objects: readonly object[]): string => toldBy(createCompiler(services)(read(objects)).snapshot)

const edge = gateway('edge')
const cart = (some: RouteGiven = {}) => route('shop', 'cart', some)
/** A route of a stranger for the host of `cart`, with a nearer path and a policy that lets everybody in. */
const trap = (some: RouteGiven = {}) =>
  route('mallory', 'trap', { path: '/pay', created: '2026-11-02T00:00:00Z', ...some })
const more = (some: RouteGiven = {}) => route('shop', 'more', { path: '/pay', ...some })

const ours = 'shop/cart/all'
const ambiguous = 'ambiguous-match'

describe('a route that no gateway accepted takes no request of another namespace', () => {
  const table: readonly (readonly [string, RouteGiven])[] = [
    ['refused', { parents: [{ told: 'refused' }] }],
    ['no parents', { parents: [] }],
    ['a Gateway that does not exist, unanswered', { parents: [{ name: 'none', told: 'unanswered' }] }],
    ['a Gateway that does not exist, whatever its status tells', { parents: [{ name: 'none' }] }],
    ['another Gateway, which refused it', { parents: [{ name: 'other', told: 'refused' }] }],
    ['a Service that no mesh answers for', { parents: [{ kind: 'Service', name: 'cart', told: 'unanswered' }] }],
    ['a ListenerSet that is not known', { parents: [{ kind: 'ListenerSet', name: 'none', told: 'unanswered' }] }],
  ]
  it.each(table)('%s', (_, given) => {
    const known = [edge, gateway('other'), cart()]
    expect(told([...known, trap(given)])).toBe(ours)
    expect(told([...known, trap({ ...given, open: true })])).toBe(ours)
    expect(told([...known, trap({ ...given, path: '/' })])).toBe(ours)
    expect(told([edge, gateway('other'), cart({ hosts: ['*.example'] }), trap(given)])).toBe(ours)
    expect(told([edge, gateway('other'), trap(given)])).toBe('no-match')
  })

  it.each(table)('%s, in a directory: there the files are the operator’s own', (_, given) => {
    expect(inDirectory([edge, cart(), trap(given)])).toBe('mallory/trap/all')
    expect(inDirectory([edge, cart(), trap({ ...given, open: true })])).toBe('no-match')
  })

  it('an accepted one does, as the gateway sends it its requests', () => {
    expect(told([edge, cart(), trap()])).toBe('mallory/trap/all')
    expect(told([edge, cart(), trap({ open: true })])).toBe('no-match')
    expect(told([edge, cart(), trap()], { target: '/else' })).toBe(ours)
  })

  it('a listener that does not exist', () => {
    expect(told([edge, cart(), trap({ parents: [{ sectionName: 'none', told: 'unanswered' }] })])).toBe(ours)
    expect(told([edge, cart(), trap({ parents: [{ sectionName: 'none' }] })])).toBe(ours)
  })

  it('a listener that takes no routes of its namespace', () => {
    const listeners = [
      { name: 'inner', port: 80, from: 'Same' },
      { name: 'outer', port: 81 },
    ] as const
    const inner = route('infra', 'cart', { parents: [{ sectionName: 'inner' }] })
    const known = [gateway('edge', listeners), inner, policy('infra', 'cart')]
    expect(told([...known, trap({ parents: [{ told: 'unanswered', sectionName: 'inner' }] })])).toBe('infra/cart/all')
    // Its acceptance is for the other listener: which one the check is from, nothing tells.
    expect(told([...known, trap()])).toBe(ambiguous)
  })
})

describe('a route that nobody has answered for yet', () => {
  it.each<Told>(['unanswered', 'unknown', 'outdated'])('%s: competes, and wins over its own namespace only', (word) => {
    const parents = [{ told: word }]
    expect(told([edge, cart(), more({ parents })])).toBe('shop/more/all')
    expect(told([edge, cart(), more({ parents, open: true })])).toBe('no-match')
    expect(told([edge, more({ parents })])).toBe('shop/more/all')
    expect(told([edge, cart(), trap({ parents })])).toBe(ambiguous)
    expect(told([edge, cart(), trap({ parents, open: true })])).toBe(ambiguous)
    expect(told([edge, cart(), trap({ parents })], { target: '/else' })).toBe(ours)
  })

  it('does not win by a nearer host either', () => {
    const parents = [{ told: 'unanswered' }] as const
    expect(told([edge, cart({ hosts: ['*.example'] }), trap({ parents })])).toBe(ambiguous)
    expect(told([edge, cart({ hosts: [] }), trap({ parents })])).toBe(ambiguous)
    expect(told([edge, cart({ hosts: ['*.example'] }), more({ parents })])).toBe('shop/more/all')
  })

  it('loses where it would lose anyway', () => {
    expect(told([edge, cart({ path: '/pay/1' }), trap({ parents: [{ told: 'unanswered' }] })])).toBe(ours)
  })

  it('does not hide, by having no filter, that another Gateway may ask for the rule below it', () => {
    const others = [edge, gateway('other'), cart(), trap({ parents: [{ name: 'other' }] })]
    expect(told([...others, more({ parents: [{ told: 'unanswered' }], open: true })])).toBe(ambiguous)
    expect(told([...others, more({ open: true })])).toBe('mallory/trap/all')
  })

  it('does not answer at another Gateway for a rule that is accepted', () => {
    expect(told([edge, gateway('own'), cart(), trap({ parents: [{ name: 'own', told: 'unanswered' }] })])).toBe(
      ambiguous,
    )
  })
})

describe('each gateway chooses for itself, and all have to agree', () => {
  const both = [{ name: 'edge' }, { name: 'other' }]
  const known = [edge, gateway('other')]
  it.each<readonly [string, readonly object[], string]>([
    ['one route at both', [cart({ parents: both })], ours],
    ['another at the other, with a nearer path', [cart(), trap({ parents: [{ name: 'other' }] })], ambiguous],
    ['another at the other, that loses there', [cart({ parents: both }), trap({ path: '/', parents: both })], ours],
    [
      'one at both, and one at the other alone that wins there',
      [cart({ parents: both }), more({ parents: [{ name: 'other' }] })],
      ambiguous,
    ],
    [
      'one that wins at the other without asking us: the check came from this one',
      [cart({ parents: both }), more({ parents: [{ name: 'other' }], open: true })],
      ours,
    ],
    ['one that the other refused', [cart(), trap({ parents: [{ name: 'other', told: 'refused' }] })], ours],
    [
      'one that this one refused and the other took',
      [cart(), trap({ parents: [{ told: 'refused' }, { name: 'other' }] })],
      ambiguous,
    ],
    ['a Service in a mesh', [cart(), more({ parents: [{ kind: 'Service', name: 'cart' }] })], ambiguous],
    ['other hosts', [cart(), trap({ parents: [{ name: 'other' }], hosts: ['trap.example'] })], ours],
    [
      'a nearer host at the other',
      [cart({ hosts: ['*.example'] }), trap({ parents: [{ name: 'other' }], path: '/' })],
      ambiguous,
    ],
  ])('%s', (_, routes, expected) => {
    expect(told([...known, ...routes])).toBe(expected)
    expect(told([...known, ...routes.toReversed()])).toBe(expected)
  })
})

describe('listeners of one Gateway', () => {
  const redirect = route('shop', 'redirect', {
    parents: [{ sectionName: 'http' }],
    created: '2026-01-01T00:00:00Z',
    open: true,
  })
  const ports = [
    { name: 'http', port: 80 },
    { name: 'https', port: 443 },
  ]

  it('a redirect at one port leaves the rules at the other alone', () => {
    expect(told([gateway('edge', ports), redirect, cart({ parents: [{ sectionName: 'https' }] })])).toBe(ours)
    expect(told([gateway('edge', ports), redirect])).toBe('no-match')
  })

  it('a route at one port takes nothing from one at another', () => {
    const known = [gateway('edge', ports), cart({ parents: [{ sectionName: 'https' }] })]
    expect(told([...known, trap({ parents: [{ sectionName: 'http' }] })])).toBe(ambiguous)
  })

  it('a nearer listener of the port, which some gateways keep apart and others do not', () => {
    const hosts = [{ name: 'any' }, { name: 'shop', hostname: 'shop.example' }]
    const mine = cart({ parents: [{ sectionName: 'shop' }] })
    expect(told([gateway('edge', hosts), mine, trap({ parents: [{ sectionName: 'any' }] })])).toBe(ambiguous)
    expect(told([gateway('edge', hosts), mine, trap({ parents: [{ sectionName: 'any' }], path: '/' })])).toBe(ours)
    const wild = [
      { name: 'wild', hostname: '*.example' },
      { name: 'shop', hostname: 'shop.example' },
    ]
    const all = trap({ parents: [{ sectionName: 'wild' }], hosts: ['*.example'] })
    expect(told([gateway('edge', wild), mine, all])).toBe(ours)
    expect(told([gateway('edge', wild), mine, all], { authority: 'else.example' })).toBe('mallory/trap/all')
  })

  it('a selector that only the gateway can read: acceptance tells of the one, not of which among several', () => {
    const one = gateway('edge', [{ from: 'Selector' }])
    expect(told([one, cart(), trap()])).toBe('mallory/trap/all')
    const alike = gateway('edge', [
      { name: 'a', from: 'Selector' },
      { name: 'b', port: 81, from: 'Selector' },
    ])
    expect(told([alike, cart(), trap()])).toBe('mallory/trap/all')
    const mixed = gateway('edge', [
      { name: 'a', from: 'Selector', selector: 'shops' },
      { name: 'b', port: 81, from: 'Selector', selector: 'others' },
    ])
    expect(told([mixed, cart({ parents: [{ sectionName: 'a' }] }), trap()])).toBe(ambiguous)
  })
})

it('matching over gRPC goes by the same', () => {
  const given = { via: 'grpc', claim: { kind: 'match' } } as const
  const text = JSON.stringify([edge, cart(), trap({ parents: [{ told: 'refused' }] })])
  const grpc = JSON.parse(text.replaceAll('"port":9003', '"port":9001')) as readonly object[]
  expect(told(grpc, given)).toBe(ours)
})

it('is judged again when the gateway answers', () => {
  const compile = createCompiler(services, cluster)
  const given = (word: Told): string =>
    toldBy(compile(read([edge, cart(), trap({ parents: [{ told: word }] })])).snapshot)
  expect((['unanswered', 'refused', 'accepted', 'refused'] as const).map(given)).toEqual([
    ambiguous,
    ours,
    'mallory/trap/all',
    ours,
  ])
})

it('a status of a strange shape accepts nothing', () => {
  const strange = (status: unknown) => ({ ...trap(), status })
  for (const status of [null, 'yes', { parents: {} }, { parents: [{ controllerName: 'x' }] }])
    expect(told([edge, cart(), strange(status)])).toBe(ambiguous)
})

/* What a check may be for, whatever gateways do that is left to them: whether they isolate listeners, and took who waits. */

const listenersKnown = [
  { name: 'any', port: 80, hostname: '' },
  { name: 'shop', port: 80, hostname: 'shop.example' },
  { name: 'other', port: 81, hostname: '' },
]

interface Drawn extends RouteGiven {
  readonly namespace: string
  readonly section: string | undefined
  readonly word: 'accepted' | 'refused' | 'unanswered'
  readonly host: string
  readonly path: string
  readonly open: boolean
}

/** The rules for which a check may have been asked, as indices. */
function possible(drawn: readonly Drawn[]): ReadonlySet<number> {
  const all = drawn.map((one, index) => ({ ...one, index }))
  const waiting = all.filter(({ word }) => word === 'unanswered')
  const asked = new Set<number>()
  for (let taken = 0; taken < 1 << waiting.length; taken += 1) {
    const inForce = all.filter((one) => {
      const bit = waiting.indexOf(one)
      return bit < 0 ? one.word === 'accepted' : (taken & (1 << bit)) !== 0
    })
    for (const served of [['any', 'shop'], ['shop'], ['other']]) {
      const at = ({ section }: Drawn) => served.filter((one) => section === undefined || section === one)
      // At a listener for a host, a route for more hosts is for that one.
      const hostOf = (one: Drawn) => (at(one).includes('shop') ? 'shop.example' : one.host)
      const rank = (one: (typeof all)[number]) =>
        ['shop.example', '*.example', ''].indexOf(hostOf(one)) * 1000 - one.path.length * 10 + one.index
      const [winner] = inForce.filter((one) => at(one).length > 0).toSorted((one, other) => rank(one) - rank(other))
      if (winner !== undefined && !winner.open) asked.add(winner.index)
    }
  }
  return asked
}

it('answers for no rule where a check may be for one of another namespace', () => {
  const drawn = fc.record({
    namespace: fc.constantFrom('shop', 'mallory', 'third'),
    section: fc.constantFrom('any', 'shop', 'other', undefined),
    word: fc.constantFrom('accepted', 'accepted', 'refused', 'unanswered'),
    host: fc.constantFrom('shop.example', '*.example', ''),
    path: fc.constantFrom('/', '/pay', '/pay/1'),
    open: fc.constantFrom(false, false, true),
  } as const)
  const seen = { allowed: 0, refused: 0 }
  fc.assert(
    fc.property(fc.array(drawn, { minLength: 1, maxLength: 4 }), (given) => {
      const objects = given.flatMap(({ namespace, section, word, host, path, open }, index) => {
        const parents = [{ told: word, ...(section === undefined ? {} : { sectionName: section }) }]
        const created = `2026-01-0${index + 1}T00:00:00Z`
        const hosts = host === '' ? [] : [host]
        return [route(namespace, `r${index}`, { path, hosts, parents, created, open }), policy(namespace, `r${index}`)]
      })
      const answer = told([gateway('edge', listenersKnown), ...objects])
      const asked = [...possible(given)].map((index) => given[index])
      const [namespace, name] = answer.split('/')
      seen[name === undefined ? 'refused' : 'allowed'] += 1
      expect(name === undefined ? [] : asked.filter((one) => one?.namespace !== namespace)).toEqual([])
      // Where nobody waits, there is nothing else that it may be for; and one that is meant for certain is not refused.
      const waits = given.some(({ word }) => word === 'unanswered')
      const names = [...possible(given)].map((index) => `r${index}`)
      expect(waits ? name : names.length === 1 ? names[0] : undefined).toBe(name)
    }),
    { numRuns: 500 },
  )
  expect(Math.min(seen.allowed, seen.refused)).toBeGreaterThan(30)
})
