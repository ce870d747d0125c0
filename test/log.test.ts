import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createKeyedDigest } from '../src/authn/keyed-digest.ts'
import type { DecisionRecord } from '../src/engine/engine.ts'
import { createDecisionLog, line } from '../src/log.ts'
import { createMetrics } from '../src/metrics.ts'
import { allow, deny } from '../src/model/decision.ts'
import { silent } from '../src/model/telemetry.ts'
import { request } from './support/make.ts'
import type { RequestGiven } from './support/make.ts'

const digest = createKeyedDigest()
const record = (given: RequestGiven = {}, some: Partial<DecisionRecord> = {}): DecisionRecord => ({
  request: request(given),
  decision: deny('bad-credential', { status: 401, cause: new Error('password hunter2') }),
  rule: 'shop/cart/pay',
  policy: 'shop/cart-pay',
  method: 'staff',
  subject: 'ada',
  cache: 'miss',
  micros: 42,
  generation: 7,
  ...some,
})

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-log-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('a decision line', () => {
  it('OBS-03 says what was decided, why, by which policy, for which rule, and how long it took', () => {
    const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    expect(line(record({ headers: { 'x-request-id': 'r-1', traceparent: trace } }), digest)).toMatchObject({
      decision: 'deny',
      reason: 'bad-credential',
      status: 401,
      policy: 'shop/cart-pay',
      rule: 'shop/cart/pay',
      via: 'check',
      authentication: 'staff',
      method: 'GET',
      host: 'shop.example',
      requestId: 'r-1',
      traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
      micros: 42,
      cache: 'miss',
      generation: 7,
      cause: 'Error',
    })
  })
  it('OBS-10 knows the subject by a keyed hash only, the same for the same subject', () => {
    const one = line(record(), digest)
    expect(one['subject']).toBe(line(record(), digest)['subject'])
    expect(one['subject']).not.toBe(line(record(), createKeyedDigest())['subject'])
    expect(JSON.stringify(one)).not.toContain('"ada"')
  })
  it('OBS-10 tells the issuer, and the token by a keyed hash of its id', () => {
    const identity = {
      subject: 'ada',
      method: 'corp',
      issuer: 'https://idp.example.com',
      claims: { jti: 'token-id' },
      scopes: [],
      groups: [],
    }
    const decision = allow({ identity, set: [], remove: [], removeQuery: [], copiesLength: false, shadowed: undefined })
    const told = line({ ...record(), decision }, digest)
    expect(told).toMatchObject({ decision: 'allow', issuer: 'https://idp.example.com' })
    expect(told['credential']).toMatch(/^[\w-]{16}$/)
    expect(JSON.stringify(told)).not.toContain('token-id')
  })
  it('E10 repeats no credential, cookie, query or cause', () => {
    const headers = { authorization: 'Bearer canary-token', cookie: 'session=canary-cookie', 'x-api-key': 'canary-key' }
    const text = JSON.stringify(line(record({ headers, target: '/cart?token=canary-query' }), digest))
    expect(text).not.toMatch(/canary|hunter2/)
  })
  it('OBS-02 OBS-15 is one JSON object of bounded length, whatever a client sends', () => {
    const hostile = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('\r\n{"decision":"allow"}', '\u001b[31m', '"', 'x'.repeat(1_000_000)),
    )
    fc.assert(
      fc.property(hostile, hostile, hostile, (method, authority, id) => {
        const headers = { 'x-request-id': id, traceparent: id, baggage: id, 'user-agent': id }
        const text = JSON.stringify(line(record({ method, authority, target: `/${id}`, headers }), digest))
        return !text.includes('\n') && text.length < 4096
      }),
    )
  })
})

describe('the log', () => {
  const written = async (which: 'all' | 'denied' | 'off', count: number): Promise<readonly string[]> => {
    const file = join(folder, `${which}-${count}.log`)
    const log = createDecisionLog({ which, digest, telemetry: silent, destination: file })
    await new Promise((done) => setTimeout(done, 50))
    for (let index = 0; index < count; index += 1) log.record(record())
    await log.close()
    return (await readFile(file, 'utf8').catch(() => '')).split('\n').filter((one) => one !== '')
  }
  it('OBS-09 holds every decision, one on a line, to the last', async () => {
    const lines = await written('all', 20_000)
    expect(lines).toHaveLength(20_000)
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ decision: 'deny' })
  })
  it('is silent where it is off', async () => {
    expect(await written('off', 10)).toEqual([])
  })
})

it('OBS-05 no label of any metric is a stranger’s string', async () => {
  const metrics = createMetrics()
  metrics.record(
    record({ method: 'CANARY', authority: 'canary.example', target: '/canary', headers: { 'user-agent': 'canary' } }),
  )
  const text = await metrics.registry.metrics()
  expect(text).toContain(
    'gatehouse_decisions_total{decision="deny",reason="bad-credential",via="check",cache="miss"} 1',
  )
  expect(text.toLowerCase()).not.toContain('canary')
})
