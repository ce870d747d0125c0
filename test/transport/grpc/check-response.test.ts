import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decide } from '../../../src/engine/decide.ts'
import { deny, denyReasons } from '../../../src/model/decision.ts'
import type { Decision, DenyReason, HeaderList } from '../../../src/model/decision.ts'
import { readCheck } from '../../../src/transport/grpc/check-request.ts'
import { checkResponse } from '../../../src/transport/grpc/check-response.ts'
import { codecOf } from '../../../src/transport/grpc/codec.ts'
import { attributes, decode, encode, rule } from './serving.ts'
import type { Answer } from './serving.ts'

const request = readCheck(encode(attributes()), { envoyGatewayMetadata: false })
const never = new AbortController().signal
async function granted(headers: HeaderList, remove: readonly string[] = []): Promise<Decision> {
  return (await decide(rule('pay', { headers: () => headers, remove }), request, never)).decision
}
const reasons = Object.keys(denyReasons) as DenyReason[]

/** What Envoy makes of a response, silence included (GATEWAYS.md §G.1). */
const allowedByEnvoy = (answer: Answer): boolean => (answer.status?.code ?? 0) === 0

const token = fc.string({ unit: fc.constantFrom('a', 'b', '-', 'x', '1'), minLength: 1, maxLength: 12 })
const text = fc.string({ maxLength: 20 })

describe.each(['lean', 'reference'] as const)('%s codec', async (name) => {
  const codec = await codecOf(name)
  const sent = (decision: Decision): Answer => decode(codec.write(decision))

  describe('every answer', () => {
    it('CTR-10 an allow has code 0 and ok_response, and nothing else', async () => {
      await fc.assert(
        fc.asyncProperty(fc.uniqueArray(token), fc.uniqueArray(token), text, async (set, remove, value) => {
          const decision = await granted(
            set.map((name) => [name, value]),
            remove,
          )
          const answer = sent(decision)
          expect(decision.kind).toBe('allow')
          expect(answer.status).toEqual({ code: 0 })
          expect(answer.ok_response).toBeDefined()
          expect([answer.denied_response, answer.error_response]).toEqual([undefined, undefined])
          const removed = answer.ok_response?.headers_to_remove ?? []
          expect(removed.filter((name) => set.includes(name))).toEqual([])
        }),
      )
    })

    it('CTR-10 CTR-11 a deny has a code, denied_response and an HTTP status, whatever the decision says', () => {
      const status = fc.oneof(fc.integer(), fc.double(), fc.constantFrom(0, 200, 204, 302, 401, 403, 429, 500, 503))
      fc.assert(
        fc.property(
          fc.constantFrom(...reasons),
          status,
          text,
          fc.array(fc.tuple(token, text)),
          (reason, http, body, headers) => {
            const answer = sent(deny(reason, { status: http, body, headers }))
            const code = answer.denied_response?.status?.code
            expect(allowedByEnvoy(answer)).toBe(false)
            expect([answer.ok_response, answer.error_response]).toEqual([undefined, undefined])
            expect(typeof code === 'number' && code >= 300 && code < 500).toBe(true)
          },
        ),
      )
    })

    it.each([
      [401, 16, 401],
      [403, 7, 403],
      [400, 7, 400],
      [302, 7, 302],
      [429, 7, 429],
      [0, 7, 403],
      [200, 7, 403],
      [204, 7, 403],
      [500, 7, 403],
      [Number.NaN, 7, 403],
    ])('CTR-32 status %s is code %s and %s', (status, code, http) => {
      const answer = sent(deny('no-credential', { status }))
      expect([answer.status?.code, answer.denied_response?.status?.code]).toEqual([code, http])
    })

    it('a decision that cannot be encoded is a refusal', () => {
      const broken = { ...deny('internal'), headers: [[Symbol('no text'), 1]] } as unknown as Decision
      expect(allowedByEnvoy(sent(broken))).toBe(false)
      expect(sent(broken).denied_response?.status?.code).toBe(403)
    })
  })

  describe('headers', () => {
    it('overwrites by append_action, never by append or raw_value', async () => {
      const answer = sent(await granted([['x-user', 'ada']]))
      expect(answer.ok_response?.headers).toEqual([{ header: { key: 'x-user', value: 'ada' }, append_action: 2 }])
    })

    it('CTR-13 HDR-01 HDR-04 names every owned header that is not set', async () => {
      const answer = sent(await granted([['x-user', 'ada']], ['authorization']))
      expect(answer.ok_response?.headers_to_remove?.toSorted()).toEqual([
        'authorization',
        'x-groups',
        'x_groups',
        'x_user',
      ])
    })

    it('HDR-13 takes off the credential where the policy wants it', async () => {
      const answer = sent(await granted([], ['authorization', 'dpop', 'cookie']))
      expect(answer.ok_response?.headers_to_remove).toEqual(expect.arrayContaining(['authorization', 'dpop', 'cookie']))
    })

    it('HDR-13 takes a token out of the query where the policy wants it, in the spelling of this request', async () => {
      const removeQuery = new Set(['access_token'])
      const asked = async (path: string): Promise<readonly string[] | undefined> => {
        const request = readCheck(encode(attributes({ path })), { envoyGatewayMetadata: false })
        const { decision } = await decide(rule('pay', { removeQuery }), request, never)
        return sent(decision).ok_response?.query_parameters_to_remove ?? []
      }
      expect(await asked('/a?access_token=t&b=1')).toEqual(['access_token'])
      expect(await asked('/a?b=1')).toEqual([])
      expect(await asked('/a')).toEqual([])
      expect(await asked('/a?b=access_token&access%5Ftoken=t&access_token=u&access%5ftoken')).toEqual([
        'access%5Ftoken',
        'access_token',
        'access%5ftoken',
      ])
    })

    it('CTR-12 sends several challenges in order, so that none replaces another', () => {
      const headers: HeaderList = [
        ['www-authenticate', 'Bearer realm="a"'],
        ['www-authenticate', 'Basic realm="a"'],
        ['cache-control', 'no-store'],
      ]
      const answer = sent(deny('no-credential', { status: 401, headers }))
      expect(answer.denied_response?.headers).toEqual(
        headers.map(([key, value]) => ({ header: { key, value }, append_action: 0 })),
      )
    })

    it.each([
      ['ASCII', 'Jose', 'Jose'],
      ['bytes of UTF-8', Buffer.from('José 💥').toString('latin1'), 'José 💥'],
      ['bytes that are not', 'Jos\xe9', 'José'],
    ])('HDR-06 a value of %s', async (_, value, wire) => {
      expect(sent(await granted([['x-user', value]])).ok_response?.headers?.[0]?.header.value).toBe(wire)
    })

    it('HDR-15 tells a client nothing but status, headers and body', () => {
      const cause = new Error('secret of the policy shop/test')
      for (const reason of reasons) {
        const bytes = codec.write(deny(reason, { cause })).toString('latin1')
        expect(bytes).not.toContain(reason)
        expect(bytes).not.toContain('secret')
        expect(checkResponse(deny(reason, { cause }))).toEqual({
          status: { code: 7 },
          denied_response: { status: { code: 403 }, headers: [], body: '' },
        })
      }
    })
  })

  it('the same decision is the same bytes again', async () => {
    const decision = await granted([['x-user', 'ada']])
    const first = Buffer.from(codec.write(decision))
    codec.write(deny('internal'))
    expect(codec.write(decision)).toEqual(first)
  })
})
