import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DialectName } from '../../src/transport/http/dialect.ts'
import { removed, serving } from '../transport/http/serving.ts'
import { exchange, statuses } from '../transport/http/raw.ts'

/** A request of a client, before a gateway asks about it. */
export interface Original {
  readonly method?: string
  readonly target?: string
  readonly host?: string
  /** Fields that the client sent. */
  readonly fields?: readonly string[]
}

type Told = Required<Original>

/** What one dialect promises: how its gateway asks, and what it can be told. */
export interface Expectations {
  /** The lines that this gateway sends for an original request and a rule. */
  readonly ask: (original: Told, rule: string) => readonly string[]
  /** Names of the header lines without which there is nothing to judge. */
  readonly carriers: readonly string[]
  /** What a refusal becomes: malformed request and login, where the policy asks for them; 401 and 403 go through everywhere. */
  readonly malformed: number
  readonly login: number
  /** Whether an allow says which headers of the client go, or leaves out what the gateway then deletes. */
  readonly removals: 'named' | 'left-out'
  /** Whether the gateway tells the client's address and scheme. */
  readonly hops: boolean
}

const original = (some: Original): Told => ({
  method: 'GET',
  target: '/cart?a=b',
  host: 'shop.example',
  fields: [],
  ...some,
})

const ada = 'Authorization: Bearer ada'

/** The suite that every dialect passes. */
export function dialectSuite(name: DialectName, promised: Expectations): void {
  let server: Awaited<ReturnType<typeof serving>>
  beforeAll(async () => (server = await serving()))
  afterAll(() => server.close())

  const sent = (lines: readonly string[], port = server.port): Promise<string> =>
    exchange(port, [...lines, '', ''].join('\r\n'))
  const asked = (some: Original = {}, rule = 'pay') => sent(promised.ask(original(some), rule))
  const last = () => server.records.at(-1)
  const reason = (): string | undefined => {
    const decision = last()?.decision
    return decision?.kind === 'deny' ? decision.reason : undefined
  }

  describe('reads', () => {
    it('the request as the client made it', async () => {
      await asked({
        method: 'DELETE',
        target: '/cart/%40?a=%2F&b=//c',
        host: 'SHOP.example:8443',
        fields: [ada, 'X-A: 1', 'X-A: 2'],
      })
      expect(last()?.request).toMatchObject({ via: name, method: 'DELETE', host: 'shop.example', port: 8443 })
      expect(last()?.request.target).toMatchObject({
        raw: '/cart/%40?a=%2F&b=//c',
        path: '/cart/%40',
        query: 'a=%2F&b=//c',
      })
      expect(last()?.request.headers.get('x-a')).toEqual(['1', '2'])
      expect(last()?.rule).toBe('shop/cart/pay')
      expect(last()?.decision.kind).toBe('allow')
    })
    it('the credential as it came', async () => {
      await asked({ fields: [ada, 'Cookie: a=1; b=2'] })
      expect(last()?.request.headers.get('authorization')).toEqual(['Bearer ada'])
      expect(last()?.request.headers.get('cookie')).toEqual(['a=1; b=2'])
    })
    it('and leaves none of the gateway’s own words among the client’s headers', async () => {
      await asked({ fields: [ada] })
      const names = [...(last()?.request.headers.keys() ?? [])]
      expect(names.filter((one) => promised.carriers.includes(one))).toEqual([])
      expect(names).not.toContain('host')
    })
    it('where it came from, if the gateway tells', async () => {
      await asked({ fields: [ada] })
      expect(last()?.request).toMatchObject(
        promised.hops ? { source: '192.0.2.7', scheme: 'https' } : { source: undefined, scheme: undefined },
      )
    })
    it('a preflight', async () => {
      await asked({ method: 'OPTIONS', fields: ['Origin: https://a.example', 'Access-Control-Request-Method: GET'] })
      expect(last()?.request.method).toBe('OPTIONS')
      expect(reason()).toBe('no-credential')
    })
  })

  describe('refuses', () => {
    it.each([
      ['no credential', {}, 'no-credential'],
      ['a wrong one', { fields: ['Authorization: Bearer wrong'] }, 'bad-credential'],
      ['two', { fields: [ada, 'Authorization: Bearer bob'] }, 'repeated-credential'],
      ['NRM-01 an empty segment', { target: '//cart', fields: [ada] }, 'ambiguous-target'],
      ['NRM-02 a way up', { target: '/open/../cart', fields: [ada] }, 'ambiguous-target'],
      ['NRM-03 an encoded way up', { target: '/open/%2e%2e/cart', fields: [ada] }, 'ambiguous-target'],
      ['NRM-04 an encoded slash', { target: '/open%2fcart', fields: [ada] }, 'ambiguous-target'],
      ['NRM-09 one encoded twice', { target: '/open%252fcart', fields: [ada] }, 'ambiguous-target'],
      ['NRM-12 a backslash', { target: '/open\\cart', fields: [ada] }, 'ambiguous-target'],
      ['NRM-10 a NUL', { target: '/cart%00', fields: [ada] }, 'bad-target'],
      ['NRM-06 a fragment', { target: '/cart#x', fields: [ada] }, 'bad-target'],
      ['NRM-15 a host that is none', { host: 'shop.example,evil.example', fields: [ada] }, 'bad-host'],
      ['another host', { host: 'evil.example', fields: [ada] }, 'identity-mismatch'],
    ] as const)('%s', async (_, some, expected) => {
      expect(statuses(await asked(some))).toEqual([403])
      expect(reason()).toBe(expected)
    })
    it('R9 a rule that nobody knows', async () => {
      await asked({ fields: [ada] }, 'unknown')
      expect(reason()).toBe('unknown-rule')
    })
    it('a key that is none', async () => {
      expect(statuses(await asked({ fields: [ada] }, 'Pay'))).toEqual([403])
      expect(last()?.decision.kind).toBe('deny')
    })
    it('CTR-25 paths and hosts that other gateways’ headers tell', async () => {
      const others = [
        'X-Envoy-Original-Path: /open',
        'X-Rewrite-URL: /open',
        'X-Original-URL: /open',
        'X-HTTP-Method-Override: GET',
        'Forwarded: host=evil.example',
      ]
      await asked({ method: 'POST', target: '/cart', fields: [ada, ...others] })
      expect(last()?.request).toMatchObject({ method: 'POST', host: 'shop.example', target: { raw: '/cart' } })
    })
  })

  describe('tells', () => {
    it('CTR-03 an allow: exactly 200, empty, with what the policy sets and nothing of Node’s', async () => {
      const text = await asked({ fields: [ada] })
      const gone = [...removed, 'authorization']
      // Other spellings are named, and have no line of their own: Envoy takes a hundred lines at most.
      const emptied = gone.filter((one) => /^[a-z-]+$/.test(one)).map((one) => `${one}: `)
      const removals = [...emptied, `x-envoy-auth-headers-to-remove: ${gone.join(', ')}`]
      const lines = [
        'HTTP/1.1 200 OK',
        'x-user: ada',
        ...(promised.removals === 'named' ? removals : []),
        'content-length: 0',
        '',
        '',
      ]
      expect(text).toBe(lines.join('\r\n'))
    })
    it('HDR-01 nothing that the client claims to be', async () => {
      const text = await asked({ fields: [ada, 'X-User: admin', 'X_User: admin', 'X-Groups: admin'] })
      expect(text).toContain('x-user: ada\r\n')
      expect(text).not.toContain('admin')
    })
    it('CTR-32 a challenge', async () => {
      const text = await asked({}, 'ask')
      expect(statuses(text)).toEqual([401])
      expect(text).toContain(
        'www-authenticate: Bearer realm="test"\r\nwww-authenticate: Basic realm="Staff", charset="UTF-8"\r\ncache-control: no-store\r\n',
      )
    })
    it('CTR-32 a malformed request', async () => {
      expect(statuses(await asked({ fields: [ada, 'Authorization: Bearer bob'] }, 'ask'))).toEqual([promised.malformed])
      expect(statuses(await asked({ target: '/cart%00', fields: [ada] }, 'ask'))).toEqual([promised.malformed])
    })
    it('a login', async () => {
      const text = await asked({}, 'login')
      expect(statuses(text)).toEqual([promised.login])
      expect(text).toContain('location: https://login.example/\r\n')
    })
    it('the policy’s own words', async () => {
      expect(await asked({ fields: ['Connection: close'] }, 'words')).toMatch(
        /^HTTP\/1\.1 403 Forbidden\r\ncontent-type: text\/html\r\ncontent-length: 13\r\nConnection: close\r\n\r\nNot for you\.\n$/,
      )
    })
  })

  describe('believes nobody', () => {
    const without = (lines: readonly string[], carrier: string): readonly string[] =>
      lines.filter((line) => !line.toLowerCase().startsWith(`${carrier}:`))
    const line = (lines: readonly string[], carrier: string): string =>
      lines.find((one) => one.toLowerCase().startsWith(`${carrier}:`)) ?? ''
    const told = () => promised.ask(original({ fields: [ada] }), 'pay')

    it.each(promised.carriers)('without %s', async (carrier) => {
      expect(statuses(await sent(without(told(), carrier)))).toEqual([403])
      expect(reason()).toBe('malformed-request')
    })
    it.each(promised.carriers)('who says %s twice', async (carrier) => {
      expect(statuses(await sent([...told(), line(told(), carrier)]))).toEqual([403])
      expect(reason()).toBe('contradictory-headers')
    })
    it.each(promised.carriers.filter((carrier) => carrier.includes('-')))(
      'who says %s in another spelling',
      async (carrier) => {
        const alias = line(told(), carrier).replace(/^[^:]+/, (written) => written.replaceAll('-', '_'))
        expect(statuses(await sent([...told(), alias]))).toEqual([403])
        expect(reason()).toBe('contradictory-headers')
        expect(statuses(await sent([...without(told(), carrier), alias]))).toEqual([403])
      },
    )
    it('from an address that is not trusted, if it tells in headers', async () => {
      const strict = await serving({ trustedProxies: ['192.0.2.0/24'] })
      const text = await sent(told(), strict.port)
      const believed = promised.carriers.length === 0
      expect(statuses(text)).toEqual([believed ? 200 : 403])
      expect(strict.records[0]?.decision).toMatchObject(believed ? { kind: 'allow' } : { reason: 'untrusted-source' })
      expect(strict.records[0]?.request.source).toBe(believed ? undefined : '127.0.0.1')
      await strict.close()
    })
  })
}
