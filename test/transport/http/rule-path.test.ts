import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { routeKey, showRoute } from '../../../src/model/route.ts'
import { parseRulePath } from '../../../src/transport/http/rule-path.ts'

const shown = (target: string): string => {
  const { via, claim, rest } = parseRulePath(target)
  return claim.kind === 'key' ? `${via} ${showRoute(claim.key)} ${rest}` : claim.kind
}

describe('check', () => {
  it.each([
    ['a target behind the key', '/v1/check/shop/cart/pay/-/cart?a=b', 'check shop/cart/pay /cart?a=b'],
    ['nothing behind it: a key, and no target', '/v1/check/shop/cart/pay/-', 'check shop/cart/pay '],
    ['a query only', '/v1/check/shop/cart/pay/-?x', 'check shop/cart/pay ?x'],
    ['the unnamed rules', '/v1/check/shop/cart/_/-/', 'check shop/cart/_ /'],
    ['dots in names', '/v1/check/shop/cart.v2/pay.v2/-/', 'check shop/cart.v2/pay.v2 /'],
    [
      'a key inside the target',
      '/v1/check/shop/cart/pay/-/v1/check/a/b/c/-/',
      'check shop/cart/pay /v1/check/a/b/c/-/',
    ],
    [
      'R1 no way back into the key',
      '/v1/check/shop/cart/pay/-/../../../a/b/c/-/x',
      'check shop/cart/pay /../../../a/b/c/-/x',
    ],
    ['R1 nor an encoded one', '/v1/check/shop/cart/pay/-/%2e%2e/%2E%2E/x', 'check shop/cart/pay /%2e%2e/%2E%2E/x'],
    ['CTR-23 two slashes', '/v1/check/shop/cart/pay/-//x', 'check shop/cart/pay //x'],
    ['a fragment', '/v1/check/shop/cart/pay/-/a#b', 'check shop/cart/pay /a#b'],
    ['a line feed', '/v1/check/shop/cart/pay/-/a\nb', 'check shop/cart/pay /a\nb'],
  ])('%s: %s', (_, target, expected) => {
    expect(shown(target)).toBe(expected)
  })
  it.each([
    ['R2 OPTIONS *', '/v1/check/shop/cart/pay/-*'],
    ['R2 a rule whose name goes on', '/v1/check/shop/cart/pay/-x/y'],
    ['R2 a target without a slash', '/v1/check/shop/cart/pay-x/'],
    ['no terminator', '/v1/check/shop/cart/pay'],
    ['a query in its place', '/v1/check/shop/cart/pay?/-/x'],
    ['another one in its place', '/v1/check/shop/cart/pay/x/-/'],
    ['too few names', '/v1/check/shop/cart/-/'],
    ['an empty name', '/v1/check/shop//pay/-/'],
    ['CTR-23 a slash too many in front', '//v1/check/shop/cart/pay/-/'],
    ['CTR-23 out of the prefix', '/v1/check/../metrics'],
    ['CTR-23 encoded', '/v1%2fcheck/shop/cart/pay/-/'],
    ['CTR-23 encoded dots', '/v1/check/%2e%2e/cart/pay/-/'],
    ['dots as names', '/v1/check/../../../-/'],
    ['an encoded terminator', '/v1/check/shop/cart/pay/%2d/x'],
    ['upper case', '/v1/check/Shop/cart/pay/-/'],
    ['upper case in front', '/V1/check/shop/cart/pay/-/'],
    ['NRM-13 absolute form', 'http://gatehouse/v1/check/shop/cart/pay/-/'],
    ['another version', '/v2/check/shop/cart/pay/-/'],
    ['an unknown dialect', '/v1/apache/shop/cart/pay'],
    ['a member of Object', '/v1/constructor/shop/cart/pay/-/'],
    ['matching', '/v1/matching/shop/cart/pay/-/'],
    ['*', '*'],
    ['nothing', ''],
    ['a namespace of 64', `/v1/check/${'a'.repeat(64)}/cart/pay/-/`],
    ['a rule of 254', `/v1/check/shop/cart/${'a'.repeat(254)}/-/`],
  ])('%s is no key: %s', (_, target) => {
    expect(parseRulePath(target).claim).toEqual({ kind: 'bad' })
  })
})

describe.each(['nginx', 'traefik', 'caddy', 'haproxy', 'ngf'])('%s', (dialect) => {
  it.each([
    ['exactly the URL', `/v1/${dialect}/shop/cart/pay`, `${dialect} shop/cart/pay `],
    ['with a query', `/v1/${dialect}/shop/cart/pay?a=/v1/b`, `${dialect} shop/cart/pay `],
    ['with a slash', `/v1/${dialect}/shop/cart/pay/`, 'bad'],
    ['with a terminator', `/v1/${dialect}/shop/cart/pay/-`, 'bad'],
    ['with a target', `/v1/${dialect}/shop/cart/pay/-/x`, 'bad'],
    ['with a fragment', `/v1/${dialect}/shop/cart/pay#x`, 'bad'],
    ['without a rule', `/v1/${dialect}/shop/cart`, 'bad'],
  ])('%s: %s', (_, target, expected) => {
    expect(shown(target)).toBe(expected)
  })
})

describe('whatever a client sends', () => {
  const key = { namespace: 'shop', route: 'cart', rule: 'pay' }
  const prefix = '/v1/check/shop/cart/pay/-'
  const bytes = fc.string({
    unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)),
    maxLength: 80,
  })

  it('R1 nothing that stands behind the prefix changes the key or is changed', () => {
    fc.assert(
      fc.property(bytes, (target) => {
        expect(parseRulePath(`${prefix}/${target}`)).toEqual({
          via: 'check',
          claim: { kind: 'key', key },
          rest: `/${target}`,
        })
      }),
      { numRuns: 2_000 },
    )
  })
  it('R2 and what does not begin with a slash is this key or none', () => {
    fc.assert(
      fc.property(bytes, (target) => {
        const { claim } = parseRulePath(prefix + target)
        expect([{ kind: 'bad' }, { kind: 'key', key }]).toContainEqual(claim)
        const fits = target === '' || target.startsWith('/') || target.startsWith('?')
        expect(claim.kind).toBe(fits ? 'key' : 'bad')
      }),
      { numRuns: 2_000 },
    )
  })
  it('only well-formed names are a key', () => {
    const piece = fc.oneof(bytes, fc.constantFrom('/', '//', '..', '%2f', '/-', '/-/', 'v1', 'check', 'shop', '_', '?'))
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const { claim } = parseRulePath(`/v1/check/${pieces.join('')}`)
        if (claim.kind === 'key') {
          expect(routeKey(claim.key.namespace, claim.key.route, claim.key.rule)).toEqual(claim.key)
          expect(`/v1/check/${pieces.join('')}`.startsWith(`/v1/check/${showRoute(claim.key)}/-`)).toBe(true)
        }
      }),
      { numRuns: 2_000 },
    )
  })
  it('is split in linear time', () => {
    const started = performance.now()
    for (const evil of ['/', '/-', 'a/', '/v1/check/', '?#', '%2f']) parseRulePath(`/v1/check/${evil.repeat(30_000)}`)
    expect(performance.now() - started).toBeLessThan(100)
  })
})
