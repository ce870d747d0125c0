import { connect } from 'node:http2'
import type { ClientHttp2Stream } from 'node:http2'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { httpLimits } from '../../../src/transport/http/limits.ts'
import { exchange, statuses, wire } from './raw.ts'
import { prefix, serving } from './serving.ts'

let server: Awaited<ReturnType<typeof serving>>
beforeAll(async () => (server = await serving()))
afterAll(() => server.close())

const lines = (...all: readonly string[]): string => [...all, '', ''].join('\r\n')
const start = [`POST ${prefix}/ HTTP/1.1`, 'Host: shop.example', 'Authorization: Bearer ada'] as const
const second = lines(`GET ${prefix}/second HTTP/1.1`, 'Host: shop.example', 'Authorization: Bearer ada')
const chunkOf = (bytes: number): string => `${bytes.toString(16)}\r\n${'a'.repeat(bytes)}\r\n`
const posted = {
  ':method': 'POST',
  ':path': `${prefix}/`,
  ':authority': 'shop.example',
  authorization: 'Bearer ada',
}
const statusOf = (stream: ClientHttp2Stream): Promise<unknown> =>
  new Promise((done) => stream.on('response', (headers) => done(headers[':status'])))
const checked = (): readonly string[] => server.records.map(({ request }) => request.target.raw)

/** What is on record of a request that the parser refused: no word of its own. */
const malformed = (reason: string): unknown =>
  expect.objectContaining({
    rule: undefined,
    decision: expect.objectContaining({ kind: 'deny', reason }) as unknown,
    request: expect.objectContaining({ via: 'check', method: '', host: '', source: '127.0.0.1' }) as unknown,
  })

/** Sends and waits for the end of the connection. */
async function untilEnd(bytes: string): Promise<string> {
  const one = await wire(server.port)
  one.write(bytes)
  const text = await one.end()
  one.close()
  return text
}

describe('DOS-10 no second request hides in the first', () => {
  it.each([
    [
      'Content-Length and Transfer-Encoding',
      lines(...start, 'Content-Length: 4', 'Transfer-Encoding: chunked') + `0\r\n\r\n${second}`,
    ],
    ['two lengths', lines(...start, 'Content-Length: 0', `Content-Length: ${second.length}`) + second],
    ['a list of lengths', lines(...start, `Content-Length: 0, ${second.length}`) + second],
    ['a signed length', lines(...start, 'Content-Length: +0') + second],
    ['a length in hexadecimal', lines(...start, 'Content-Length: 0x0') + second],
    ['chunked twice', lines(...start, 'Transfer-Encoding: chunked, chunked, identity') + `0\r\n\r\n${second}`],
    ['a space before the colon', lines(...start, 'Content-Length : 0') + second],
    ['a folded line', lines(...start, 'X-A: 1', ' folded') + second],
    ['a lone CR', lines(...start, 'X-A: 1\rContent-Length: 7') + second],
    ['a NUL', lines(...start, 'X-A: 1\0') + second],
    ['CR LF and X', `${start.join('\r\n')}\r\nX`.replace('\r\nX', '\r\n\rX') + second],
    ['no name', lines(...start, ': x') + second],
    ['garbage', `\x16\x03\x01\x02\x00\x01${second}`],
    ['a third word', lines(`GET ${prefix}/ x HTTP/1.1`, ...start.slice(1)) + second],
  ])('%s: 400 and the end', async (_, bytes) => {
    const before = checked().length
    const text = await untilEnd(bytes)
    expect(statuses(text)).toEqual([400])
    expect(text).toContain('connection: close')
    expect(server.records.slice(before)).toEqual([malformed('malformed-request')])
  })
  it('no Host: the same, and nothing behind it is answered', async () => {
    const before = checked().length
    const text = await untilEnd(lines(`GET ${prefix}/ HTTP/1.1`, 'Authorization: Bearer ada'))
    expect(text).toBe('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nConnection: close\r\n\r\n')
    expect(statuses(await untilEnd(lines(`GET ${prefix}/ HTTP/1.1`) + second))).toEqual([400])
    expect(server.records.slice(before)[0]).toEqual(malformed('bad-host'))
  })
  it('is on record where requests are matched as well', async () => {
    const matching = await serving({ kind: 'matching' })
    expect(statuses(await exchange(matching.port, `garbage\r\n\r\n`))).toEqual([400])
    expect(matching.records).toEqual([
      expect.objectContaining({
        decision: expect.objectContaining({ reason: 'malformed-request' }) as unknown,
        request: expect.objectContaining({ via: 'matching' }) as unknown,
      }),
    ])
    await matching.close()
  })
  it.each([
    ['an unknown coding', lines(...start, 'Transfer-Encoding: xchunked') + `0\r\n\r\n${second}`],
    ['two codings', lines(...start, 'Transfer-Encoding: gzip, chunked') + `0\r\n\r\n`],
    ['HTTP/2.0 in words', lines(`GET ${prefix}/ HTTP/2.0`, ...start.slice(1))],
    ['HTTP/0.9 in words', lines(`GET ${prefix}/ HTTP/0.9`, ...start.slice(1))],
  ])('%s: refused', async (_, bytes) => {
    const one = await wire(server.port)
    one.write(bytes)
    expect(statuses(await one.answers())).toEqual([403])
    one.close()
    expect(server.records.at(-1)?.decision).toMatchObject({ reason: 'malformed-request' })
  })
  it('a body that breaks off its framing ends the connection after the one answer', async () => {
    const before = checked().length
    const text = await untilEnd(lines(...start, 'Transfer-Encoding: chunked') + `zz\r\n${second}`)
    expect(statuses(text)).toEqual([403])
    expect(checked().slice(before)).toEqual(['/'])
    expect(server.records.at(-1)?.decision).toMatchObject({ reason: 'malformed-request' })
  })
  it('a broken body of a request without a host is no end of anything but its connection', async () => {
    const [first, , ...others] = start
    expect(statuses(await untilEnd(lines(first, ...others, 'Transfer-Encoding: chunked') + 'zz\r\n'))).toEqual([400])
    expect(statuses(await exchange(server.port, second))).toEqual([200])
  })
  it('a CONNECT has no body that anybody would wait for', async () => {
    const connect = lines('CONNECT shop.example:443 HTTP/1.1', 'Host: shop.example:443', 'Transfer-Encoding: chunked')
    expect(statuses(await untilEnd(connect))).toEqual([403])
    expect(server.records.at(-1)?.decision).toMatchObject({ reason: 'bad-method' })
  })
  it('10 MB of chunk extensions end it as well', async () => {
    const before = process.memoryUsage().rss
    const one = await wire(server.port)
    one.write(`${lines(...start, 'Transfer-Encoding: chunked')}1;`)
    for (let at = 0; at < 160 && !one.ended(); at += 1) {
      if (!one.write('a'.repeat(65_536))) await new Promise((done) => setImmediate(done))
    }
    expect(statuses(await one.end())).toEqual([403])
    one.close()
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024)
  })
  it.each([...Array(32).keys(), 127].filter((code) => !'\t\n\r'.includes(String.fromCharCode(code))))(
    'a header value with the control character %d never comes to be judged',
    async (code) => {
      const before = server.records.length
      const bad = `a${String.fromCharCode(code)}b`
      expect(statuses(await untilEnd(lines(...start, `X-Odd: ${bad}`)))).toEqual([400])
      const judged = server.records.slice(before).map(({ decision }) => decision.kind === 'deny' && decision.reason)
      expect(judged).toEqual(['malformed-request'])
    },
  )
  it('a bad request behind good ones waits for their answers', async () => {
    const slow = lines(`GET ${prefix}/ HTTP/1.1`, 'Host: shop.example', 'Authorization: Bearer slow-1')
    expect(statuses(await untilEnd(`${slow}${slow}garbage\r\n\r\n`))).toEqual([200, 200, 400])
  })
})

describe('CTR-20 bodies', () => {
  it('a forwarded body is no part of anything', async () => {
    const before = checked().length
    const one = await wire(server.port)
    one.write(lines(...start, `Content-Length: ${second.length}`) + second + second)
    expect(statuses(await one.answers(2))).toEqual([200, 200])
    one.close()
    expect(checked().slice(before)).toEqual(['/', '/second'])
  })
  it.each([
    ['the most', httpLimits.bodyBytes, 200, undefined],
    ['one more', httpLimits.bodyBytes + 1, 403, 'too-large'],
    ['far too much', 1e15, 403, 'too-large'],
  ])('%s by its own word', async (_, length, status, reason) => {
    expect(statuses(await exchange(server.port, lines(...start, `Content-Length: ${length}`)))).toEqual([status])
    const decision = server.records.at(-1)?.decision
    expect(decision?.kind === 'deny' ? decision.reason : undefined).toBe(reason)
  })
  it.each([
    ['one less than the most', httpLimits.bodyBytes - 1, 200, undefined],
    ['the most', httpLimits.bodyBytes, 200, undefined],
    ['one more', httpLimits.bodyBytes + 1, 403, 'too-large'],
  ])('%s in chunks', async (_, length, status, reason) => {
    const one = await wire(server.port)
    one.write(lines(...start, 'Transfer-Encoding: chunked'))
    for (let left = length; left > 0; left -= 65_536) one.write(chunkOf(Math.min(left, 65_536)))
    one.write('0\r\n\r\n')
    expect(statuses(await one.answers())).toEqual([status])
    const decision = server.records.at(-1)?.decision
    expect(decision?.kind === 'deny' ? decision.reason : undefined).toBe(reason)
    one.close()
  })
  it('of no length at all are an answer at once, and the connection goes on', async () => {
    const one = await wire(server.port)
    one.write(lines(...start, 'Transfer-Encoding: chunked') + '0\r\n\r\n' + second)
    expect(statuses(await one.answers(2))).toEqual([200, 200])
    one.close()
  })
  it('a told one is not waited for; one that is not told and does not come is refused in time', async () => {
    const told = await wire(server.port)
    told.write(lines(...start, 'Content-Length: 10'))
    expect(statuses(await told.answers())).toEqual([200])
    told.close()
    const one = await wire(server.port)
    one.write(lines(...start, 'Transfer-Encoding: chunked') + chunkOf(5))
    expect(statuses(await one.answers())).toEqual([403])
    expect(server.records.at(-1)?.decision).toMatchObject({ reason: 'timeout' })
    one.close()
  })
  it('whoever goes away in the middle of one is on record as gone', async () => {
    const before = server.records.length
    const one = await wire(server.port)
    one.write(lines(...start, 'Transfer-Encoding: chunked') + chunkOf(5))
    await new Promise((done) => setTimeout(done, 20))
    one.socket.resetAndDestroy()
    while (server.records.length === before) await new Promise((done) => setTimeout(done, 2))
    expect(server.records.at(-1)?.decision).toMatchObject({ kind: 'deny', reason: 'cancelled' })
  })
  it('an endless one is refused and cut off; memory stays flat', async () => {
    const before = process.memoryUsage().rss
    const one = await wire(server.port)
    one.write(lines(...start, 'Transfer-Encoding: chunked'))
    const chunk = chunkOf(65_536)
    let sent = 0
    while (!one.ended() && sent < 10 * httpLimits.bodyBytes) {
      sent += chunk.length
      if (!one.write(chunk)) await new Promise((done) => setTimeout(done, 1))
    }
    expect(statuses(await one.end())).toEqual([403])
    expect(sent).toBeGreaterThan(httpLimits.bodyBytes)
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024)
    one.close()
  })
  it('over HTTP/2 only the stream is', async () => {
    const session = connect(`http://127.0.0.1:${server.port}`)
    const endless = session.request(posted)
    endless.on('error', () => undefined)
    const status = statusOf(endless)
    while (!endless.closed) if (!endless.write(Buffer.alloc(65_536))) await new Promise((done) => setTimeout(done, 1))
    expect(await status).toBe(403)
    expect(server.records.at(-1)?.decision).toMatchObject({ reason: 'too-large' })
    const next = session.request(posted)
    next.end()
    expect(await statusOf(next)).toBe(200)
    session.close()
  })
  it('of another length than they say are no request over HTTP/2, and the connection ends', async () => {
    const before = server.records.length
    const session = connect(`http://127.0.0.1:${server.port}`)
    const ended = new Promise((done) => session.on('error', () => undefined).on('close', () => done('ended')))
    const lying = session.request({ ...posted, 'content-length': '4' })
    const answered = new Promise((done) => lying.on('response', done).on('error', () => done('none')))
    lying.end('more than four bytes')
    expect([await answered, await ended]).toEqual(['none', 'ended'])
    expect(server.records.length).toBe(before)
  })
})

describe('DOS-13 a truncated list of headers is never judged', () => {
  const many = (count: number): readonly string[] => Array.from({ length: count }, (_, at) => `a${at}: b`)
  it.each([
    ['200', 200, 200],
    ['300', 300, 403],
    ['1,990, where Node would begin to cut', 1_990, 403],
    ['2,010', 2_010, 403],
    ['8,000', 8_000, 403],
    ['20,000, more than fits in 96 kB', 20_000, 431],
  ])('%s', async (_, count, expected) => {
    const before = checked().length
    const text = await exchange(
      server.port,
      lines(...start.slice(0, 2), ...many(count), 'Authorization: Bearer ada', 'Content-Length: 0'),
    )
    expect(statuses(text)).toEqual([expected])
    const [record, ...more] = server.records.slice(before)
    expect(more).toEqual([])
    if (expected !== 200) expect(record?.decision).toMatchObject({ reason: 'too-large' })
  })
  it('of a hidden credential', async () => {
    const text = await exchange(
      server.port,
      lines(
        ...start.slice(0, 2),
        'Authorization: Bearer ada',
        'Content-Length: 0',
        ...many(2_500),
        'Authorization: Bearer eve',
      ),
    )
    expect(statuses(text)).toEqual([403])
  })
  it.each([
    ['200', 200, 200],
    ['1,000', 1_000, 403],
  ])('%s over HTTP/2', async (_, count, expected) => {
    const session = connect(`http://127.0.0.1:${server.port}`)
    const fields: Record<string, string> = {
      ':path': `${prefix}/`,
      ':authority': 'shop.example',
      authorization: 'Bearer ada',
    }
    for (let at = 0; at < count; at += 1) fields[`a${at}`] = 'b'
    const call = session.request(fields)
    expect(
      await new Promise((done, fail) => call.on('response', (headers) => done(headers[':status'])).on('error', fail)),
    ).toBe(expected)
    session.close()
  })
  it('one of 100 kB is not even read', async () => {
    expect(statuses(await exchange(server.port, lines(...start, `X-A: ${'a'.repeat(100_000)}`)))).toEqual([431])
  })
  it('60 kB in all, as Envoy lets through, is judged', async () => {
    const fields = ['X-A', 'X-B'].map((name) => `${name}: ${'a'.repeat(29_000)}`)
    expect(statuses(await exchange(server.port, lines(...start, ...fields, 'Content-Length: 0')))).toEqual([200])
  })
})

describe('DOS-09 who says nothing', () => {
  const ended = async (bytes: readonly string[], spacing: number): Promise<number> => {
    const one = await wire(server.port)
    const started = performance.now()
    for (const byte of bytes) {
      if (one.ended()) break
      one.write(byte)
      await new Promise((done) => setTimeout(done, spacing))
    }
    await one.end()
    one.close()
    return performance.now() - started
  }
  it('and who says it slowly is hung up on within 10 s, while others are served', async () => {
    const slow = lines(...start).split('')
    const all = Promise.all([
      ended([], 0),
      ended(['PRI * HT'], 0),
      ended(['GET / HTTP/1.1\r\nHost:'], 0),
      ended(slow, 150),
    ])
    const served: number[] = []
    const timer = setInterval(
      () => void exchange(server.port, second).then((text) => served.push(...statuses(text))),
      500,
    )
    for (const millis of await all) expect(millis).toBeLessThan(10_500)
    clearInterval(timer)
    expect(new Set(served)).toEqual(new Set([200]))
  }, 15_000)

  it('keeps no place from others: the silent ones go first, then the resting ones', async () => {
    const small = await serving({ connections: 50 })
    const working = await wire(small.port)
    working.write(lines(`GET ${prefix}/ HTTP/1.1`, 'Host: shop.example', 'Authorization: Bearer slow-ada'))
    await new Promise((done) => setTimeout(done, 20))
    const silent = await Promise.all(Array.from({ length: 300 }, () => wire(small.port)))
    expect(statuses(await working.answers())).toEqual([200])
    for (let at = 0; at < 60; at += 1) expect(statuses(await exchange(small.port, second))).toEqual([200])
    await expect.poll(() => silent.filter((one) => one.ended()).length).toBeGreaterThan(200)
    for (const one of silent) one.close()
    working.close()
    await small.close()
  })
  it('connections that come and go leave nothing behind', async () => {
    for (let at = 0; at < 500; at += 1) (await wire(server.port)).close()
    expect(statuses(await exchange(server.port, second))).toEqual([200])
  })
})
