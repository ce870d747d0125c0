import { once } from 'node:events'
import { connect } from 'node:net'
import { Registry, Counter } from 'prom-client'
import { afterEach, describe, expect, it } from 'vitest'
import { createAdmin } from '../../src/transport/admin.ts'
import type { Admin } from '../../src/transport/admin.ts'
import { send } from '../support/send.ts'

let admin: Admin | undefined
afterEach(() => admin?.close(0))

async function open(state = { policies: true, draining: false }) {
  const registry = new Registry()
  new Counter({ name: 'checks_total', help: 'Number of checks.', registers: [registry] }).inc(3)
  const opened = await createAdmin({ listen: { host: '127.0.0.1', port: 0 }, ready: () => state, registry })
  admin = opened
  return { state, ask: (path: string, method = 'GET') => send({ port: opened.address.port, path, method }) }
}

describe('OBS-06 the admin listener', () => {
  it('is alive, whatever else is wrong', async () => {
    const { ask } = await open({ policies: false, draining: true })
    expect(await ask('/healthz')).toMatchObject({ status: 200, body: 'ok\n' })
  })
  it.each([
    ['with policies', { policies: true, draining: false }, 200, { ready: true, missing: [] }],
    ['before the first snapshot', { policies: false, draining: false }, 503, { ready: false, missing: ['policies'] }],
    ['while draining', { policies: true, draining: true }, 503, { ready: false, missing: ['draining'] }],
    ['neither', { policies: false, draining: true }, 503, { ready: false, missing: ['policies', 'draining'] }],
  ])('is ready: %s', async (_, state, status, body) => {
    const { ask } = await open(state)
    const answer = await ask('/readyz')
    expect([answer.status, JSON.parse(answer.body)]).toEqual([status, body])
  })
  it('follows the state', async () => {
    const { state, ask } = await open()
    expect((await ask('/readyz')).status).toBe(200)
    state.draining = true
    expect((await ask('/readyz')).status).toBe(503)
  })
  it('tells its metrics as Prometheus reads them', async () => {
    const { ask } = await open()
    const answer = await ask('/metrics')
    expect(answer.all('content-type')).toEqual(['text/plain; version=0.0.4; charset=utf-8'])
    expect(answer.body).toContain('checks_total 3')
  })
  it.each(['/healthz', '/readyz', '/metrics'])('answers HEAD %s', async (path) => {
    const { ask } = await open()
    expect(await ask(path, 'HEAD')).toMatchObject({ status: 200, body: '' })
  })
  it.each([
    ['GET', '/'],
    ['GET', '/healthz/'],
    ['GET', '/config'],
    ['GET', '/debug/pprof'],
    ['GET', '/../healthz'],
    ['GET', '/v1/check/shop/cart/pay/-/'],
    ['POST', '/healthz'],
    ['DELETE', '/metrics'],
    ['PUT', '/readyz'],
  ])('knows nothing else: %s %s', async (method, path) => {
    const { ask } = await open()
    expect(await ask(path, method)).toMatchObject({ status: 404, body: 'not found\n' })
  })
  it('tells of metrics that cannot be collected, and of nothing that kept them from it', async () => {
    const registry = { contentType: 'text/plain', metrics: () => Promise.reject(new Error('secret')) }
    const ready = () => ({ policies: true, draining: false })
    admin = await createAdmin({ listen: { host: '127.0.0.1', port: 0 }, ready, registry })
    const answer = await send({ port: admin.address.port, path: '/metrics' })
    expect([answer.status, JSON.parse(answer.body)]).toEqual([500, { error: 'the metrics cannot be collected' }])
  })
  it('keeps a connection for longer than a scraper waits, and ends it when it is closed', async () => {
    await open()
    const socket = connect(admin?.address.port ?? 0, '127.0.0.1')
    socket.write('GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n')
    const [head] = (await once(socket, 'data')) as [Buffer]
    expect(head.toString()).toMatch(/^keep-alive: timeout=75\r$/im)
    await Promise.all([once(socket, 'close'), admin?.close(0)])
  })
  it('repeats nothing of what it is asked', async () => {
    const { ask } = await open()
    const answer = await ask('/%zz?token=secret-in-a-url')
    expect([400, 404]).toContain(answer.status)
    expect(answer.body).not.toContain('secret')
  })
  it('rejects with the system’s own error', async () => {
    await open()
    const listen = { host: '127.0.0.1', port: admin?.address.port ?? 0 }
    const again = createAdmin({ listen, ready: () => ({ policies: true, draining: false }), registry: new Registry() })
    await expect(again).rejects.toMatchObject({ code: 'EADDRINUSE' })
  })
})
