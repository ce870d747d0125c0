import { afterAll, describe, expect, it } from 'vitest'
import { showPath } from '../../src/model/result.ts'
import { createCompiler } from '../../src/policy/compile.ts'
import type { Compilation, Compiler } from '../../src/policy/compile.ts'
import { offlineServices } from '../../src/services.ts'
import { readManifests } from '../support/manifests.ts'

const services = offlineServices()
afterAll(() => services.close())

const compile = (yaml: string, compiler: Compiler = createCompiler(services)): Compilation =>
  compiler(readManifests(yaml))

/** `code path`, the errors of a compilation. */
const errors = ({ problems }: Compilation): readonly string[] =>
  problems.filter(({ severity }) => severity === 'error').map(({ code, path }) => `${code} ${showPath(path)}`)

/** Rules with their policy's name or the reason why they refuse everything. */
const rules = ({ snapshot }: Compilation): Readonly<Record<string, string>> =>
  Object.fromEntries(
    snapshot.rules.map(({ key, policy, refusal }) => [
      `${key.route}/${key.rule}`,
      policy?.name ?? refusal ?? 'nothing',
    ]),
  )

const guest = (name: string, spec: string, metadata = ''): string => `
---
apiVersion: gatehouse.dev/v1alpha1
kind: AuthPolicy
metadata: { namespace: shop, name: ${name}${metadata} }
spec:
  guest: { subject: visitor }
${spec.replaceAll(/^/gm, '  ')}
`
const target = (name: string, section?: string, kind = 'HTTPRoute'): string =>
  `targetRefs: [{ group: gateway.networking.k8s.io, kind: ${kind}, name: ${name}${section === undefined ? '' : `, sectionName: ${section}`} }]`
const cart = `
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { namespace: shop, name: cart }
spec:
  parentRefs: [{ name: edge, sectionName: web }]
  rules:
    - { name: pay, matches: [{ path: { value: /pay } }] }
    - { name: show, matches: [{ path: { value: /show } }] }
    - { matches: [{ path: { value: /other } }] }
`
const edge = `
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { namespace: shop, name: edge }
spec:
  gatewayClassName: any
  listeners: [{ name: web, port: 80, protocol: HTTP, hostname: '*.example' }, { name: other, port: 81, protocol: HTTP }]
`

describe('targets', () => {
  it('of a route that cannot be used are told in the same breath', () => {
    const broken = cart.replace('/pay }', '/pay, type: Sometimes }')
    const both = guest('p', target('cart', 'pya')) + guest('q', target('cart', 'pay'))
    expect(errors(compile(broken + both))).toEqual([
      'bad-value spec.rules[0].matches[0].path.type',
      'unknown-target spec.targetRefs[0].sectionName',
    ])
  })

  it('a rule by its name', () => {
    expect(rules(compile(cart + guest('p', target('cart', 'pay'))))).toEqual({
      'cart/pay': 'shop/p',
      'cart/show': 'no-policy',
      'cart/_': 'no-policy',
    })
  })
  it('every rule of a route', () => {
    expect(rules(compile(cart + guest('p', target('cart'))))).toEqual({
      'cart/pay': 'shop/p',
      'cart/show': 'shop/p',
      'cart/_': 'shop/p',
    })
  })
  it('every route of a Gateway, and the more specific wins whole', () => {
    const made = compile(
      cart + edge + guest('all', target('edge', undefined, 'Gateway')) + guest('p', target('cart', 'pay')),
    )
    expect(rules(made)).toEqual({ 'cart/pay': 'shop/p', 'cart/show': 'shop/all', 'cart/_': 'shop/all' })
    expect(errors(made)).toEqual([])
  })
  it('a listener of a Gateway', () => {
    const made = compile(
      cart + edge + guest('web', target('edge', 'web', 'Gateway')) + guest('other', target('edge', 'other', 'Gateway')),
    )
    expect(rules(made)).toEqual({ 'cart/pay': 'shop/web', 'cart/show': 'shop/web', 'cart/_': 'shop/web' })
  })
  it('an override from above', () => {
    const made = compile(
      cart +
        guest('all', `${target('edge', undefined, 'Gateway')}\nstrategy: Overrides`) +
        guest('p', target('cart', 'pay')),
    )
    expect(rules(made)['cart/pay']).toBe('shop/all')
  })
  it('CFG-03 of two equals the older is in force and the other is told', () => {
    const young = guest('a', target('cart', 'pay'), `, creationTimestamp: '2026-02-01T00:00:00Z'`)
    const old = guest('b', target('cart', 'pay'), `, creationTimestamp: '2026-01-01T00:00:00Z'`)
    const made = compile(cart + young + old)
    expect(rules(made)['cart/pay']).toBe('shop/b')
    expect(errors(made)).toEqual(['conflict spec.targetRefs'])
  })
  it('a rule that does not exist', () => {
    const made = compile(cart + guest('p', target('cart', 'pya')))
    expect(errors(made)).toEqual(['unknown-target spec.targetRefs[0].sectionName'])
    expect(made.problems.find(({ code }) => code === 'unknown-target')?.mend).toBe('did you mean "pay"?')
    expect(rules(made)['cart/pya']).toBeUndefined()
  })
  it('a listener and a Gateway that do not exist', () => {
    expect(errors(compile(edge + guest('p', target('edge', 'wbe', 'Gateway'))))).toEqual([
      'unknown-target spec.targetRefs[0].sectionName',
    ])
    expect(errors(compile(edge + guest('p', target('egde', undefined, 'Gateway'))))).toEqual([
      'unknown-target spec.targetRefs[0].name',
    ])
  })
  it('a route that has no manifest: the key alone is the identity', () => {
    const made = compile(guest('p', target('status', 'page')) + guest('q', target('status')))
    expect(rules(made)).toEqual({ 'status/page': 'shop/p', 'status/_': 'shop/q' })
    expect(errors(made)).toEqual([])
  })
  it('R10 rules that share a name are refused, all of them', () => {
    const twice = cart.replace('name: show', 'name: pay')
    const made = compile(twice + guest('p', target('cart')))
    expect(rules(made)['cart/pay']).toBe('duplicate-rule')
    expect(errors(made)).toEqual(['duplicate-rule spec.rules[1].name'])
  })
  it('hosts are those of the route within its listeners', () => {
    const hosted = cart.replace('spec:', 'spec:\n  hostnames: [shop.example, shop.test]')
    expect(compile(hosted + edge + guest('p', target('cart'))).snapshot.rules[0]?.hostnames).toEqual(['shop.example'])
    expect(compile(hosted + guest('p', target('cart'))).snapshot.rules[0]?.hostnames).toEqual([
      'shop.example',
      'shop.test',
    ])
  })
})

describe('a broken policy refuses its own rules and frees nothing', () => {
  const all = guest('all', target('edge', undefined, 'Gateway'))
  const table: readonly (readonly [string, string, readonly string[]])[] = [
    ['CFG-01 unknown key', `${target('cart', 'pay')}\nautentication: []`, ['unknown-key spec.autentication']],
    ['CFG-01 wrong type', `${target('cart', 'pay')}\nmode: 7`, ['bad-value spec.mode']],
    [
      'CFG-02 an empty condition',
      `${target('cart', 'pay')}\nauthorization: [{ scopes: [] }]`,
      ['nothing-to-check spec.authorization[0].scopes'],
    ],
    [
      'a missing Secret',
      `${target('cart', 'pay')}\nauthentication: [{ basic: { realm: R, usersRef: { name: nobody } } }]`,
      ['missing-reference spec.authentication[0].basic.usersRef.name'],
    ],
    [
      'bad CEL',
      `${target('cart', 'pay')}\nauthorization: [{ cel: 'requst.method' }]`,
      ['bad-cel spec.authorization[0].cel'],
    ],
    [
      'HDR-08 a forbidden header',
      `${target('cart', 'pay')}\nresponse: { headers: [{ name: host, value: { text: a } }] }`,
      ['forbidden-header spec.response.headers[0].name'],
    ],
    [
      'HDR-08 a forbidden removal',
      `${target('cart', 'pay')}\nresponse: { remove: [':path'] }`,
      ['forbidden-header spec.response.remove[0]'],
    ],
  ]
  it.each(table)('%s', (_, spec, expected) => {
    const made = compile(cart + all + guest('p', spec))
    expect(errors(made)).toEqual(expected)
    expect(rules(made)).toEqual({ 'cart/pay': 'broken-policy', 'cart/show': 'shop/all', 'cart/_': 'shop/all' })
  })
  it('even where its targets cannot be read: a Gateway’s policy does not take its place', () => {
    const made = compile(cart + all + guest('p', 'targetRefs: cart'))
    expect(rules(made)).toEqual({
      'cart/pay': 'broken-policy',
      'cart/show': 'broken-policy',
      'cart/_': 'broken-policy',
    })
  })
  it('CFG-01 keeps the last valid version of a policy that an edit broke', () => {
    const compiler = createCompiler(services)
    compile(cart + guest('p', target('cart', 'pay')), compiler)
    const made = compile(cart + guest('p', `${target('cart', 'pay')}\nmoed: Shadow`), compiler)
    expect(rules(made)['cart/pay']).toBe('shop/p')
    expect(made.problems.find(({ code }) => code === 'unknown-key')?.say).toContain('last good version')
    expect(rules(compile(cart, compiler))['cart/pay']).toBe('no-policy')
  })
  it('CTR-09 nobody could pass', () => {
    const empty = guest('p', target('cart', 'pay')).replace(/ {2}guest.*\n/, '')
    expect(errors(compile(cart + empty))).toEqual(['nothing-to-check spec.authentication'])
  })
})

describe('objects', () => {
  it('an unknown kind, with what was meant', () => {
    const made = compile(
      'apiVersion: gatehouse.dev/v1alpha1\nkind: AuthPolcy\nmetadata: { name: a, namespace: b }\nspec: {}\n',
    )
    expect(made.problems[0]).toMatchObject({ code: 'unknown-kind', mend: 'did you mean "AuthPolicy"?' })
  })
  it('an unknown version of a policy', () => {
    expect(errors(compile(cart + guest('p', target('cart')).replace('v1alpha1', 'v1')))).toContain(
      'unknown-kind apiVersion',
    )
  })
  it('two of one name', () => {
    expect(errors(compile(cart + cart))).toEqual(['duplicate-object metadata.name'])
  })
  it('points out who lets everybody in', () => {
    const made = compile(cart + guest('p', target('cart', 'pay')))
    expect(made.problems).toMatchObject([{ code: 'allows-everybody', severity: 'note', object: 'AuthPolicy shop/p' }])
  })
  it('CFG-07 a Secret of another namespace does not exist', () => {
    const secret = `\n---\napiVersion: v1\nkind: Secret\nmetadata: { namespace: other, name: users }\nstringData: { .htpasswd: 'a:b' }\n`
    const spec = `${target('cart', 'pay')}\nauthentication: [{ basic: { realm: R, usersRef: { name: users } } }]`
    expect(errors(compile(cart + secret + guest('p', spec)))).toEqual([
      'missing-reference spec.authentication[0].basic.usersRef.name',
    ])
  })
})

describe('patterns of a route', () => {
  it('that RE2 cannot read are told with their places, and the route stays', () => {
    const made = compile(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { namespace: shop, name: cart }
spec:
  rules:
    - name: pay
      matches:
        - path: { type: RegularExpression, value: "/pay/(a" }
          headers: [{ name: x-env, type: RegularExpression, value: "(" }]
        - path: { type: RegularExpression, value: "/fine/.*" }
`)
    expect(made.problems.map(({ code, severity, path }) => `${severity} ${code} ${showPath(path)}`)).toEqual([
      'warning bad-regex spec.rules[0].matches[0].path.value',
      'warning bad-regex spec.rules[0].matches[0].headers[0].value',
    ])
  })
})

describe('keys', () => {
  it('that are nearly one are told of a route, others may be of a newer Gateway API', () => {
    const made = compile(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { namespace: shop, name: cart }
spec:
  hostname: [shop.example]
  rules:
    - name: pay
      matchs: [{ path: { value: /pay } }]
      somethingNew: true
      filters:
        - type: ExternalAuth
          externalAuth: { protocol: HTTP, backendRef: { name: g, port: 9002 }, http: { pathh: /v1 } }
`)
    const told = made.problems.filter(({ code }) => code === 'unknown-key')
    expect(told.map(({ severity, path, mend }) => [severity, showPath(path), mend])).toEqual([
      ['error', 'spec.hostname', 'did you mean "hostnames"?'],
      ['error', 'spec.rules[0].matchs', 'did you mean "matches"?'],
      ['error', 'spec.rules[0].filters[0].externalAuth.http.pathh', 'did you mean "path"?'],
    ])
  })

  it.each([
    ['Gateway', 'spec: { listeners: [{ name: a, port: 80, protocol: HTTP, hostnam: a.example }] }', 'hostname'],
    [
      'Gateway',
      'spec: { listeners: [{ name: a, port: 80, protocol: HTTP, allowedRoutes: { namespace: { from: All } } }] }',
      'namespaces',
    ],
    ['Gateway', 'spec: { listener: [] }', 'listeners'],
    ['ListenerSet', 'spec: { parentRef: { name: a, namspace: b }, listeners: [] }', 'namespace'],
    ['Secret', 'stringdata: { a: b }', 'stringData'],
    ['ConfigMap', 'datas: { a: b }', 'data'],
    ['HTTPRoute', 'specs: {}\nspec: {}', 'spec'],
    ['HTTPRoute', 'spec: { parentRefs: [{ name: a, sectioName: b }] }', 'sectionName'],
  ])('that are nearly one are told of a %s: %s', (kind, text, meant) => {
    const group = kind === 'Secret' || kind === 'ConfigMap' ? 'v1' : 'gateway.networking.k8s.io/v1'
    const made = compile(`apiVersion: ${group}\nkind: ${kind}\nmetadata: { name: a, namespace: b }\n${text}\n`)
    const told = made.problems.filter(({ code }) => code === 'unknown-key')
    expect(told.map(({ severity, mend }) => [severity, mend])).toEqual([['error', `did you mean "${meant}"?`]])
  })

  it.each(['AuthPolicy', 'HTTPRoute', 'Gateway', 'ListenerSet', 'Secret', 'ConfigMap'])(
    'a namespace that is misspelt is told of a %s, and what else is in its metadata is not',
    (kind) => {
      const group =
        kind === 'AuthPolicy' ? 'gatehouse.dev/v1alpha1' : /^[SC]/.test(kind) ? 'v1' : 'gateway.networking.k8s.io/v1'
      const metadata = '{ name: a, namspace: b, labels: { names: c }, annotations: { nam: d }, team: e }'
      const made = compile(`apiVersion: ${group}\nkind: ${kind}\nmetadata: ${metadata}\nspec: {}\n`)
      const told = made.problems.filter(({ code, path }) => code === 'unknown-key' && path[0] === 'metadata')
      expect(told.map(({ path, mend }) => [showPath(path), mend])).toEqual([
        ['metadata.namspace', 'did you mean "namespace"?'],
      ])
    },
  )
})
