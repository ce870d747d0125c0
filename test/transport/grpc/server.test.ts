import { connect, constants } from 'node:http2'
import type { ClientHttp2Session, IncomingHttpHeaders } from 'node:http2'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { credentials, status } from '@grpc/grpc-js'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { deny } from '../../../src/model/decision.ts'
import { createGrpcServer, grpcLimits } from '../../../src/transport/grpc/server.ts'
import { attributes, checker, clock, encode, serving, snapshot, verdict } from './serving.ts'

type Serving = Awaited<ReturnType<typeof serving>>
type Gateway = ReturnType<typeof checker>

describe.each(['lean', 'reference'] as const)('%s codec', (codec) => {
  let gatehouse: Serving
  let gateway: Gateway
  beforeAll(async () => {
    gatehouse = await serving({ codec })
    gateway = checker(gatehouse.target)
  })
  afterAll(async () => {
    gateway.close()
    await gatehouse.server.close({ graceMillis: 100 })
  })

  /** Reason of the last decision, as the log would have it. */
  const last = (at: Serving = gatehouse): string | undefined => {
    const decision = at.records.at(-1)?.decision
    return decision?.kind === 'deny' ? decision.reason : decision?.kind
  }
  const bearing = (token: string): object => attributes({ headers: { authorization: `Bearer ${token}` } })

  describe('Check', () => {
    it('CTR-10 allows with code 0, ok_response, overwriting headers and removals', async () => {
      const answer = await gateway.check(attributes())
      expect(answer.status).toEqual({ code: 0 })
      expect(answer.ok_response?.headers).toEqual([{ header: { key: 'x-user', value: 'ada' }, append_action: 2 }])
      expect(answer.ok_response?.headers_to_remove).toEqual(['x_user', 'x-groups', 'x_groups', 'authorization'])
      expect(answer.denied_response).toBeUndefined()
    })

    it('CTR-10 denies with code 7 and denied_response', async () => {
      const answer = await gateway.check(bearing('wrong'))
      expect(answer.status).toEqual({ code: 7 })
      expect(answer.denied_response).toEqual({ status: { code: 403 }, body: '' })
      expect(answer.ok_response).toBeUndefined()
    })

    it('CTR-12 sends each challenge as a header of its own', async () => {
      const extensions = { context_extensions: { namespace: 'shop', route: 'cart', rule: 'ask' } }
      const answer = await gateway.check(attributes({ headers: {} }, extensions))
      expect(answer.status).toEqual({ code: 16 })
      expect(answer.denied_response?.status?.code).toBe(401)
      expect(answer.denied_response?.headers?.map(({ header }) => [header.key, header.value])).toEqual([
        ['www-authenticate', 'Bearer realm="test"'],
        ['www-authenticate', 'Basic realm="test", charset="UTF-8"'],
        ['cache-control', 'no-store'],
      ])
    })

    it.each([
      ['a rule that is not known', { namespace: 'shop', route: 'cart', rule: 'open' }, 'unknown-rule'],
      ['half a key', { route: 'cart' }, 'bad-key'],
      ['a key of another form', { namespace: 'shop', route: 'cart', rule: 'Pay' }, 'bad-key'],
    ])('never matches where the key is %s', async (_, context_extensions, reason) => {
      expect(verdict(await gateway.check(attributes({}, { context_extensions })))).toBe(403)
      expect(last()).toBe(reason)
    })

    it.each([
      ['/pay/1', 'allow', 'allow'],
      ['/open', 403, 'no-match'],
    ])('matches %s where no key is given', async (path, expected, reason) => {
      expect(verdict(await gateway.check(attributes({ path }, { context_extensions: {} })))).toBe(expected)
      expect(last()).toBe(reason)
    })

    it('NRM-16 two Host lines are refused', async () => {
      expect(verdict(await gateway.check(attributes({ host: 'shop.example,shop.example' })))).toBe(403)
      expect(last()).toBe('bad-host')
    })

    it('CTR-22 no path or user agent is special', async () => {
      for (const path of ['/healthz', '/metrics', '/ready']) {
        const headers = { 'user-agent': 'kube-probe/1.33' }
        expect(verdict(await gateway.check(attributes({ path, headers })))).toBe(403)
      }
    })
  })

  describe('a check that cannot be read', () => {
    it.each([
      ['CTR-01 no bytes', Buffer.alloc(0)],
      ['CTR-01 no http', encode({ attributes: { request: {} } })],
      ['CTR-30 a truncated one', encode(attributes()).subarray(0, 40)],
      ['CTR-30 an endless varint', Buffer.alloc(64, 0xff)],
    ])('%s is denied by an answer', async (_, bytes) => {
      expect(verdict(await gateway.raw(bytes))).toBe(403)
      expect(last()).toBe('malformed-request')
    })

    it('CTR-30 random bytes get an explicit answer and the process lives', async () => {
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
          const answer = await gateway.raw(Buffer.from(bytes))
          expect(answer.denied_response?.status?.code).toBe(403)
          expect(answer.status?.code).toBe(7)
        }),
        { numRuns: 300 },
      )
      expect(verdict(await gateway.check(attributes()))).toBe('allow')
    })
  })

  describe('time', () => {
    it('answers before the deadline of the caller, by the margin', async () => {
      const early = await serving({ budgetMillis: 5_000, marginMillis: 100 })
      const client = checker(early.target)
      await client.check(attributes())
      const started = performance.now()
      const answer = await client.check(bearing('never'), { deadline: Date.now() + 200 })
      expect(verdict(answer)).toBe(403)
      expect(last(early)).toBe('timeout')
      expect(performance.now() - started).toBeGreaterThan(80)
      client.close()
      await early.server.close({ graceMillis: 100 })
    })

    it('a deadline that is over is a denial at once, without the method being asked', async () => {
      const late = await serving({ budgetMillis: 5_000, marginMillis: 10_000 })
      const client = checker(late.target)
      expect(verdict(await client.check(attributes()))).toBe(403)
      expect(last(late)).toBe('timeout')
      client.close()
      await late.server.close({ graceMillis: 100 })
    })

    it('CTR-07 answers within its own budget where the caller would wait', async () => {
      const started = performance.now()
      expect(verdict(await gateway.check(bearing('never')))).toBe(403)
      expect(last()).toBe('timeout')
      expect(performance.now() - started).toBeLessThan(400)
    })

    it('lets a slow method finish that is in time', async () => {
      expect(verdict(await gateway.check(bearing('slow')))).toBe('allow')
    })

    it('CTR-29 a caller that goes away ends the work, a thousand times', async () => {
      const patient = await serving({ budgetMillis: 5_000 })
      const client = checker(patient.target)
      const bytes = encode(bearing('never'))
      const cancelled = (signal: AbortSignal): Promise<unknown> =>
        new Promise((done) => {
          const same = (message: Buffer): Buffer => message
          const path = '/envoy.service.auth.v3.Authorization/Check'
          const call = client.client.makeUnaryRequest(path, same, same, bytes, done)
          signal.addEventListener('abort', () => call.cancel())
        })
      for (let round = 1; round <= 10; round++) {
        const abort = new AbortController()
        const calls = Array.from({ length: 100 }, () => cancelled(abort.signal))
        await new Promise((done) => setTimeout(done, 25))
        abort.abort()
        await Promise.all(calls)
      }
      await expect.poll(() => patient.records.length, { timeout: 2_000 }).toBeGreaterThan(500)
      const reasons = patient.records.map(({ decision }) => (decision.kind === 'deny' ? decision.reason : 'allow'))
      expect(new Set(reasons)).toEqual(new Set(['cancelled']))
      expect(verdict(await client.check(attributes()))).toBe('allow')
      client.close()
      await patient.server.close({ graceMillis: 100 })
    })
  })

  describe('readiness and failure', () => {
    it('REL-22 denies before the first snapshot and allows after it', async () => {
      const young = await serving({ unready: true })
      const early = checker(young.target)
      expect(verdict(await early.check(attributes()))).toBe(403)
      expect(last(young)).toBe('not-ready')
      young.change(snapshot)
      expect(verdict(await early.check(attributes()))).toBe('allow')
      early.close()
      await young.server.close({ graceMillis: 100 })
    })

    it('an engine that fails is a denial', async () => {
      const engine = { answer: () => Promise.reject(new Error('boom')), ready: () => true }
      const failing = await serving({ engine })
      const client = checker(failing.target)
      expect(verdict(await client.check(attributes()))).toBe(403)
      client.close()
      await failing.server.close({ graceMillis: 100 })
    })

    it('an engine that throws at once is a denial too', async () => {
      const engine = {
        answer: () => {
          throw new Error('boom')
        },
        ready: () => true,
      }
      const failing = await serving({ engine })
      const client = checker(failing.target)
      expect(verdict(await client.check(attributes()))).toBe(403)
      client.close()
      await failing.server.close({ graceMillis: 100 })
    })

    it('a port in use is the error of the system, which names it', async () => {
      const taken = createServer().listen(0, '127.0.0.1')
      await new Promise((done) => taken.once('listening', done))
      const { port } = taken.address() as AddressInfo
      const start = createGrpcServer({
        engine: { answer: async () => deny('internal'), ready: () => true },
        listen: { host: '127.0.0.1', port },
        identity: { envoyGatewayMetadata: false },
        reflection: false,
        clock,
      })
      await expect(start).rejects.toMatchObject({ code: 'EADDRINUSE', port })
      taken.close()
    })
  })

  describe('the wire', () => {
    let session: ClientHttp2Session
    beforeAll(() => {
      session = connect(`http://${gatehouse.target}`)
    })
    afterAll(() => session.destroy())
    afterEach(async () => expect(verdict(await gateway.check(attributes()))).toBe('allow'))

    const framed = (message: Buffer, flag = 0, length = message.length): Buffer => {
      const head = Buffer.alloc(5)
      head[0] = flag
      head.writeUInt32BE(length, 1)
      return Buffer.concat([head, message])
    }
    const ask = (path: string, body: Buffer | readonly Buffer[], headers: object = {}): Promise<IncomingHttpHeaders> =>
      new Promise((resolve, reject) => {
        const stream = session.request({
          ':method': 'POST',
          ':path': path,
          'content-type': 'application/grpc',
          te: 'trailers',
          ...headers,
        })
        let seen: IncomingHttpHeaders = {}
        stream.on('response', (head) => (seen = { ...seen, ...head }))
        stream.on('trailers', (tail) => (seen = { ...seen, ...tail }))
        stream.on('close', () => resolve(seen)).on('error', reject)
        stream.resume()
        if (Buffer.isBuffer(body)) stream.end(body)
        else void Readable.from(body).pipe(stream)
      })
    const check = '/envoy.service.auth.v3.Authorization/Check'
    const whole = framed(encode(attributes()))

    it.each([
      ['an unknown method', '/envoy.service.auth.v3.Authorization/Chekc'],
      ['an unknown service', '/envoy.service.auth.v2.Authorization/Check'],
      ['another case', '/envoy.service.auth.v3.authorization/check'],
      ['a query', `${check}?a=b`],
      ['two slashes', `/${check}`],
      ['reflection, which is off', '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo'],
      ['a member of Object', '/constructor'],
    ])('CTR-18 %s is UNIMPLEMENTED and runs nothing', async (_, path) => {
      const before = gatehouse.records.length
      const answer = await ask(path, whole)
      expect(answer['grpc-status']).toBe(String(status.UNIMPLEMENTED))
      expect(gatehouse.records.length).toBe(before)
    })

    it('CTR-18 CTR-30 what is no single message is judged by nothing', async () => {
      const before = gatehouse.records.length
      const none = [
        Buffer.concat([whole, whole]),
        Buffer.alloc(0),
        whole.subarray(0, 3),
        whole.subarray(0, 5),
        whole.subarray(0, -1),
      ]
      for (const body of none) {
        const answer = await ask(check, body)
        // An explicit refusal where it is ours to give; grpc-js knows errors only, which a gateway may be told to let through.
        expect(answer['grpc-status']).toBe(String(codec === 'lean' ? status.OK : status.UNIMPLEMENTED))
        expect(last() === 'malformed-request').toBe(codec === 'lean')
      }
      expect(gatehouse.records.length - before).toBe(codec === 'lean' ? none.length : 0)
    })

    it('a check by hand is answered like any other', async () => {
      const answer = await ask(check, whole)
      expect(answer['grpc-status']).toBe(String(status.OK))
      // grpc-js tells of encodings that it would take; the lean codec's calls go past it.
      expect('grpc-accept-encoding' in answer).toBe(codec === 'reference')
      const unusual = await ask(check, whole, { 'content-type': 'application/grpc+json' })
      expect([unusual['grpc-status'], 'grpc-accept-encoding' in unusual]).toEqual([String(status.OK), true])
    })

    it('CTR-30 a check in pieces is one check', async () => {
      const pieces = Array.from(whole, (_, at) => whole.subarray(at, at + 1))
      expect((await ask(check, pieces))['grpc-status']).toBe('0')
      expect(last()).toBe('allow')
    })

    it('DOS-08 unfinished checks hold a bounded number of bytes together', async () => {
      const many = connect(`http://${gatehouse.target}`)
      const head = { ':method': 'POST', ':path': check, 'content-type': 'application/grpc' }
      const started = Buffer.concat([framed(Buffer.alloc(0), 0, 4_000_000), Buffer.alloc(3_000_000)])
      const before = process.memoryUsage().rss
      const calls = Array.from({ length: 40 }, () => many.request(head))
      for (const call of calls)
        call
          .on('error', () => undefined)
          .resume()
          .write(started)
      await new Promise((done) => setTimeout(done, 1500))
      expect(process.memoryUsage().rss - before).toBeLessThan(400 * 1024 * 1024)
      many.destroy()
      await new Promise((done) => setTimeout(done, 300))
      expect((await ask(check, [whole.subarray(0, 9), whole.subarray(9)]))['grpc-status']).toBe('0')
      expect(last()).toBe('allow')
    })

    it.each(['1', '1x'])('a deadline of %j is none that is kept', async (text) => {
      const answer = await ask(check, whole, { 'grpc-timeout': text })
      expect(answer['grpc-status']).toBe(String(status.INTERNAL))
    })

    it('what is not gRPC is refused', async () => {
      const answer = await ask(check, whole, { 'content-type': 'application/json' })
      expect(answer[':status']).toBe(constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE)
    })

    it('x-envoy-expected-rq-timeout-ms is no deadline of ours', async () => {
      const slow = framed(encode(bearing('slow')))
      expect((await ask(check, slow, { 'x-envoy-expected-rq-timeout-ms': '1' }))['grpc-status']).toBe('0')
      expect(last()).toBe('allow')
    })

    it.each([
      [
        'garbage that says it is compressed',
        framed(Buffer.from('garbage'), 1),
        { 'grpc-encoding': 'gzip' },
        status.INTERNAL,
      ],
      ['garbage in deflate', framed(Buffer.from('garbage'), 1), { 'grpc-encoding': 'deflate' }, status.INTERNAL],
      ['an unknown encoding', framed(Buffer.from('x'), 1), { 'grpc-encoding': 'br' }, status.UNIMPLEMENTED],
      [
        'a gzip bomb of 64 MiB',
        framed(gzipSync(Buffer.alloc(64 * 1024 * 1024)), 1),
        { 'grpc-encoding': 'gzip' },
        status.RESOURCE_EXHAUSTED,
      ],
    ])('DOS-07 %s ends that call only', async (_, body, headers, code) => {
      const before = process.memoryUsage().rss
      expect((await ask(check, body, headers))['grpc-status']).toBe(String(code))
      expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024)
    })

    it('DOS-07 a compressed check is judged', async () => {
      const packed = framed(gzipSync(encode(attributes())), 1)
      expect((await ask(check, packed, { 'grpc-encoding': 'gzip' }))['grpc-status']).toBe('0')
      expect(last()).toBe('allow')
    })

    it('the address that a check comes from is on record, whoever serves the call', async () => {
      const bytes = encode(attributes())
      const before = gatehouse.records.length
      await ask(check, framed(bytes))
      await ask(check, framed(gzipSync(bytes), 1), { 'grpc-encoding': 'gzip' })
      const callers = gatehouse.records.slice(before).map(({ request }) => request.caller)
      expect(callers).toEqual(['127.0.0.1', '127.0.0.1'])
    })

    it('DOS-08 a message over the limit is refused and not kept, twenty times over', async () => {
      const big = framed(Buffer.alloc(grpcLimits.messageBytes + 1))
      const before = process.memoryUsage().rss
      const answers: IncomingHttpHeaders[] = []
      for (let n = 0; n < 20; n++) answers.push(await ask(check, big))
      // An explicit refusal where it is ours to give; grpc-js knows errors only, which a gateway may be told to let through.
      const code = String(codec === 'lean' ? status.OK : status.RESOURCE_EXHAUSTED)
      expect(new Set(answers.map((answer) => answer['grpc-status']))).toEqual(new Set([code]))
      expect(last()).toBe(codec === 'lean' ? 'too-large' : 'allow')
      expect(process.memoryUsage().rss - before).toBeLessThan(256 * 1024 * 1024)
    })

    it('a message of the largest size is judged', async () => {
      const padding = 'x'.repeat(grpcLimits.messageBytes - encode(attributes({ body: 'x' })).length - 10)
      const body = encode(attributes({ body: padding }))
      expect(body.length).toBeLessThanOrEqual(grpcLimits.messageBytes)
      expect((await ask(check, framed(body)))['grpc-status']).toBe('0')
      expect(last()).toBe('allow')
    })
  })

  describe('reflection', () => {
    it('is there where asked for', async () => {
      const open = await serving({ reflection: true })
      const session = connect(`http://${open.target}`)
      const stream = session.request({
        ':method': 'POST',
        ':path': '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
        'content-type': 'application/grpc',
        te: 'trailers',
      })
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      // list_services = 7, of the empty string
      stream.end(Buffer.from([0, 0, 0, 0, 2, 0x3a, 0x00]))
      await new Promise((done) => stream.once('end', done))
      const text = Buffer.concat(chunks).toString('latin1')
      expect(text).toContain('envoy.service.auth.v3.Authorization')
      expect(text).toContain('grpc.health.v1.Health')
      session.destroy()
      await open.server.close({ graceMillis: 100 })
    })
  })

  describe('two thousand checks at once', () => {
    it('CTR-27 each gets its own answer', async () => {
      const client = checker(gatehouse.target, credentials.createInsecure())
      const users = Array.from({ length: 2_000 }, (_, n) => `user-${n}`)
      const answers = await Promise.all(users.map((user) => client.check(bearing(user))))
      expect(answers.map((answer) => answer.ok_response?.headers?.[0]?.header.value)).toEqual(users)
      client.close()
    })
  })
})
