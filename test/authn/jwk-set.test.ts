import { generateKeyPairSync, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { candidates, keySetLimits, readKeySet } from '../../src/authn/jwk-set.ts'
import type { KeySet } from '../../src/authn/jwk-set.ts'
import { verifyingKey } from '../../src/authn/jws-signature.ts'
import { readJws } from '../../src/authn/jwt-token.ts'
import { testKey } from '../support/jwt-bench.ts'

const ec = testKey('ec').jwk
const rsa = testKey('rsa', 'RS256').jwk
const ed = testKey('ed', 'EdDSA').jwk

const read = (keys: readonly unknown[], origin: 'published' | 'local' = 'published'): KeySet => {
  const set = readKeySet(JSON.stringify({ keys }), origin)
  if (set === undefined) throw new Error('not a set')
  return set
}
const kids = ({ keys }: KeySet): readonly (string | undefined)[] => keys.map(({ kid }) => kid)
const b64 = (hex: string): string => Buffer.from(hex, 'hex').toString('base64url')
const wycheproofKey = (comment: string): unknown => {
  const text = readFileSync(new URL('../vectors/wycheproof/json_web_key_test.json', import.meta.url), 'utf8')
  const { testGroups } = JSON.parse(text) as { testGroups: { comment: string; public?: { keys?: unknown[] } }[] }
  const found = testGroups.find((group) => group.comment === comment)?.public
  return found?.keys?.[0] ?? found
}
const evenModulus = Buffer.from(String(rsa['n']), 'base64url')
evenModulus[evenModulus.length - 1] = 0

describe('JWT-06 weak keys are left out when a set is read, and the others stay usable', () => {
  it.each<[string, unknown, string]>([
    ['RSA 512', testKey('x', 'RS256', 512).jwk, 'weak'],
    ['RSA 1024', testKey('x', 'RS256', 1024).jwk, 'weak'],
    ['RSA 2047', testKey('x', 'RS256', 2047).jwk, 'weak'],
    ['e = 1 (Wycheproof 9)', wycheproofKey('exponentOne'), 'weak'],
    ['e = 2', { ...rsa, kid: 'x', e: 'Ag' }, 'weak'],
    ['e of 72 bits', { ...rsa, kid: 'x', e: b64('ff0000000000000001') }, 'weak'],
    ['n even', { ...rsa, kid: 'x', n: evenModulus.toString('base64url') }, 'weak'],
    ['n of 16 384 bits', { ...rsa, kid: 'x', n: b64('ff'.repeat(2048)) }, 'weak'],
    ['ROCA (Wycheproof 7, 46)', wycheproofKey('jws_rsa_roca_key'), 'weak'],
    ['P-192', { ...ec, kid: 'x', crv: 'P-192' }, 'foreign'],
    [
      'secp256k1',
      { ...generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({ format: 'jwk' }) },
      'foreign',
    ],
  ])('%s', (_name, weak, kind) => {
    const set = read([weak, ec])
    expect(set.refused).toMatchObject([{ index: 0, kind }])
    expect(kids(set)).toEqual(['ec'])
  })

  it('and good keys of every size and kind are taken', () => {
    const big = [2048, 3072].map((bits) => testKey(`b${bits}`, 'RS256', bits).jwk)
    const curves = ['P-256', 'P-384', 'P-521'].map((namedCurve) => ({
      ...generateKeyPairSync('ec', { namedCurve }).publicKey.export({ format: 'jwk' }),
      kid: namedCurve,
    }))
    expect(read([...big, ...curves, ed]).refused).toEqual([])
  })
})

describe('JWT-38 Ed25519', () => {
  it.each([
    ['identity', '0100000000000000000000000000000000000000000000000000000000000000'],
    ['order 2', 'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'],
    ['order 4', '0000000000000000000000000000000000000000000000000000000000000000'],
    ['order 4, other sign', '0000000000000000000000000000000000000000000000000000000000000080'],
    ['order 8', '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'],
    ['order 8, other sign', '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85'],
    ['order 8, second', 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'],
    ['non-canonical identity', 'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'],
    ['y = p', 'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'],
  ])('small-order key (%s): left out', (_name, hex) => {
    expect(read([{ kty: 'OKP', crv: 'Ed25519', kid: 'x', x: b64(hex) }, ed]).refused).toMatchObject([{ kind: 'weak' }])
  })

  it('S + L in place of S: the signature does not hold', async () => {
    const key = testKey('ed', 'EdDSA')
    const input = `${Buffer.from('{"alg":"EdDSA","kid":"ed"}').toString('base64url')}.e30`
    const signature = sign(null, Buffer.from(input), key.key)
    const order = 2n ** 252n + 27742317777372353535851937790883648493n
    const s = BigInt(`0x${Buffer.from(signature.subarray(32).toReversed()).toString('hex')}`) + order
    const shifted = Buffer.from(s.toString(16).padStart(64, '0'), 'hex').toReversed()
    const keys = candidates(read([key.jwk]).keys, 'ed', 'EdDSA')
    const holds = async (bytes: Uint8Array): Promise<boolean> => {
      const jws = readJws(`${input}.${Buffer.from(bytes).toString('base64url')}`)
      return jws !== undefined && (await verifyingKey(jws, 'EdDSA', keys)) !== undefined
    }
    expect(await holds(signature)).toBe(true)
    expect(await holds(Buffer.concat([signature.subarray(0, 32), shifted]))).toBe(false)
  })
})

describe('JWT-32 bad keys in a set are skipped, the good ones work', () => {
  const secret = { kty: 'oct', kid: 'mac', k: 'A'.repeat(43) }
  it.each<[string, unknown, string]>([
    ['a shared secret in a public set', secret, 'exposed'],
    ['a private EC key', { ...ec, kid: 'x', d: 'AAAA' }, 'exposed'],
    ['a private key, whatever its use', { ...ec, kid: 'x', d: 'AAAA', use: 'enc' }, 'exposed'],
    ['RSA primes alone', { ...rsa, kid: 'x', p: 'AAAA' }, 'exposed'],
    ['use: enc', { ...ec, kid: 'x', use: 'enc' }, 'foreign'],
    ['use of another type', { ...ec, kid: 'x', use: ['sig'] }, 'foreign'],
    ['key_ops without verify', { ...ec, kid: 'x', key_ops: ['sign'] }, 'foreign'],
    ['key_ops twice', { ...ec, kid: 'x', key_ops: ['verify', 'verify'] }, 'foreign'],
    ['key_ops as text', { ...ec, kid: 'x', key_ops: 'verify' }, 'foreign'],
    ['an unknown kty', { kty: 'AKP', kid: 'x' }, 'foreign'],
    ['no kty', { kid: 'x' }, 'foreign'],
    ['X25519', { kty: 'OKP', crv: 'X25519', kid: 'x', x: ed['x'] }, 'foreign'],
    ['an alg of another type', { ...ec, kid: 'x', alg: 'RS256' }, 'foreign'],
    ['an alg for encryption', { ...rsa, kid: 'x', alg: 'RSA-OAEP' }, 'foreign'],
    ['a kid that is a number', { ...ec, kid: 1 }, 'malformed'],
    ['a kid that is null', { ...ec, kid: null }, 'malformed'],
    ['a point off its curve', { ...ec, kid: 'x', y: ec['x'] }, 'malformed'],
    ['a short coordinate', { ...ec, kid: 'x', x: 'AAAA' }, 'malformed'],
    ['a padded member', { ...ec, kid: 'x', x: `${String(ec['x'])}=` }, 'malformed'],
    ['n missing', { kty: 'RSA', kid: 'x', e: 'AQAB' }, 'malformed'],
    ['null', null, 'malformed'],
    ['a list', [], 'malformed'],
  ])('%s', (_name, bad, kind) => {
    const set = read([rsa, bad, ed])
    expect(set.refused).toMatchObject([{ index: 1, kind }])
    expect(kids(set)).toEqual(['rsa', 'ed'])
  })

  it('no reason holds key material', () => {
    const set = read([
      { ...ec, d: 'c2VjcmV0LXNlY3JldA' },
      { kty: 'oct', k: 'c2VjcmV0LXNlY3JldA' },
    ])
    expect(JSON.stringify(set)).not.toContain('c2VjcmV0')
  })

  it('a shared secret beside public keys in a local set: the secret is left out', () => {
    expect(kids(read([secret, ec], 'local'))).toEqual(['ec'])
    expect(kids(read([secret], 'local'))).toEqual(['mac'])
  })

  it.each<[string, readonly unknown[], readonly string[]]>([
    ['two keys of one type', [ec, { ...testKey('ec').jwk }, ed], ['ed']],
    ['one of them unusable', [ec, { ...testKey('ec').jwk, x: 'AAAA' }, ed], ['ed']],
    ['one key twice', [ec, ec], ['ec', 'ec']],
    ['two types', [ec, { ...rsa, kid: 'ec' }], ['ec', 'ec']],
    ['the other for encryption', [ec, { ...testKey('ec').jwk, use: 'enc' }], ['ec']],
  ])('duplicate kid: %s', (_name, keys, left) => {
    expect(kids(read(keys))).toEqual(left)
  })

  it.each<[string, string]>([
    ['keys not an array', '{"keys":{"0":{}}}'],
    ['no keys', '{}'],
    ['a list', '[]'],
    ['not JSON', '<html>'],
    ['duplicate keys member', '{"keys":[],"keys":[]}'],
    ['101 keys', JSON.stringify({ keys: Array.from({ length: 101 }, () => ec) })],
    ['10 000 keys', JSON.stringify({ keys: Array.from({ length: 10_000 }, () => ({ kty: 'EC' })) })],
    ['too long', `{"keys":[]${' '.repeat(keySetLimits.maxBytes)}}`],
  ])('%s: no set at all', (_name, text) => {
    expect(readKeySet(text, 'published')).toBeUndefined()
  })

  it('an empty set has no keys', () => {
    expect(read([])).toEqual({ keys: [], refused: [] })
  })
})

describe('JWT-05 shared secrets', () => {
  const secret = (bytes: number, alg?: string): unknown => ({
    kty: 'oct',
    kid: 'm',
    k: Buffer.alloc(bytes, 7).toString('base64url'),
    ...(alg === undefined ? {} : { alg }),
  })
  it.each<[number, string | undefined, readonly string[]]>([
    [0, undefined, []],
    [1, undefined, []],
    [31, undefined, []],
    [32, undefined, ['HS256']],
    [48, undefined, ['HS256', 'HS384']],
    [64, undefined, ['HS256', 'HS384', 'HS512']],
    [31, 'HS256', []],
    [47, 'HS384', []],
    [63, 'HS512', []],
    [64, 'HS256', ['HS256']],
    [32, 'A256GCM', []],
  ])('%i bytes, alg %s', (bytes, alg, algorithms) => {
    expect(read([secret(bytes, alg)], 'local').keys.flatMap((key) => key.algorithms)).toEqual(algorithms)
  })
})

describe('JWT-34 candidates', () => {
  const many = read(Array.from({ length: 50 }, (_, index) => testKey(`k${index}`).jwk)).keys
  it('without kid: four of 50', () => {
    expect(candidates(many, undefined, 'ES256').map(({ kid }) => kid)).toEqual(['k0', 'k1', 'k2', 'k3'])
  })
  it('with kid: that one, to the letter', () => {
    expect(candidates(many, 'k49', 'ES256').map(({ kid }) => kid)).toEqual(['k49'])
    expect(candidates(many, 'K49', 'ES256')).toEqual([])
    expect(candidates(many, 'k49', 'RS256')).toEqual([])
  })
})
