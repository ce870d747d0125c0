import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DialectName } from '../../../src/transport/http/dialect.ts'
import { dialects } from '../../../src/transport/http/index.ts'
import { allow } from '../../../src/model/decision.ts'
import { identity } from '../../support/make.ts'
import { exchange } from './raw.ts'
import { removed, serving } from './serving.ts'

/* GATEWAYS.md §G.1: a gateway that copies our `content-length: 0` to the client's request makes a second request of its body. */

/** The lines of one answer's header, without its first. */
const lines = (text: string): readonly string[] => text.split('\r\n').slice(1, -2)
const lengths = (all: readonly string[]): readonly string[] => all.filter((one) => /^content-length:/i.test(one))
const named = (all: readonly string[]): readonly string[] =>
  all.flatMap((one) => /^x-envoy-auth-headers-to-remove: (.*)$/i.exec(one)?.[1]?.split(', ') ?? [])

const call = (target: string, ...fields: readonly string[]): string =>
  [`POST ${target} HTTP/1.1`, 'Host: shop.example', 'Content-Length: 0', ...fields, '', ''].join('\r\n')
const ada = 'Authorization: Bearer ada'

describe.each([
  ['keyed', '/v1/check/shop/cart/copied/-/form', '/v1/check/shop/cart/pay/-/form'],
  ['matching', '/copied/form', '/pay/form'],
] as const)('DOS-10 HDR-08 the length of an answer on the %s listener', (kind, copied, plain) => {
  let server: Awaited<ReturnType<typeof serving>>
  beforeAll(async () => (server = await serving({ kind })))
  afterAll(() => server.close())

  it('is taken off the request again where the filter copies every header, and is there once', async () => {
    const answer = lines(await exchange(server.port, call(copied, ada)))
    expect(lengths(answer)).toEqual(['content-length: 0'])
    expect(named(answer).toSorted()).toEqual([...removed, 'authorization', 'content-length'].toSorted())
  })
  it('is left alone where the filter lists what it copies: the backend keeps the framing that the client chose', async () => {
    const answer = lines(await exchange(server.port, call(plain, ada)))
    expect(lengths(answer)).toEqual(['content-length: 0'])
    expect(named(answer)).not.toContain('content-length')
  })
  it('is not named in a refusal', async () => {
    const answer = await exchange(server.port, call(copied, 'Authorization: Bearer wrong'))
    expect(answer).toMatch(/^HTTP\/1\.1 403 /)
    expect(named(lines(answer))).toEqual([])
  })
})

it('is named where nothing else is, and in the dialects of Envoy only', () => {
  const bare = allow({
    identity: identity(),
    set: [],
    remove: [],
    removeQuery: [],
    copiesLength: true,
    shadowed: undefined,
  })
  const others: readonly DialectName[] = ['nginx', 'traefik', 'caddy', 'haproxy', 'ngf']
  for (const name of ['check', 'matching'] as const)
    expect({ ...dialects[name].write(bare).headers }).toEqual({ 'x-envoy-auth-headers-to-remove': 'content-length' })
  for (const name of others) expect({ ...dialects[name].write(bare).headers }).toEqual({})
})
