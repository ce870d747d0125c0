import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { gatehouse } from './support/gatehouse.ts'
import type { TestGatehouse } from './support/gatehouse.ts'
import { send } from './support/send.ts'

/* A directory that is edited while requests come in: whole states only, and nothing is ever freed by a mistake. */

const policy = (body: string): string => `
apiVersion: gatehouse.dev/v1alpha1
kind: AuthPolicy
metadata: { namespace: shop, name: cart }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: cart, sectionName: pay }]
${body.replaceAll(/^/gm, '  ')}
`
const keys = (...all: readonly string[]): string => `
apiVersion: v1
kind: Secret
metadata: { namespace: shop, name: keys }
stringData: { ${all.map((key, index) => `owner${index}: ${key}`).join(', ')} }
`
const byKey = (user: string): string =>
  policy(
    `authentication: [{ apiKey: { keysRef: { name: keys } } }]\nresponse: { headers: [{ name: x-one, value: { text: ${user} } }, { name: x-two, value: { text: ${user} } }] }`,
  )
const other = policy('guest: { subject: visitor }')
  .replace('name: cart }\n', 'name: other }\n')
  .replace('name: cart,', 'name: open,')

const key = 'key-number-one-of-the-test'
let guard: TestGatehouse
beforeAll(async () => {
  guard = await gatehouse({ files: { 'policy.yaml': byKey('a'), 'keys.yaml': keys(key), 'other.yaml': other } })
})
afterAll(() => guard.close())

const ask = (rule = 'shop/cart/pay', headers: readonly (readonly [string, string])[] = [['x-api-key', key]]) =>
  send({ port: guard.httpPort, path: `/v1/check/${rule}/-/`, headers })

/** Waits until the condition holds; fails with what it last saw. */
async function until(condition: () => Promise<boolean>, millis = 8000): Promise<void> {
  const end = performance.now() + millis
  while (!(await condition())) {
    if (performance.now() > end) throw new Error('it did not come to that')
    await new Promise((done) => setTimeout(done, 50))
  }
}
const generation = (): number => guard.state()?.snapshot.generation ?? 0
async function edit(files: Readonly<Record<string, string>>): Promise<void> {
  const before = generation()
  await guard.write(files)
  await until(() => Promise.resolve(generation() > before))
}

describe('edits', () => {
  it('are taken over, whole, while requests go on: never a mixture of two states', async () => {
    let done = false
    const seen: string[] = []
    const load = Array.from({ length: 4 }, async () => {
      while (!done) {
        const answer = await ask()
        seen.push(`${answer.status} ${answer.all('x-one').join()} ${answer.all('x-two').join()}`)
      }
    })
    for (const user of ['b', 'c', 'd', 'e']) await edit({ 'policy.yaml': byKey(user) })
    done = true
    await Promise.all(load)
    expect(new Set(seen).size).toBeGreaterThan(1)
    expect(seen.filter((one) => !/^200 ([a-e]) \1$/.test(one))).toEqual([])
  })
  it('CFG-01 of a kind that cannot be used leave the last good version in force, and others alone', async () => {
    await edit({ 'policy.yaml': byKey('f').replace('authentication', 'autentication') })
    expect((await ask()).status).toBe(200)
    expect((await ask('shop/cart/pay', [])).status).toBe(403)
    expect((await ask('shop/open/pay', [])).status).toBe(200)
    expect(guard.problems().some(({ code }) => code === 'unknown-key')).toBe(true)
  })
  it('CFG-08 of YAML that cannot be read leave it in force too', async () => {
    await edit({ 'policy.yaml': 'apiVersion: [' })
    expect((await ask()).status).toBe(200)
    expect((await ask('shop/cart/pay', [])).status).toBe(403)
    expect(guard.problems().some(({ code }) => code === 'bad-yaml')).toBe(true)
  })
  it('mended are in force again', async () => {
    await edit({ 'policy.yaml': byKey('g') })
    expect((await ask()).all('x-one')).toEqual(['g'])
    expect(guard.problems().filter(({ severity }) => severity === 'error')).toEqual([])
  })
  it('CFG-06 that take a Secret away make the rule deny, and only that rule', async () => {
    await edit({ 'keys.yaml': '# gone\n' })
    expect((await ask()).status).toBe(403)
    expect((await ask('shop/open/pay', [])).status).toBe(200)
    await edit({ 'keys.yaml': keys(key) })
    expect((await ask()).status).toBe(200)
  })
  it('REL-26 of a key with an overlap decide rightly at every moment', async () => {
    const next = 'key-number-two-of-the-test'
    await edit({ 'keys.yaml': keys(key, next) })
    expect((await ask()).status).toBe(200)
    expect((await ask('shop/cart/pay', [['x-api-key', next]])).status).toBe(200)
    await edit({ 'keys.yaml': keys(next) })
    expect((await ask()).status).toBe(403)
    expect((await ask('shop/cart/pay', [['x-api-key', next]])).status).toBe(200)
  })
})

/* A strict rule beside an open one: whatever an edit does to the strict one's objects, nobody gets in without a credential. */
const gatewayApi = 'apiVersion: gateway.networking.k8s.io/v1'
const route = (name: string, path: string): string => `
${gatewayApi}
kind: HTTPRoute
metadata: { namespace: shop, name: ${name} }
spec:
  parentRefs: [{ name: edge }]
  hostnames: [shop.example]
  rules:
    - name: all
      matches: [{ path: { type: PathPrefix, value: ${path} } }]
      filters:
        - type: ExternalAuth
          externalAuth:
            protocol: HTTP
            http: { path: /v1/check/shop/${name}/all/-, allowedResponseHeaders: [x-one] }
`
const lax = 'guest: { subject: visitor }'
const strict = 'authentication: [{ apiKey: { keysRef: { name: keys } } }]'
const forRoute = (body: string): string => policy(body).replaceAll('name: cart', 'name: admin').replace('pay', 'all')
const forGateway = (body: string): string =>
  policy(body)
    .replace('name: cart }', 'name: edge }')
    .replace(/targetRefs: .*/, 'targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: edge }]')
const matched = {
  'admin.yaml': route('admin', '/admin'),
  'open.yaml': route('open', '/'),
  'keys.yaml': keys(key),
}
const underLaxGateway = { ...matched, 'policy.yaml': forRoute(strict), 'gateway.yaml': forGateway(lax) }
const underOverride = {
  ...matched,
  'policy.yaml': forRoute(lax),
  'gateway.yaml': forGateway(`${strict}\nstrategy: Overrides`),
}
const badValue = matched['admin.yaml'].replace('type: PathPrefix', 'type: Prefix')

describe('nothing is freed by', () => {
  it.each<[string, Readonly<Record<string, string>>, Readonly<Record<string, string>>, number]>([
    ['(a) a bad value in the strict route', underLaxGateway, { 'admin.yaml': badValue }, 200],
    [
      '(a) a misspelt kind of the strict route',
      underLaxGateway,
      { 'admin.yaml': matched['admin.yaml'].replace('kind: HTTPRoute', 'kind: HTTPRout') },
      200,
    ],
    ['(b) broken YAML in the file of the strict route', underLaxGateway, { 'admin.yaml': 'apiVersion: [' }, 200],
    ['(c) a second route of its name', underLaxGateway, { 'second.yaml': route('admin', '/second') }, 403],
    ['(d) a bad value in a route under an Overrides policy', underOverride, { 'admin.yaml': badValue }, 403],
    ['(e) a second policy of its name', underLaxGateway, { 'a.yaml': forRoute(lax).replace('all', 'none') }, 200],
    [
      '(f) a misspelt kind of the strict policy',
      underLaxGateway,
      { 'policy.yaml': forRoute(strict).replace('kind: AuthPolicy', 'kind: AuthPolcy') },
      200,
    ],
    ['half of the strict policy', underLaxGateway, { 'policy.yaml': forRoute(strict).split('spec:')[0] ?? '' }, 200],
  ])('%s', async (_, files, broken, others) => {
    const world = await gatehouse({ files })
    try {
      const status = async (path: string, host = 'shop.example'): Promise<number> =>
        (await send({ port: world.matchingPort, path, host })).status
      const keyed = async (host: string): Promise<number> =>
        (await send({ port: world.httpPort, path: '/v1/check/shop/admin/all/-/admin', host })).status
      const closed = async () => [await status('/admin'), await keyed('shop.example'), await keyed('other.example')]
      const told = (): number => world.problems().filter(({ severity }) => severity === 'error').length
      expect([told(), ...(await closed())]).toEqual([0, 403, 403, 403])
      await world.write(broken)
      await until(() => Promise.resolve(told() > 0))
      expect(await closed()).toEqual([403, 403, 403])
      expect(await status('/')).toBe(others)
      // Mended, all is as before.
      await world.write({
        ...files,
        ...Object.fromEntries(Object.keys(broken).map((name) => [name, '# nothing'])),
        ...files,
      })
      await until(() => Promise.resolve(told() === 0))
      expect(await closed()).toEqual([403, 403, 403])
    } finally {
      await world.close()
    }
  })
  it('a strict route that moved into a new file that is broken; a new broken file alone takes nothing out of force', async () => {
    const world = await gatehouse({ files: underLaxGateway })
    try {
      const status = async (path: string): Promise<number> =>
        (await send({ port: world.matchingPort, path, host: 'shop.example' })).status
      await world.write({ 'new.yaml': 'apiVersion: [' })
      await until(() => Promise.resolve(world.problems().some(({ file }) => file === 'new.yaml')))
      expect([await status('/admin'), await status('/')]).toEqual([403, 200])
      await world.write({ 'admin.yaml': '# moved' })
      await until(async () => (await status('/')) === 403)
      expect(await status('/admin')).toBe(403)
      await world.write({ 'new.yaml': matched['admin.yaml'] })
      await until(async () => (await status('/')) === 200)
      expect(await status('/admin')).toBe(403)
    } finally {
      await world.close()
    }
  })
  it.each([
    ['(b) broken YAML in the file of the strict route', underLaxGateway, { 'admin.yaml': 'apiVersion: [' }],
    ['(b, d) broken YAML in the file of a route under an Overrides policy', underOverride, { 'admin.yaml': 'kind: [' }],
    ['(d) a bad value in a route under an Overrides policy', underOverride, { 'admin.yaml': badValue }],
    ['a file of garbage', underLaxGateway, { 'admin.yaml': '\ud800' }],
  ])('%s from the start', async (_, files, broken) => {
    const world = await gatehouse({ files: { ...files, ...broken } })
    try {
      for (const host of ['shop.example', 'other.example']) {
        expect((await send({ port: world.matchingPort, path: '/admin', host })).status).toBe(403)
        const path = '/v1/check/shop/admin/all/-/admin'
        expect((await send({ port: world.httpPort, path, host })).status).toBe(403)
      }
    } finally {
      await world.close()
    }
  })
})
