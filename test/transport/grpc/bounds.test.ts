import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { grpcLimits } from '../../../src/transport/grpc/server.ts'
import { attributes, checker, encode, serving, verdict } from './serving.ts'
import { checkHead, fields, frame, speak, types, uint32 } from './frames.ts'

const mebibyte = 1024 * 1024
const settings = { maxConcurrentStreams: 3, initialWindow: 4, maxHeaderList: 6 }
const repeat = (count: number, part: (n: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, n) => part(n)))
const message = encode(attributes())
const body = Buffer.concat([Buffer.from([0, 0, 0, message.length >> 8, message.length & 255]), message])
const check = (id: number): Buffer =>
  Buffer.concat([frame(types.headers, 4, id, checkHead()), frame(types.data, 1, id, body)])

let gatehouse: Awaited<ReturnType<typeof serving>>
let gateway: ReturnType<typeof checker>
let skew = 0
beforeAll(async () => {
  gatehouse = await serving({ clock: { now: Date.now, ticks: () => performance.now() + skew } })
  gateway = checker(gatehouse.target)
  await gateway.check(attributes())
})
afterAll(async () => {
  gateway.close()
  await gatehouse.server.close({ graceMillis: 100, roundTripMillis: 10 })
})

const stillAnswers = async (): Promise<void> => {
  const started = performance.now()
  expect(verdict(await gateway.check(attributes()))).toBe('allow')
  expect(performance.now() - started).toBeLessThan(500)
}
const lastGoaway = (frames: readonly { readonly type: number; readonly payload: Buffer }[]): number | undefined =>
  frames.findLast(({ type }) => type === types.goaway)?.payload.readUInt32BE(4)

describe('limits of the running server', () => {
  it('DOS-05 are told to every connection', async () => {
    const peer = await speak(gatehouse.port)
    await expect
      .poll(() => peer.received().some(({ type, flags }) => type === types.settings && flags === 0))
      .toBe(true)
    const payload =
      peer.received().find(({ type, flags }) => type === types.settings && flags === 0)?.payload ?? Buffer.alloc(0)
    const told = new Map<number, number>()
    for (let at = 0; at < payload.length; at += 6) told.set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2))
    expect(told.get(settings.maxConcurrentStreams)).toBe(grpcLimits.streamsPerConnection)
    expect(told.get(settings.initialWindow) ?? 65_535).toBeLessThanOrEqual(65_535)
    peer.socket.destroy()
  })

  it('DOS-05 hold: one stream more than allowed is refused, the others are not', async () => {
    const peer = await speak(gatehouse.port)
    await peer.write(
      repeat(grpcLimits.streamsPerConnection + 10, (n) => frame(types.headers, 4, 2 * n + 1, checkHead())),
    )
    await expect.poll(() => peer.received().filter(({ type }) => type === types.reset).length).toBe(10)
    await peer.write(frame(types.data, 1, 1, body))
    await expect.poll(() => peer.received().some(({ type, stream }) => type === types.data && stream === 1)).toBe(true)
    peer.socket.destroy()
    await stillAnswers()
  })

  it('DOS-05 a header list over the limit never becomes a check', async () => {
    const before = gatehouse.records.length
    const peer = await speak(gatehouse.port)
    const filler = fields(Array.from({ length: 120 }, (_, n) => [`x-${n}`, 'v'.repeat(120)] as const))
    await peer.write(
      Buffer.concat([
        frame(types.headers, 0, 1, Buffer.concat([checkHead(), filler])),
        ...Array.from({ length: 4 }, () => frame(types.continuation, 0, 1, filler)),
        frame(types.continuation, 4, 1, filler),
        frame(types.data, 1, 1, body),
      ]),
    )
    await sleep(100)
    expect(gatehouse.records.length).toBe(before)
    expect(peer.received().filter(({ type }) => type === types.data)).toEqual([])
    peer.socket.destroy()
    await stillAnswers()
  })

  it('DOS-05 stalled calls are cut, a health watch is not', async () => {
    const peer = await speak(gatehouse.port)
    const watch = Buffer.concat([
      frame(types.headers, 4, 1, checkHead('/grpc.health.v1.Health/Watch')),
      frame(types.data, 1, 1, Buffer.alloc(5)),
    ])
    await peer.write(Buffer.concat([watch, frame(types.headers, 4, 3, checkHead())]))
    await expect.poll(() => peer.received().some(({ type, stream }) => type === types.data && stream === 1)).toBe(true)
    skew += grpcLimits.stalledMillis
    await expect.poll(() => peer.received().some(({ type, stream }) => type === types.reset && stream === 3)).toBe(true)
    expect(peer.received().some(({ type, stream }) => type === types.reset && stream === 1)).toBe(false)
    expect(peer.closed()).toBe(false)
    peer.socket.destroy()
  })

  it('DOS-09 connections over the limit are dropped, those below it served, and it recovers', async () => {
    const small = await serving({ limits: { connections: 20 } })
    const first = checker(small.target, undefined, { 'grpc.use_local_subchannel_pool': 1 })
    expect(verdict(await first.check(attributes()))).toBe('allow')
    const idle = Array.from({ length: 50 }, () => connect(small.port, '127.0.0.1').on('error', () => undefined))
    await expect.poll(() => idle.filter(({ closed }) => closed).length, { timeout: 3_000 }).toBe(31)
    expect(verdict(await first.check(attributes()))).toBe('allow')
    for (const socket of idle) socket.destroy()
    const late = checker(small.target, undefined, { 'grpc.use_local_subchannel_pool': 1 })
    const judged = (): Promise<unknown> => late.check(attributes()).then(verdict, () => 'refused')
    await expect.poll(judged, { timeout: 3_000 }).toBe('allow')
    first.close()
    late.close()
    await small.server.close({ graceMillis: 100, roundTripMillis: 10 })
  }, 20_000)
})

describe('floods', () => {
  const cases: readonly (readonly [string, (n: number) => Buffer])[] = [
    [
      'DOS-01 rapid reset',
      (n) =>
        Buffer.concat([frame(types.headers, 4, 2 * n + 1, checkHead()), frame(types.reset, 0, 2 * n + 1, uint32(8))]),
    ],
    [
      'DOS-02 CONTINUATION without an end',
      (n) =>
        n === 0
          ? frame(types.headers, 0, 1, checkHead())
          : frame(types.continuation, 0, 1, fields([['x', 'v'.repeat(100)]])),
    ],
    [
      'DOS-03 window updates of zero, so that the server resets',
      (n) =>
        Buffer.concat([frame(types.headers, 4, 2 * n + 1, checkHead()), frame(types.window, 0, 2 * n + 1, uint32(0))]),
    ],
    [
      'DOS-03 a stream that depends on itself',
      (n) =>
        Buffer.concat([
          frame(types.headers, 4, 2 * n + 1, checkHead()),
          frame(types.priority, 0, 2 * n + 1, Buffer.concat([uint32(2 * n + 1), Buffer.from([1])])),
        ]),
    ],
    ['DOS-04 SETTINGS', () => frame(types.settings, 0, 0, Buffer.from([0, 3, 0, 0, 0, 100]))],
    ['DOS-04 PING', () => frame(types.ping, 0, 0, Buffer.alloc(8))],
    ['DOS-04 empty DATA', (n) => (n === 0 ? frame(types.headers, 4, 1, checkHead()) : frame(types.data, 0, 1))],
    ['DOS-04 PRIORITY', (n) => frame(types.priority, 0, 2 * n + 1, Buffer.concat([uint32(0), Buffer.from([1])]))],
    ['DOS-04 frames of an unknown type', () => frame(99, 0, 0, Buffer.alloc(16))],
  ]

  it.each(cases)(
    '%s: bounded memory, others are served',
    async (_, part) => {
      const chunk = (from: number): Buffer => repeat(500, (n) => part(from + n))
      const before = process.memoryUsage().rss
      const peers = await Promise.all(Array.from({ length: 4 }, () => speak(gatehouse.port)))
      const waits: number[] = []
      for (let round = 0; round < 20; round++) {
        const bytes = chunk(round * 500)
        await Promise.race([Promise.all(peers.map((peer) => peer.write(bytes))), sleep(200)])
        const started = performance.now()
        expect(verdict(await gateway.check(attributes()))).toBe('allow')
        waits.push(performance.now() - started)
      }
      expect(Math.max(...waits)).toBeLessThan(1_000)
      expect(process.memoryUsage().rss - before).toBeLessThan(80 * mebibyte)
      for (const peer of peers) peer.socket.destroy()
      await stillAnswers()
    },
    30_000,
  )

  it.each([
    ['DOS-01 rapid reset', cases[0]?.[1]],
    ['DOS-02 CONTINUATION without an end', cases[1]?.[1]],
  ] as const)('%s: the connection is closed', async (_, part) => {
    const peer = await speak(gatehouse.port)
    for (let round = 0; round < 20; round++) {
      await Promise.race([peer.write(repeat(500, (n) => part?.(round * 500 + n) ?? Buffer.alloc(0))), sleep(100)])
    }
    await expect.poll(() => peer.closed() || lastGoaway(peer.received()) !== undefined, { timeout: 1_000 }).toBe(true)
    peer.socket.destroy()
  })

  it('DOS-02 an abrupt end in the middle of a header block ends nothing else', async () => {
    for (let n = 0; n < 50; n++) {
      const peer = await speak(gatehouse.port)
      await peer.write(frame(types.headers, 0, 1, checkHead().subarray(0, 40)))
      peer.socket.resetAndDestroy()
    }
    await stillAnswers()
  })

  it('DOS-04 a window of more than 2³¹−1 on the connection closes it, a thousand times over', async () => {
    const before = process.memoryUsage().rss
    for (let n = 0; n < 1_000; n += 20) {
      const peers = await Promise.all(Array.from({ length: 20 }, () => speak(gatehouse.port)))
      for (const peer of peers) void peer.write(frame(types.window, 0, 0, uint32(2 ** 31 - 1)))
      await expect.poll(() => peers.every((peer) => peer.closed()), { interval: 5 }).toBe(true)
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(80 * mebibyte)
    await stillAnswers()
  }, 20_000)

  it.each([
    ['no HTTP/2', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')],
    ['noise', Buffer.alloc(4_096, 0x5a)],
  ])('DOS-09 %s is shut out', async (_, bytes) => {
    const socket = connect(gatehouse.port, '127.0.0.1').on('error', () => undefined)
    socket.resume()
    socket.write(bytes)
    await expect.poll(() => socket.closed || socket.readableEnded, { timeout: 2_000 }).toBe(true)
    socket.destroy()
    await stillAnswers()
  })

  it('CTR-18 a path without a slash runs nothing', async () => {
    const before = gatehouse.records.length
    const peer = await speak(gatehouse.port)
    const head = checkHead('envoy.service.auth.v3.Authorization/Check')
    await peer.write(Buffer.concat([frame(types.headers, 4, 1, head), frame(types.data, 1, 1, body)]))
    await peer.write(check(3))
    await expect.poll(() => gatehouse.records.length).toBe(before + 1)
    expect(peer.received().filter(({ type, stream }) => type === types.data && stream === 1)).toEqual([])
    peer.socket.destroy()
  })
})

describe('REL-33 keepalive', () => {
  it('a client that pings often is no attacker', async () => {
    const session = connectHttp2(`http://${gatehouse.target}`)
    await once(session, 'connect')
    for (let n = 0; n < 100; n++) {
      await new Promise<void>((done, fail) => session.ping((error) => (error === null ? done() : fail(error))))
      await sleep(5)
    }
    expect([session.closed, session.destroyed]).toEqual([false, false])
    session.destroy()
  })

  it.each([
    ['a peer that does not answer pings', true],
    ['a connection that never says anything', false],
  ])('drops %s', async (_, speaks) => {
    const short = await serving({ limits: { keepaliveMillis: 100, keepaliveTimeoutMillis: 100 } })
    const started = performance.now()
    const mute = speaks ? (await speak(short.port)).socket : connect(short.port, '127.0.0.1')
    await once(mute.on('error', () => undefined).resume(), 'close')
    expect(performance.now() - started).toBeLessThan(1_500)
    await short.server.close({ graceMillis: 100 })
  })

  it('keeps a peer that does', async () => {
    const short = await serving({ limits: { keepaliveMillis: 50, keepaliveTimeoutMillis: 100 } })
    const session = connectHttp2(`http://${short.target}`)
    await once(session, 'connect')
    await sleep(500)
    expect([session.closed, session.destroyed]).toEqual([false, false])
    session.destroy()
    await short.server.close({ graceMillis: 100 })
  })
})
