import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { attributes, checker, encode, serving, verdict } from './serving.ts'
import { checkHead, frame, speak, types } from './frames.ts'

const [slow, quick] = ['slow', 'ada'].map((name) => {
  const message = encode(attributes({ headers: { authorization: `Bearer ${name}` } }))
  return Buffer.concat([Buffer.from([0, 0, 0, message.length >> 8, message.length & 255]), message])
}) as [Buffer, Buffer]

/** A check; some take 60 ms, so that there is always something under way and something on its way. */
const call = (id: number): Buffer =>
  Buffer.concat([frame(types.headers, 4, id, checkHead()), frame(types.data, 1, id, id % 3 === 0 ? quick : slow)])

/**
 * 40 askers on one connection, each asking again when it was answered, until the server says that it ends. By hand, so that every
 * request counted was sent: Node's client drops what it has not sent yet when it hears of the end.
 */
async function load(port: number) {
  const gateway = await speak(port)
  const answered = new Set<number>()
  const state = { sent: 0, told: false }
  const ask = (): unknown => gateway.socket.write(call(2 * state.sent++ + 1))
  gateway.socket.on('data', () => {
    const frames = gateway.received()
    state.told ||= frames.some(({ type }) => type === types.goaway)
    for (const { type, flags, stream } of frames) {
      if (type !== types.headers || (flags & 1) === 0 || answered.has(stream)) continue
      answered.add(stream)
      if (!state.told) ask()
    }
  })
  for (let n = 0; n < 40; n++) ask()
  return { sent: () => state.sent, answered: () => answered.size }
}

describe('REL-18 drain', () => {
  it.each([1, 2, 3])('loses none of 40 busy streams on one connection, run %i', async () => {
    const { server, port } = await serving()
    const gateway = await load(port)
    await sleep(150)
    const before = gateway.sent()
    await server.close({ roundTripMillis: 100, graceMillis: 2_000 })
    expect(before).toBeGreaterThan(40)
    expect(gateway.answered()).toBe(gateway.sent())
  })

  it('sends GOAWAY with the highest id, then at least a round trip later the one with the last', async () => {
    const { server, port } = await serving()
    const gateway = await speak(port)
    await gateway.write(call(1))
    await expect
      .poll(() => gateway.received().some(({ type, stream }) => type === types.headers && stream === 1))
      .toBe(true)
    const goaways = (): readonly { last: number; code: number }[] =>
      gateway
        .received()
        .filter(({ type }) => type === types.goaway)
        .map(({ payload }) => ({ last: payload.readUInt32BE(0), code: payload.readUInt32BE(4) }))
    const closing = server.close({ roundTripMillis: 150, graceMillis: 300 })
    await expect.poll(goaways, { interval: 5 }).toEqual([{ last: 2 ** 31 - 1, code: 0 }])
    // What was on its way when the first GOAWAY left is answered like any other.
    await gateway.write(call(3))
    await closing
    expect(goaways().slice(0, 2)).toEqual([
      { last: 2 ** 31 - 1, code: 0 },
      { last: 3, code: 0 },
    ])
    expect(gateway.received().filter(({ type, stream }) => type === types.headers && stream === 3).length).toBe(2)
  })

  it('ends at once where nobody is connected', async () => {
    const { server } = await serving()
    const started = performance.now()
    await server.close({ roundTripMillis: 1_000, graceMillis: 10_000 })
    expect(performance.now() - started).toBeLessThan(200)
  })

  it('can be asked for twice', async () => {
    const { server, port } = await serving()
    const gateway = await speak(port)
    await gateway.write(call(1))
    const times = { roundTripMillis: 50, graceMillis: 100 }
    await Promise.all([server.close(times), server.close(times)])
    await server.close(times)
    await expect.poll(gateway.closed).toBe(true)
  })

  it('cuts off after the grace what does not end by itself', async () => {
    const { server, port } = await serving()
    const gateway = await speak(port)
    await gateway.write(frame(types.headers, 4, 1, checkHead())) // and never a message
    await sleep(50)
    const started = performance.now()
    await server.close({ roundTripMillis: 10, graceMillis: 200 })
    expect(performance.now() - started).toBeLessThan(1_000)
    await expect.poll(gateway.closed).toBe(true)
  })

  it('takes no new connections once it began', async () => {
    const { server, target, port } = await serving()
    const busy = await speak(port)
    await busy.write(frame(types.headers, 4, 1, checkHead()))
    await sleep(50)
    const closing = server.close({ roundTripMillis: 200, graceMillis: 200 })
    const late = checker(target)
    await expect(late.check(attributes(), { deadline: Date.now() + 150 })).rejects.toThrow()
    late.close()
    await closing
  })

  it('a second server can take the port at once', async () => {
    const first = await serving()
    const gateway = checker(first.target)
    expect(verdict(await gateway.check(attributes()))).toBe('allow')
    await first.server.close({ roundTripMillis: 10, graceMillis: 500 })
    const second = await serving({ listen: { host: '127.0.0.1', port: first.port } })
    expect(verdict(await gateway.check(attributes(), { waitForReady: true } as object))).toBe('allow')
    gateway.close()
    await second.server.close({ graceMillis: 100 })
  })
})
