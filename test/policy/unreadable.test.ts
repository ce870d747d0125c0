import { afterAll, describe, expect, it } from 'vitest'
import { createEngine } from '../../src/engine/engine.ts'
import { createCompiler } from '../../src/policy/compile.ts'
import type { Compilation, Compiler } from '../../src/policy/compile.ts'
import { offlineServices } from '../../src/services.ts'
import { readYaml } from '../../src/source/yaml-manifests.ts'
import { request } from '../support/make.ts'

/* What is there and cannot be read never counts as absent: without a credential nothing that it may keep out gets in. */

const services = offlineServices()
afterAll(() => services.close())

/** As a directory of these files is read. */
const compile = (files: readonly string[], compiler: Compiler = createCompiler(services)): Compilation =>
  compiler(files.flatMap((text, index) => readYaml(`${index}.yaml`, text).manifests))

interface Asked {
  readonly path?: string
  /** A key instead of matching. */
  readonly key?: string
  readonly host?: string
}

/** `allow`, or the reason of the refusal, of a request without a credential. */
async function answer({ snapshot }: Compilation, { path = '/admin', key, host = 'shop.example' }: Asked) {
  const engine = createEngine({ snapshot: () => snapshot, clock: services.clock, record: () => undefined })
  const [namespace = '', route = '', rule = ''] = key?.split('/') ?? []
  const how =
    key === undefined
      ? ({ via: 'matching', claim: { kind: 'match' } } as const)
      : ({ via: 'grpc', claim: { kind: 'key', key: { namespace, route, rule } } } as const)
  const made = await engine.answer(request({ ...how, target: path, authority: host }), { millis: 1000 })
  return made.kind === 'deny' ? made.reason : made.kind
}

const route = (name: string, path: string, hostnames = '[]', namespace = 'shop'): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  parentRefs: [{ name: edge }]
  hostnames: ${hostnames}
  rules:
    - name: all
      matches: [{ path: { type: PathPrefix, value: ${path} } }]
      filters: [{ type: ExternalAuth, externalAuth: { protocol: HTTP, http: { allowedResponseHeaders: [x] } } }]
`
const policy = (name: string, to: string, how: string, more = ''): string => `
apiVersion: gatehouse.dev/v1alpha1
kind: AuthPolicy
metadata: { name: ${name}, namespace: shop }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: ${to.split(' ')[0]}, name: ${to.split(' ')[1]} }]
  ${how}
  ${more}
`
const lax = 'guest: { subject: visitor }'
const strict = 'authentication: [{ apiKey: { keysRef: { name: keys } } }]'
const keys = `
apiVersion: v1
kind: Secret
metadata: { name: keys, namespace: shop }
stringData: { one: key-number-one-of-the-test }
`
const gateway = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: edge, namespace: shop }
spec: { gatewayClassName: any, listeners: [{ name: web, port: 80, protocol: HTTP, hostname: shop.example }] }
`
const admin = route('admin', '/admin')
const open = route('open', '/')
const adminStrict = policy('admin', 'HTTPRoute admin', strict)
const openLax = policy('open', 'HTTPRoute open', lax)
const gatewayLax = policy('edge', 'Gateway edge', lax)
const gatewayStrict = policy('edge', 'Gateway edge', strict, 'strategy: Overrides')

const badValue = (text: string): string => text.replace('type: PathPrefix', 'type: Prefix')
const misspelt = (text: string): string => text.replace(/kind: (\w+)(\w)(\w)\n/, 'kind: $1$3$2\n')
const noVersion = (text: string): string => text.replace(/apiVersion: .*\n/, '')
const oldVersion = (text: string): string =>
  text.replace(/apiVersion: .*\n/, 'apiVersion: gateway.networking.k8s.io/v9\n')
const cutShort = (text: string): string => text.replace(/metadata: .*\n/, 'metadata: { name: a\n')
const openQuote = (text: string): string => `${text}x: "\n`
const noKind = (text: string): string => text.replace(/kind: (HTTPRoute|AuthPolicy|Gateway)\n/, '')
const tooDeep = (): string => '['.repeat(30_000)

const asA: readonly string[] = [keys, gateway, open, openLax, adminStrict]
const asD: readonly string[] = [keys, gateway, policy('admin', 'HTTPRoute admin', lax), gatewayStrict]
const asF: readonly string[] = [keys, gateway, admin, open, gatewayLax]
const ways = { badValue, misspelt, noVersion, oldVersion, cutShort, openQuote, noKind, tooDeep }

describe('the worlds that are spoilt', () => {
  it.each<[string, readonly string[], Asked, string]>([
    ['a', [...asA, admin], {}, 'no-credential'],
    ['a', [...asA, admin], { path: '/' }, 'allow'],
    ['d', [...asD, admin], { key: 'shop/admin/all' }, 'no-credential'],
    ['f', [...asF, adminStrict], {}, 'no-credential'],
    ['f', [...asF, adminStrict], { path: '/' }, 'allow'],
  ])('%s', async (_, files, asked, expected) => expect(await answer(compile(files), asked)).toBe(expected))
})

describe.each(Object.entries(ways))('an HTTPRoute that cannot be read: %s', (_, spoil) => {
  it('(a, b) at the start keeps its requests from an open route', async () => {
    const made = compile([...asA, spoil(admin)])
    expect(await answer(made, {})).toBe('broken-policy')
    expect(await answer(made, { key: 'shop/admin/all' })).toBe('broken-policy')
  })
  it('(d) at the start keeps the Gateway policy from being forgotten, whatever the host', async () => {
    const made = compile([...asD, spoil(admin)])
    expect(await answer(made, { key: 'shop/admin/all' })).toBe('broken-policy')
    expect(await answer(made, { key: 'shop/admin/all', host: 'other.example' })).toBe('broken-policy')
    expect(await answer(made, { key: 'shop/admin/_' })).toMatch(/broken-policy|unknown-rule/)
  })
})

describe.each(Object.entries({ badValue, misspelt, noVersion, oldVersion }))('an edit: %s', (_, spoil) => {
  it('(a) leaves the last good HTTPRoute in force, and others alone', async () => {
    const compiler = createCompiler(services)
    compile([...asA, admin], compiler)
    for (const text of [spoil(admin), spoil(badValue(admin))]) {
      const made = compile([...asA, text], compiler)
      expect(await answer(made, {})).toBe('no-credential')
      expect(await answer(made, { path: '/' })).toBe('allow')
    }
    // Taken away, it is gone.
    expect(await answer(compile(asA, compiler), {})).toBe('allow')
  })
  it('(d) leaves the Gateway policy in force', async () => {
    const compiler = createCompiler(services)
    compile([...asD, admin], compiler)
    const made = compile([...asD, spoil(admin)], compiler)
    expect(await answer(made, { key: 'shop/admin/all' })).toBe('no-credential')
    expect(await answer(made, { key: 'shop/admin/all', host: 'other.example' })).toBe('identity-mismatch')
  })
})

describe.each(Object.entries({ misspelt, noVersion, cutShort, openQuote, noKind, tooDeep }))(
  'an AuthPolicy that cannot be read: %s',
  (_, spoil) => {
    it('(f) at the start does not leave its rules to a Gateway policy', async () => {
      const made = compile([...asF, spoil(adminStrict)])
      expect(await answer(made, {})).toBe('broken-policy')
      expect(await answer(made, { key: 'shop/admin/all' })).toBe('broken-policy')
    })
  },
)

describe('(c, e) two of one name', () => {
  it('HTTPRoutes: both refuse, on the hosts of both', async () => {
    const made = compile([...asA, admin, route('admin', '/other')])
    for (const path of ['/admin', '/other', '/']) expect(await answer(made, { path })).toBe('broken-policy')
    for (const rule of ['all', 'new']) expect(await answer(made, { key: `shop/admin/${rule}` })).toBe('broken-policy')
    expect(made.problems.map(({ code }) => code)).toContain('duplicate-object')
  })
  it('HTTPRoutes: either order, and either unreadable', async () => {
    for (const files of [
      [route('admin', '/other'), admin],
      [badValue(admin), route('admin', '/other')],
      [route('admin', '/other'), badValue(admin)],
    ])
      expect(await answer(compile([...asA, ...files]), {})).toBe('broken-policy')
  })
  it('HTTPRoutes: the last good one of them is nobody’s afterwards', async () => {
    const compiler = createCompiler(services)
    compile([...asA, route('admin', '/other'), admin], compiler)
    expect(await answer(compile([...asA, badValue(admin)], compiler), {})).toBe('broken-policy')
  })
  it('AuthPolicies: the targets of both refuse', async () => {
    for (const files of [
      [policy('admin', 'HTTPRoute other', lax), adminStrict],
      [adminStrict, policy('admin', 'HTTPRoute other', lax)],
      [policy('admin', 'HTTPRoute admin', lax), adminStrict],
    ]) {
      const made = compile([...asF, ...files])
      expect(await answer(made, {})).toBe('broken-policy')
      expect(await answer(made, { path: '/' })).toBe('allow')
    }
  })
})

describe('others', () => {
  const files = [...asA.filter((one) => one !== open && one !== gateway), route('open', '/', '[shop.example]')]
  const spoilt = (hostnames: string): string => badValue(route('admin', '/admin', hostnames))
  it.each<[string, string, string]>([
    ['of another host stay as they are', '[admin.example]', 'allow'],
    ['of another host under a wildcard stay as they are', "['*.admin.example']", 'allow'],
    ['of its host are refused', '[SHOP.example]', 'broken-policy'],
    ['of a host under its wildcard are refused', "['*.example']", 'broken-policy'],
    ['are refused where it serves any host', '[]', 'broken-policy'],
    ['are refused where its hosts cannot be read', '[7]', 'broken-policy'],
    ['are refused where one of its hosts is none', "['https://admin.example']", 'broken-policy'],
  ])('%s', async (_, hostnames, expected) => {
    const made = compile([...files, spoilt(hostnames)])
    expect(await answer(made, { path: '/' })).toBe(expected)
    expect(await answer(made, { path: '/', key: 'shop/open/all' })).toBe('allow')
  })
  it('of another namespace keep their keys', async () => {
    const made = compile([
      ...files,
      badValue(route('admin', '/', '[]', 'other')),
      noKind(adminStrict).replace('shop }', 'other }'),
    ])
    expect(await answer(made, { path: '/', key: 'shop/open/all' })).toBe('allow')
  })
  it('a broken Secret, another kind and other YAML keep nobody out', async () => {
    for (const text of [
      openQuote(keys.replace('name: keys', 'name: more')),
      'apiVersion: gateway.networking.k8s.io/v1\nkind: TCPRoute\nmetadata: { name: a }\n',
      'replicas: 2\nimage: x\n',
    ])
      expect(await answer(compile([...files, text]), { path: '/' })).toBe('allow')
  })
  it('a broken document that may have eaten another one may be anything', async () => {
    const text = `${keys.replace('name: keys', 'name: more')}x: "\n---\n${admin}`
    expect(await answer(compile([...files, text]), {})).toBe('broken-policy')
  })
  it('a list of which the kind is misspelt may hold anything', async () => {
    for (const kind of ['Lsit', 'HTTPRouteLst'])
      expect(
        await answer(
          compile([...files, `apiVersion: v1\nkind: ${kind}\nmetadata: { name: a }\nitems: [{ kind: HTTPRoute }]\n`]),
          {},
        ),
      ).toBe('broken-policy')
  })
})

describe.each(Object.entries({ misspelt, noVersion, badPort: (text: string) => text.replace('port: 80', 'port: x') }))(
  'a Gateway that cannot be read: %s',
  (_, spoil) => {
    const files = [keys, openLax, open]
    it('at the start refuses its routes, of which nobody knows the hosts', async () => {
      const made = compile([...files, spoil(gateway)])
      for (const asked of [{}, { key: 'shop/open/all' }])
        expect(await answer(made, { ...asked, host: 'other.example' })).toBe('broken-policy')
    })
    it('stays as it was through an edit', async () => {
      const compiler = createCompiler(services)
      compile([...files, gateway], compiler)
      const made = compile([...files, spoil(gateway)], compiler)
      expect(await answer(made, {})).toBe('allow')
      expect(await answer(made, { key: 'shop/open/all', host: 'other.example' })).toBe('identity-mismatch')
    })
  },
)

describe('an AuthPolicy of which the targets cannot be read', () => {
  const ruleStrict = adminStrict.replace('name: admin }]', 'name: admin, sectionName: all }]')
  it.each(Object.entries({ misspelt, openQuote, cutShort }))(
    'is not replaced by a less specific one: %s',
    async (_, spoil) => {
      const made = compile([keys, gateway, admin, policy('lax', 'HTTPRoute admin', lax), spoil(ruleStrict)])
      expect(await answer(made, { key: 'shop/admin/all' })).toBe('broken-policy')
    },
  )
})

describe('in a cluster an HTTPRoute that cannot be read', () => {
  const us = { namespace: 'gatehouse', name: 'gatehouse', ports: { grpc: 9001, http: 9002, matching: 9003 } }
  const ref = '{ namespace: shop, name: edge }'
  const accepted = (text: string): string =>
    `${text.replace('{ name: edge }', ref).replace('protocol: HTTP,', 'protocol: HTTP, backendRef: { namespace: gatehouse, name: gatehouse, port: 9003 },')}
status: { parents: [{ parentRef: ${ref}, controllerName: any, conditions: [{ type: Accepted, status: 'True' }] }] }
`
  const everyone = gateway.replace('port: 80,', 'port: 80, allowedRoutes: { namespaces: { from: All } },')
  const told = async (text: string, edge = everyone) =>
    answer(compile([edge, accepted(open), openLax, text], createCompiler(services, us)), { path: '/' })
  const stranger = badValue(route('trap', '/', '[shop.example]', 'mallory'))
  it('takes nothing from others where no gateway took it, and is not passed over where one did', async () => {
    expect(await told('')).toBe('allow')
    expect(await told(stranger)).toBe('allow')
    expect(await told(accepted(stranger), gateway)).toBe('allow')
    expect(await told(accepted(stranger).replace("'True'", "'False'"))).toBe('allow')
    expect(await told(accepted(stranger))).toBe('broken-policy')
  })
})
