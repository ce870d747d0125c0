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
