import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { codecOf } from '../../../src/transport/grpc/codec.ts'
import { requestIdOf } from '../../../src/model/request.ts'
import type { AuthRequest } from '../../../src/model/request.ts'
import { attributes, encode, shown } from './serving.ts'

const closed = { envoyGatewayMetadata: false }
const open = { envoyGatewayMetadata: true }

const raw = (...pairs: readonly (readonly [string, string | Buffer])[]): object => ({
  headers: {},
  header_map: {
    headers: pairs.map(([key, value]) => ({ key, raw_value: typeof value === 'string' ? Buffer.from(value) : value })),
  },
})
const extensions = (pairs: object): object => attributes({}, { context_extensions: pairs })
const value = (stringValue: string): object => ({ stringValue })
const resource = (fields: Readonly<Record<string, string>>): object => ({
  structValue: { fields: Object.fromEntries(Object.entries(fields).map(([name, text]) => [name, value(text)])) },
})
const metadata = (...resources: readonly object[]): object => ({
  route_metadata_context: {
    filter_metadata: { 'envoy-gateway': { fields: { resources: { listValue: { values: resources } } } } },
  },
})

describe.each(['lean', 'reference'] as const)('%s codec', async (name) => {
  const codec = await codecOf(name)
  const read = (request: object, trust = closed): AuthRequest => codec.read(encode(request), trust)

  describe('reading a check', () => {
    it('takes the request line from the fields and everything else from the headers', () => {
      const request = read(attributes({ headers: { Authorization: 'Bearer x', 'x-request-id': 'r-1' } }))
      expect(request).toMatchObject({
        via: 'grpc',
        claim: { kind: 'key', key: { namespace: 'shop', route: 'cart', rule: 'pay' } },
        method: 'GET',
        scheme: 'https',
        host: 'shop.example',
        target: { raw: '/pay/1?a=b', path: '/pay/1', query: 'a=b' },
        source: '192.0.2.7',
        fault: undefined,
      })
      expect(requestIdOf(request)).toBe('r-1')
      expect([...request.headers]).toEqual([
        ['authorization', ['Bearer x']],
        ['x-request-id', ['r-1']],
      ])
    })

    it.each([
      ['2001:db8::1', '2001:db8::1'],
      ['::ffff:192.0.2.7', '192.0.2.7'],
      ['fe80::1%eth0', 'fe80::1'],
      ['', undefined],
      ['somebody', undefined],
      ['1.2.3.4\n{"decision":"allow"}', undefined],
      ['9'.repeat(100_000), undefined],
    ])('OBS-02 a source of %j is %j', (address, source) => {
      const peer = { source: { address: { socket_address: { address } } } }
      expect(read(attributes({}, peer)).source).toBe(source)
    })

    it.each([
      ['nothing at all', {}],
      ['no request', { attributes: { context_extensions: { namespace: 'shop', route: 'cart' } } }],
      ['no http', { attributes: { request: { time: { seconds: '1' } } } }],
    ])('CTR-01 %s is malformed', (_, request) => {
      expect(read(request)).toMatchObject({ fault: 'malformed-request', claim: { kind: 'bad' } })
    })

    it('an empty http is no request line', () => {
      expect(read({ attributes: { request: { http: {} } } }).fault).toBe('bad-method')
    })

    it.each([
      ['two Host lines, joined by Envoy', { host: 'shop.example,evil.example' }, 'bad-host'],
      ['no host', { host: '' }, 'bad-host'],
      ['user info', { host: 'shop.example@evil.example' }, 'bad-host'],
      ['CONNECT: no path, and an OK would open the tunnel', { method: 'CONNECT', path: '' }, 'bad-method'],
      ['no method', { method: '' }, 'bad-method'],
      ['no path', { path: '' }, 'bad-target'],
      ['absolute form', { path: 'http://shop.example/pay' }, 'bad-target'],
    ])('NRM-16 %s', (_, http, fault) => {
      expect(read(attributes(http)).fault).toBe(fault)
    })

    it('NRM-16 the host field counts, no header does', () => {
      const headers = { host: 'evil.example', ':authority': 'evil.example', 'x-forwarded-host': 'evil.example' }
      expect(read(attributes({ headers })).host).toBe('shop.example')
    })

    it('CTR-25 x-envoy headers and pseudo-headers of the map change nothing that rules look at', () => {
      const headers = {
        ':path': '/public',
        ':method': 'OPTIONS',
        ':authority': 'open.example',
        ':scheme': 'http',
        'x-envoy-original-path': '/public',
        'x-envoy-auth-failure-mode-allowed': 'true',
        'x-forwarded-uri': '/public',
        'x-forwarded-method': 'OPTIONS',
      }
      const request = read(attributes({ headers }))
      const plain = read(attributes())
      expect({ ...request, headers: undefined }).toEqual({ ...plain, headers: undefined })
      expect([...request.headers.keys()].filter((name) => name.startsWith(':'))).toEqual([])
    })

    it.each([
      ['true', 'partial-body'],
      ['false', undefined],
      ['', 'partial-body'],
    ])('CTR-19 x-envoy-auth-partial-body: %s', (said, fault) => {
      expect(read(attributes({ headers: { 'x-envoy-auth-partial-body': said } })).fault).toBe(fault)
      expect(read(attributes(raw(['x-envoy-auth-partial-body', said]))).fault).toBe(fault)
    })

    it('DOS-11 headers named like members of Object are headers', () => {
      const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
      const headers = Object.fromEntries(names.map((name) => [name, 'x']))
      Object.defineProperty(headers, '__proto__', { value: 'x', enumerable: true })
      const request = read(attributes({ headers }))
      expect([...request.headers.keys()].toSorted()).toEqual(names.map((name) => name.toLowerCase()).toSorted())
      expect(Object.getPrototypeOf({})).toBe(Object.prototype)
      expect('x' in {}).toBe(false)
    })

    it('HDR-12 headers that Connection names are headers like any other', () => {
      const request = read(attributes({ headers: { connection: 'authorization', authorization: 'Bearer a' } }))
      expect(request.headers.get('authorization')).toEqual(['Bearer a'])
    })

    it('DOS-13 10,000 headers are too many', () => {
      const headers = Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`x-${n}`, 'v']))
      expect(read(attributes({ headers })).fault).toBe('too-large')
    })
  })

  describe('two encodings of the headers', () => {
    const name = fc.constantFrom('x-a', 'X-A', 'x-b', 'cookie', 'authorization', 'x-api-key')
    const text = fc.string({ unit: fc.constantFrom('a', ',', ' ', 'é', '💥', '!'), maxLength: 8 })

    it('CTR-15 the same request is read alike through headers and header_map', () => {
      fc.assert(
        fc.property(fc.array(fc.tuple(name, text), { maxLength: 8 }), (pairs) => {
          const joined = new Map<string, string>()
          for (const [written, said] of pairs) {
            const lower = written.toLowerCase()
            const before = joined.get(lower)
            joined.set(lower, before === undefined ? said : `${before},${said}`)
          }
          const one = read(attributes({ headers: Object.fromEntries(joined) }))
          expect(shown(read(attributes(raw(...pairs))))).toEqual(shown(one))
        }),
      )
    })

    it.each([
      ['a lone byte', Buffer.from([0x61, 0xff, 0x62]), 'a!b'],
      ['a truncated sequence', Buffer.from([0xe2, 0x82, 0x61]), '!!a'],
      ['an overlong slash', Buffer.from([0xc0, 0xaf]), '!!'],
      ['a surrogate', Buffer.from([0xed, 0xa0, 0x80]), '!!!'],
      ['good UTF-8', Buffer.from('é'), Buffer.from('é').toString('latin1')],
    ])('CTR-15 %s is read as Envoy writes it into the map', (_, bytes, said) => {
      expect(read(attributes(raw(['x-a', bytes]))).headers.get('x-a')).toEqual([said])
    })

    it('CTR-15 a raw value that is empty is none', () => {
      const headers = [{ key: 'x-a', value: 'v', raw_value: Buffer.alloc(0) }]
      expect(read(attributes({ headers: {}, header_map: { headers } })).headers.get('x-a')).toEqual(['v'])
    })

    it('CTR-15 repeated credentials are refused in both', () => {
      const two = read(attributes({ headers: { authorization: 'Bearer a,Bearer b' } }))
      const apart = read(attributes(raw(['authorization', 'Bearer a'], ['authorization', 'Bearer b'])))
      expect([two.fault, apart.fault]).toEqual(['repeated-credential', 'repeated-credential'])
    })

    it('CTR-15 pseudo-headers are dropped from both', () => {
      expect([...read(attributes(raw([':path', '/x'], ['a', 'b']))).headers]).toEqual([['a', ['b']]])
    })

    const both = (said: string): object => ({ ...raw(['x-a', said]), headers: { 'x-a': 'one', ':path': '/' } })
    it.each([
      ['agree', both('one'), undefined],
      ['differ', both('two'), 'contradictory-headers'],
      [
        'differ in number',
        { ...raw(['x-a', 'one'], ['x-b', '1']), headers: { 'x-a': 'one' } },
        'contradictory-headers',
      ],
    ])('CTR-16 both filled: they %s', (_, http, fault) => {
      expect(read(attributes(http)).fault).toBe(fault)
    })
  })

  describe('identity', () => {
    const pay = { kind: 'key', key: { namespace: 'shop', route: 'cart', rule: 'pay' } }
    const unnamed = { kind: 'key', key: { namespace: 'shop', route: 'cart', rule: '_' } }
    const bad = { kind: 'bad' }
    const match = { kind: 'match' }

    it.each([
      ['all three', { namespace: 'shop', route: 'cart', rule: 'pay' }, pay],
      ['no rule: the unnamed ones', { namespace: 'shop', route: 'cart' }, unnamed],
      ['more keys than ours', { namespace: 'shop', route: 'cart', rule: 'pay', tenant: 'a' }, pay],
      ['none', {}, match],
      ['only others', { tenant: 'a', __proto__x: 'b' }, match],
      ['only a rule', { rule: 'pay' }, bad],
      ['only a namespace', { namespace: 'shop' }, bad],
      ['only a route', { route: 'cart' }, bad],
      ['an empty rule', { namespace: 'shop', route: 'cart', rule: '' }, bad],
      ['a path in it', { namespace: 'shop', route: '../cart', rule: 'pay' }, bad],
      ['upper case', { namespace: 'Shop', route: 'cart', rule: 'pay' }, bad],
      ['a slash', { namespace: 'shop', route: 'cart/pay', rule: '_' }, bad],
      ['a member of Object', { constructor: 'x' }, match],
    ])('context extensions: %s', (_, pairs, claim) => {
      expect(read(extensions(pairs)).claim).toEqual(claim)
    })

    it('CTR-26 client headers of the same names are no identity', () => {
      const headers = { namespace: 'shop', route: 'cart', rule: 'pay', 'x-envoy-auth-context': 'shop' }
      expect(read(attributes({ headers }, { context_extensions: {} })).claim).toEqual(match)
      const other = attributes({ headers: { ...headers, rule: 'open' } })
      expect(read(other).claim).toEqual(pay)
    })

    const http = { kind: 'HTTPRoute', namespace: 'shop', name: 'cart' }
    const none = { context_extensions: {} }
    it.each([
      ['a named rule', metadata(resource({ ...http, sectionName: 'pay' })), pay],
      ['an unnamed rule', metadata(resource(http)), unnamed],
      ['another kind', metadata(resource({ ...http, kind: 'GRPCRoute' })), bad],
      ['no namespace', metadata(resource({ kind: 'HTTPRoute', name: 'cart' })), bad],
      ['an empty section', metadata(resource({ ...http, sectionName: '' })), bad],
      ['no resources', metadata(), bad],
      ['a resource that is text', metadata(value('HTTPRoute')), bad],
      ['nothing', {}, match],
      ['nothing in it', { route_metadata_context: {} }, match],
      ['only others', { route_metadata_context: { filter_metadata: { istio: { fields: {} } } } }, match],
    ])('Envoy Gateway metadata where asked for: %s', (_, said, claim) => {
      expect(read(attributes({}, { ...none, ...said }), open).claim).toEqual(claim)
    })

    it('Envoy Gateway metadata is nothing where it was not asked for', () => {
      expect(read(attributes({}, { ...none, ...metadata(resource(http)) })).claim).toEqual(match)
    })

    it.each([
      ['agreeing', metadata(resource({ ...http, sectionName: 'pay' })), pay, undefined],
      ['differing', metadata(resource({ ...http, sectionName: 'open' })), bad, 'contradictory-headers'],
      ['one unusable', metadata(resource({ kind: 'HTTPRoute' })), bad, undefined],
    ])('extensions and metadata %s', (_, said, claim, fault) => {
      expect(read(attributes({}, said), open)).toMatchObject({ claim, fault })
    })
  })

  describe('bytes that are no check', () => {
    const settled = (bytes: Buffer): AuthRequest => codec.read(bytes, open)

    it('CTR-30 whatever comes is a request to refuse or to judge, never an exception', () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
          const request = settled(Buffer.from(bytes))
          expect(request.fault === undefined || typeof request.fault === 'string').toBe(true)
        }),
        { numRuns: 2_000 },
      )
    })

    it('CTR-30 a check cut off anywhere is no other check', () => {
      const whole = encode(attributes())
      const kept = settled(whole)
      expect(kept.fault).toBeUndefined()
      for (let end = 1; end < whole.length; end++) {
        expect(settled(whole.subarray(0, end)).fault).toBe('malformed-request')
      }
    })

    it('CTR-30 a check with one byte changed is read without an exception', () => {
      const whole = encode(attributes())
      fc.assert(
        fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
          const changed = Buffer.from(whole)
          changed[at] = (changed[at] ?? 0) ^ mask
          expect(() => settled(changed)).not.toThrow()
        }),
        { numRuns: 2_000 },
      )
    })

    it.each([
      ['a length of 2³¹', Buffer.from([0x0a, 0x80, 0x80, 0x80, 0x80, 0x08])],
      ['a length past 2³²', Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])],
      ['an endless varint', Buffer.alloc(64, 0xff)],
      ['an open group', Buffer.from([0x0b])],
      ['groups in groups', Buffer.alloc(100_000, 0x0b)],
      ['10,000 unknown fields', Buffer.concat(Array.from({ length: 10_000 }, () => Buffer.from([0xf8, 0x07, 0x01])))],
      ['a wire type that does not exist', Buffer.from([0x0f, 0x00])],
      ['attributes that are a number', Buffer.from([0x08, 0x01])],
    ])('CTR-30 %s', (_, bytes) => {
      expect(settled(bytes).fault).toBe('malformed-request')
    })

    const whole = encode(attributes())
    const inAttributes = (...bytes: readonly number[]): Buffer =>
      Buffer.concat([Buffer.from([0x0a, bytes.length]), Buffer.from(bytes)])
    it.each([
      ['field number 0', Buffer.from([0x02, 0x00])],
      ['an unknown number of eleven bytes', Buffer.from([0xf8, 0x07, ...Array.from({ length: 10 }, () => 0x80), 0x00])],
      ['an unknown number of 65 bits', Buffer.from([0xf8, 0x07, ...Array.from({ length: 9 }, () => 0xff), 0x02])],
      ['a tag of 33 bits', Buffer.from([0x82, 0x80, 0x80, 0x80, 0x10, 0x00])],
      ['the end of a group that did not begin', Buffer.from([0x14])],
      ['a group that ends as another', Buffer.from([0x7b, 0x84, 0x01])],
      ['attributes twice', inAttributes()],
      ['an unknown text that is cut off', Buffer.from([0x7a, 0x05, 0x61])],
    ])('CTR-30 after a good check, %s', (_, bytes) => {
      expect(settled(Buffer.concat([whole, bytes])).fault).toBe('malformed-request')
    })

    it.each([
      ['the request as a number', inAttributes(0x20, 0x01)],
      ['the method as 64 bits', inAttributes(0x22, 0x0b, 0x12, 0x09, 0x11, 0, 0, 0, 0, 0, 0, 0, 0)],
      ['an extension as a number', inAttributes(0x52, 0x02, 0x10, 0x01)],
      ['a header as a number', inAttributes(0x22, 0x06, 0x12, 0x04, 0x1a, 0x02, 0x10, 0x01)],
      ['the destination as text', inAttributes(0x12, 0x02, 0x61, 0x62)],
    ])('CTR-30 %s', (_, bytes) => {
      expect(settled(bytes).fault).toBe('malformed-request')
    })

    it.each([
      ['a number', Buffer.from([0xf8, 0x07, 0x01])],
      ['a text', Buffer.from([0xfa, 0x07, 0x01, 0x61])],
      ['32 bits', Buffer.from([0xfd, 0x07, 1, 2, 3, 4])],
      ['64 bits', Buffer.from([0xf9, 0x07, 1, 2, 3, 4, 5, 6, 7, 8])],
      ['a group in a group', Buffer.from([0xfb, 0x07, 0x0b, 0x10, 0x01, 0x0c, 0xfc, 0x07])],
    ])('a newer Envoy may send %s', (_, bytes) => {
      expect(shown(settled(Buffer.concat([whole, bytes])))).toEqual(shown(settled(whole)))
    })

    it('DOS-14 metadata nested 10,000 deep is refused without an overflow', () => {
      const field = (tag: number, inner: Buffer): Buffer => {
        const length: number[] = []
        for (let left = inner.length; ; left >>>= 7) {
          length.push(left > 127 ? (left & 127) | 128 : left)
          if (left <= 127) break
        }
        return Buffer.concat([Buffer.from([tag, ...length]), inner])
      }
      let nested: Buffer = Buffer.from([0x08, 0x00])
      // Value.struct_value = 5, Struct.fields = 1, entry value = 2
      for (let depth = 0; depth < 10_000; depth++) nested = field(0x2a, field(0x0a, field(0x12, nested)))
      const entry = Buffer.concat([
        field(0x0a, Buffer.from('envoy-gateway')),
        field(0x12, field(0x0a, field(0x12, nested))),
      ])
      const deep = field(0x0a, field(0x6a, field(0x0a, entry)))
      const whole = Buffer.concat([encode(attributes()), deep])
      const started = performance.now()
      expect(settled(whole).fault).toBe('malformed-request')
      expect(performance.now() - started).toBeLessThan(100)
    })
  })
})
