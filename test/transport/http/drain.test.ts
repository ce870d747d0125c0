import { Agent, request } from 'node:http'
import { describe, expect, it } from 'vitest'
import { frame, fields, speak, types } from '../grpc/frames.ts'
import { statuses, wire } from './raw.ts'
import { prefix, serving } from './serving.ts'

const call = (name: string): string =>
  ['GET ' + prefix + '/ HTTP/1.1', 'Host: shop.example', `Authorization: Bearer ${name}`, '', ''].join('\r\n')
const pause = (millis: number) => new Promise((done) => setTimeout(done, millis))

describe('REL-19 HTTP/1.1', () => {
  it('the last answer says that it is the last', async () => {
    const { port, close } = await serving()
    const one = await wire(port)
    one.write(call('ada'))
    expect(await one.answers()).not.toContain('onnection')
    const closing = close(1_000)
    await pause(20)
    one.write(call('bob'))
    const text = await one.end()
    expect(statuses(text)).toEqual([200, 200])
    expect(text).toMatch(/x-user: bob\r\n[^]*Connection: close\r\n/)
    await closing
  })
  it('what is under way is answered, whole', async () => {
    const { port, close } = await serving()
    const one = await wire(port)
    one.write(call('slow-ada'))
    await pause(20)
    const closing = close(1_000)
    expect(statuses(await one.end())).toEqual([200])
    await closing
  })
  it('idle connections are closed, and not at once', async () => {
    const { port, close } = await serving()
    const [used, silent] = await Promise.all([wire(port), wire(port)])
    used.write(call('ada'))
    await used.answers()
    const closing = close(400)
    await pause(50)
    expect(used.ended()).toBe(false)
    await Promise.all([used.end(), silent.end()])
    used.close()
    silent.close()
    await closing
  })
  it('takes no new connections', async () => {
    const { port, close } = await serving()
    const busy = await wire(port)
    busy.write(call('never'))
    await pause(20)
    const closing = close(300)
    await expect(wire(port)).rejects.toThrow('ECONNREFUSED')
    await closing
  })
  it('cuts off after the grace what does not end', async () => {
    const { port, close } = await serving({ budgetMillis: 60_000 })
    const one = await wire(port)
    one.write(call('never'))
    await pause(20)
    const started = performance.now()
    await close(200)
    expect(performance.now() - started).toBeLessThan(600)
    await one.end()
  })
  it('ends at once where nobody is connected', async () => {
    const { close } = await serving()
    const started = performance.now()
    await close(10_000)
    expect(performance.now() - started).toBeLessThan(100)
  })
  it('loses none of 20 busy connections', async () => {
    const { port, close } = await serving()
    const agent = new Agent({ keepAlive: true, maxSockets: 20 })
    const count = { answered: 0, lost: 0, refused: 0 }
    const state = { over: false }
    const ask = () =>
      new Promise<void>((done) => {
        const options = {
          port,
          host: '127.0.0.1',
          path: `${prefix}/`,
          agent,
          headers: { host: 'shop.example', authorization: 'Bearer ada' },
        }
        const one = request(options, (answer) => {
          answer.resume()
          answer.on('end', () => {
            count.answered += 1
            done()
          })
        })
        one.on('error', (error: NodeJS.ErrnoException) => {
          state.over = true
          if (error.code === 'ECONNREFUSED') count.refused += 1
          else count.lost += 1
          done()
        })
        one.end()
      })
    const askers = Promise.all(
      Array.from({ length: 20 }, async () => {
        while (!state.over) await ask()
      }),
    )
    await pause(200)
    await close(2_000)
    await askers
    expect(count.answered).toBeGreaterThan(100)
    expect(count.lost).toBe(0)
    agent.destroy()
  })
})

/** The head of a check; 0x88 is `:status: 200` in the answer (RFC 7541 appendix A). */
const head = (name: string): Buffer =>
  fields([
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', `${prefix}/`],
    [':authority', 'shop.example'],
    ['authorization', `Bearer ${name}`],
  ])

describe('REL-19 HTTP/2', () => {
  it('says GOAWAY with the highest id, answers what still comes, then says it with the last', async () => {
    const { port, close } = await serving()
    const gateway = await speak(port)
    const answered = (stream: number): boolean =>
      gateway.received().some((one) => one.type === types.headers && one.stream === stream)
    const goaways = () =>
      gateway.received().flatMap(({ type, payload }) => (type === types.goaway ? [payload.readUInt32BE(0)] : []))
    await gateway.write(frame(types.headers, 5, 1, head('ada')))
    await expect.poll(() => answered(1)).toBe(true)
    const closing = close(600)
    await expect.poll(goaways, { interval: 5 }).toEqual([2 ** 31 - 1])
    await gateway.write(frame(types.headers, 5, 3, head('bob')))
    await expect.poll(() => answered(3)).toBe(true)
    await closing
    expect([...new Set(goaways())]).toEqual([2 ** 31 - 1, 3])
    expect(gateway.received().some(({ type }) => type === types.reset)).toBe(false)
  })
  it('loses none of 40 busy streams', async () => {
    // By hand: Node's client answers a GOAWAY with its own before it sends the requests that it has promised already.
    const { port, close } = await serving()
    const gateway = await speak(port)
    const state = { next: 1, asked: 0, answered: 0 }
    const ask = async (): Promise<void> => {
      await gateway.write(frame(types.headers, 5, state.next, head('ada')))
      state.next += 2
      state.asked += 1
    }
    for (let at = 0; at < 40; at += 1) await ask()
    const closing = pause(200).then(() => close(2_000))
    for (let told = false; !gateway.closed() && !(told && state.answered === state.asked); await pause(1)) {
      const frames = gateway.received()
      told = frames.some(({ type }) => type === types.goaway)
      state.answered = frames.filter(({ type, payload }) => type === types.headers && payload[0] === 0x88).length
      if (!told) for (let free = 40 - (state.asked - state.answered); free > 0; free -= 1) await ask()
    }
    gateway.socket.end()
    await closing
    expect(state.asked).toBeGreaterThan(100)
    expect(state.answered).toBe(state.asked)
  })
})
