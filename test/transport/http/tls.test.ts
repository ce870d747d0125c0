import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:http2'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { startGatehouse } from '../../../src/gatehouse.ts'
import { createMetrics } from '../../../src/metrics.ts'
import { createServices } from '../../../src/services.ts'
import { defaultSettings } from '../../../src/settings.ts'
import { createFileSource } from '../../../src/source/files.ts'
import { authority, opensslMissing } from '../../support/certificates.ts'
import { prefix, serving } from './serving.ts'

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-http-tls-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}

const off = { kind: 'off' } as const
const free = { kind: 'on', host: '127.0.0.1', port: 0 } as const

describe.skipIf(opensslMissing)('HTTP over TLS', () => {
  const ours = opensslMissing ? undefined : authority()
  const issued = ours?.issue('DNS:localhost,IP:127.0.0.1')
  const gateway = ours?.issue('DNS:gateway')
  const tls = {
    certificate: file('cert.pem', issued?.cert ?? ''),
    key: file('key.pem', issued?.key ?? ''),
  }
  const clientCa = file('ca.pem', ours?.ca ?? '')
  const headers = { host: 'shop.example', authorization: 'Bearer ada' }
  const trust = { ca: ours?.ca ?? '' }

  const first = (port: number, options: object): Promise<number | undefined> =>
    new Promise((done, fail) => {
      const call = request(
        {
          port,
          host: '127.0.0.1',
          path: `${prefix}/`,
          headers,
          servername: 'localhost',
          agent: false,
          ...trust,
          ...options,
        },
        (answer) => {
          answer.resume()
          answer.on('end', () => done(answer.statusCode))
        },
      )
      call.on('error', fail).end()
    })
  const second = (port: number, options: object): Promise<unknown> =>
    new Promise((done, fail) => {
      const session = connect(`https://127.0.0.1:${port}`, { ...trust, ...options })
      session.on('error', fail)
      const call = session.request({ ':path': `${prefix}/`, ':authority': 'shop.example', authorization: 'Bearer ada' })
      call.on('error', fail).on('response', (fields) => {
        session.close()
        done(fields[':status'])
      })
    })

  it('speaks whichever version the client chooses by ALPN, or none', async () => {
    const { port, close } = await serving({ tls })
    expect(await first(port, { ALPNProtocols: ['http/1.1'] })).toBe(200)
    expect(await first(port, { ALPNProtocols: undefined })).toBe(200)
    expect(await second(port, {})).toBe(200)
    await close()
  })
  it('takes nobody without a certificate of the client authority', async () => {
    const { port, close, records } = await serving({ tls: { ...tls, clientCa } })
    await expect(first(port, {})).rejects.toThrow()
    await expect(second(port, {})).rejects.toThrow()
    expect(records).toEqual([])
    const certificate = { cert: gateway?.cert, key: gateway?.key }
    expect(await first(port, certificate)).toBe(200)
    expect(await second(port, certificate)).toBe(200)
    await close()
  })
  it('REL-19 announces its end to an HTTP/2 client that is idle', async () => {
    const { port, close } = await serving({ tls })
    const session = connect(`https://127.0.0.1:${port}`, trust)
    await once(session.request({ ':path': `${prefix}/`, ':authority': 'shop.example' }).resume(), 'close')
    const told: number[] = []
    session.on('goaway', (_code, last) => void told.push(last ?? 0)).on('error', () => undefined)
    await close(200)
    await expect.poll(() => told[0]).toBe(2 ** 31 - 1)
    session.destroy()
  })
  it('tells of renewed files that cannot be used, and goes on with those in force', async () => {
    const own = {
      certificate: file('renewed.pem', issued?.cert ?? ''),
      key: file('renewed-key.pem', issued?.key ?? ''),
    }
    const told: string[] = []
    const { port, close } = await serving({ tls: own, tlsRefused: ({ message }) => told.push(message) })
    file('renewed-key.pem', gateway?.key ?? '')
    await expect.poll(() => told, { timeout: 5_000 }).toHaveLength(1)
    expect(told[0]).toContain('renewed.pem cannot be used with its key')
    expect(await first(port, {})).toBe(200)
    await close()
  })
  it.each([
    ['gRPC', {}],
    ['the first HTTP listener', { grpcListen: off }],
    ['the only one', { grpcListen: off, httpListen: off }],
  ])('a whole Gatehouse says it once, whoever listens: %s', async (_, some) => {
    const tlsCert = file('whole.pem', issued?.cert ?? '')
    const tlsKey = file('whole-key.pem', issued?.key ?? '')
    const told: string[] = []
    const metrics = createMetrics()
    const services = createServices({ telemetry: metrics.telemetry })
    const listeners = { grpcListen: free, httpListen: free, matchingListen: free, adminListen: off, ...some }
    const running = await startGatehouse({
      settings: { ...defaultSettings(), ...listeners, tlsCert, tlsKey },
      source: createFileSource({ directory: folder }),
      services,
      metrics,
      record: () => undefined,
      onState: () => undefined,
      warn: (sentence) => told.push(sentence),
    })
    file('whole-key.pem', gateway?.key ?? '')
    await expect.poll(() => told.length, { timeout: 5_000 }).toBeGreaterThan(0)
    await new Promise((done) => setTimeout(done, 1_200)) // the others look once a second as well
    expect(told).toEqual([expect.stringMatching(/whole\.pem cannot be used .* The certificate in force stays\.$/)])
    await running.stop({ wait: 0, grace: 100 })
    await services.close()
  })
  it('says in one sentence which file cannot be used', async () => {
    await expect(serving({ tls: { certificate: join(folder, 'nowhere.pem'), key: tls.key } })).rejects.toThrow(
      'nowhere.pem cannot be read',
    )
  })
})

it('gives the system’s own error for a port that is taken', async () => {
  const { port, close } = await serving()
  await expect(serving({ listen: { host: '127.0.0.1', port } })).rejects.toMatchObject({ code: 'EADDRINUSE' })
  await close()
})
it('does not start on trusted proxies that are none', async () => {
  await expect(serving({ trustedProxies: ['everybody'] })).rejects.toThrow('"everybody" is no address')
})
