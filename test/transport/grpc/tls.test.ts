import { once } from 'node:events'
import { mkdtemp, rename, symlink, writeFile } from 'node:fs/promises'
import { connect as connectHttp2 } from 'node:http2'
import type { IncomingHttpHeaders } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { credentials } from '@grpc/grpc-js'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { authority, opensslMissing } from '../../support/certificates.ts'
import type { Authority } from '../../support/certificates.ts'
import { readTls, watchTls } from '../../../src/transport/grpc/tls.ts'
import type { TlsMaterial } from '../../../src/transport/grpc/tls.ts'
import { checkHead, frame, speak, types } from './frames.ts'
import { attributes, checker, encode, serving, verdict } from './serving.ts'

describe.skipIf(opensslMissing && process.env['CI'] === undefined)(
  'TLS (needs openssl: apt-get install openssl)',
  () => {
    let ours: Authority
    let clients: Authority
    let others: Authority
    let ends: (() => unknown)[] = []
    beforeAll(() => {
      ours = authority()
      clients = authority()
      others = authority()
    })
    afterEach(async () => {
      for (const end of ends.toReversed()) await end()
      ends = []
    })

    async function secured(mutual: boolean) {
      const folder = await mkdtemp(join(tmpdir(), 'gatehouse-tls-'))
      const files = {
        certificate: join(folder, 'tls.crt'),
        key: join(folder, 'tls.key'),
        ...(mutual ? { clientCa: join(folder, 'ca.crt') } : {}),
      }
      const put = async (name: string, text: string): Promise<void> => {
        await writeFile(join(folder, `${name}.new`), text)
        await rename(join(folder, `${name}.new`), join(folder, name))
      }
      const pair = ours.issue('DNS:localhost,IP:127.0.0.1')
      await put('tls.crt', pair.cert)
      await put('tls.key', pair.key)
      await put('ca.crt', clients.ca)
      const refused: string[] = []
      const at = await serving({ tls: files, tlsRefused: ({ message }) => refused.push(message) })
      ends.push(() => at.server.close({ graceMillis: 200, roundTripMillis: 20 }))
      return { ...at, folder, put, refused, pair }
    }
    const client = (target: string, ca: string, own?: { readonly key: string; readonly cert: string }) => {
      const given = own === undefined ? [] : [Buffer.from(own.key), Buffer.from(own.cert)]
      const one = checker(target, credentials.createSsl(Buffer.from(ca), given[0] ?? null, given[1] ?? null))
      ends.push(one.close)
      return one
    }
    const soon = () => ({ deadline: Date.now() + 2_000 })
    const handshake = (port: number, options: ConnectionOptions): Promise<TLSSocket> =>
      new Promise((resolve, reject) => {
        const socket = connectTls({ port, host: '127.0.0.1', ca: ours.ca, ALPNProtocols: ['h2'], ...options })
        socket.once('secureConnect', () => resolve(socket)).once('error', reject)
        ends.push(() => socket.destroy())
      })
    const serial = async (port: number): Promise<string> =>
      (await handshake(port, {})).getPeerCertificate().serialNumber

    it('serves usual calls itself over TLS, too', async () => {
      const { target, records } = await secured(false)
      const session = connectHttp2(`https://localhost:${target.split(':')[1] ?? ''}`, { ca: ours.ca })
      ends.push(() => session.destroy())
      const message = encode(attributes())
      const prefix = Buffer.from([0, 0, 0, message.length >> 8, message.length & 255])
      const path = '/envoy.service.auth.v3.Authorization/Check'
      const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc' })
      stream.resume().end(Buffer.concat([prefix, message]))
      const [head] = (await once(stream, 'response')) as [IncomingHttpHeaders]
      expect(head[':status']).toBe(200)
      expect(head['grpc-accept-encoding']).toBeUndefined() // which grpc-js would tell
      expect(records.at(-1)?.request.caller).toBe('127.0.0.1')
    })

    it('DEP-16 answers over TLS, and nothing in the clear', async () => {
      const { target } = await secured(false)
      expect(verdict(await client(target, ours.ca).check(attributes()))).toBe('allow')
      const plain = checker(target)
      ends.push(plain.close)
      await expect(plain.check(attributes(), soon())).rejects.toThrow()
      await expect(client(target, others.ca).check(attributes(), soon())).rejects.toThrow()
    })

    it('DEP-16 with a client CA, refuses a client without a certificate or with another CA', async () => {
      const { target, records } = await secured(true)
      const good = client(target, ours.ca, clients.issue('DNS:gateway'))
      expect(verdict(await good.check(attributes()))).toBe('allow')
      const before = records.length
      await expect(client(target, ours.ca).check(attributes(), soon())).rejects.toThrow()
      await expect(client(target, ours.ca, others.issue('DNS:gateway')).check(attributes(), soon())).rejects.toThrow()
      const late = clients.issue('DNS:gateway', { from: '200101000000Z', until: '200102000000Z' })
      await expect(client(target, ours.ca, late).check(attributes(), soon())).rejects.toThrow()
      expect(records.length).toBe(before)
    })

    it.each([
      ['TLSv1.2', true],
      ['TLSv1.1', false],
    ] as const)('DEP-17 %s is taken: %s', async (version, taken) => {
      const { port } = await secured(false)
      const socket = handshake(port, { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' })
      const settled = await socket.then(
        () => true,
        () => false,
      )
      expect(settled).toBe(taken)
    })

    it('DEP-17 odd server names and protocols end a handshake and nothing else', async () => {
      const { port, target } = await secured(false)
      for (const servername of ['a'.repeat(255), 'xn--', '*.example', '..']) {
        await handshake(port, { servername, checkServerIdentity: () => undefined }).catch(() => undefined)
      }
      await expect(handshake(port, { ALPNProtocols: ['http/1.1'] })).rejects.toThrow()
      expect(verdict(await client(target, ours.ca).check(attributes()))).toBe('allow')
    })

    it('takes HTTP/2 from a gateway that sends no ALPN', async () => {
      const { port } = await secured(false)
      const socket = await handshake(port, { ALPNProtocols: [] })
      const session = connectHttp2('https://localhost', { createConnection: () => socket })
      ends.push(() => session.destroy())
      const message = encode(attributes())
      const stream = session.request({
        ':method': 'POST',
        ':path': '/envoy.service.auth.v3.Authorization/Check',
        'content-type': 'application/grpc',
        te: 'trailers',
      })
      stream.resume()
      stream.end(Buffer.concat([Buffer.from([0, 0, 0, message.length >> 8, message.length & 255]), message]))
      const trailers = await new Promise<Record<string, unknown>>((done) => stream.once('trailers', done))
      expect(trailers['grpc-status']).toBe('0')
    })

    it('REL-27 takes a new certificate without a restart; old connections live on', async () => {
      const { target, port, put, refused } = await secured(false)
      const old = client(target, ours.ca)
      expect(verdict(await old.check(attributes()))).toBe('allow')
      const first = await serial(port)
      const next = ours.issue('DNS:localhost,IP:127.0.0.1')
      await put('tls.crt', next.cert) // for a moment the two do not fit: the old pair stays
      await expect.poll(() => refused.length, { timeout: 5_000 }).toBeGreaterThan(0)
      expect(await serial(port)).toBe(first)
      await put('tls.key', next.key)
      await expect.poll(() => serial(port), { timeout: 5_000, interval: 200 }).not.toBe(first)
      expect(verdict(await old.check(attributes()))).toBe('allow')
      expect(refused.join()).not.toContain('PRIVATE')
    }, 15_000)

    it('REL-27 takes what was renewed before the watch had its first look, and says nothing of what is the same', async () => {
      const { folder, put } = await secured(false)
      const files = { certificate: join(folder, 'tls.crt'), key: join(folder, 'tls.key') }
      const before = await readTls(files)
      const next = ours.issue('DNS:localhost')
      await put('tls.crt', next.cert)
      await put('tls.key', next.key)
      const told: string[] = []
      const tell = {
        changed: ({ cert }: TlsMaterial) => told.push(cert.toString()),
        refused: () => told.push('refused'),
      }
      for (const inForce of [before, await readTls(files)]) ends.push(watchTls(files, inForce, tell, 50).close)
      await expect.poll(() => told, { timeout: 5_000 }).toEqual([next.cert])
      await sleep(200)
      expect(told).toEqual([next.cert])
    })

    it('REL-27 takes a new client CA without a restart', async () => {
      const { target, put } = await secured(true)
      const before = client(target, ours.ca, clients.issue('DNS:gateway'))
      expect(verdict(await before.check(attributes()))).toBe('allow')
      const own = others.issue('DNS:gateway')
      await put('ca.crt', others.ca)
      await expect
        .poll(
          () =>
            client(target, ours.ca, own)
              .check(attributes(), soon())
              .then(verdict, () => 'refused'),
          {
            timeout: 6_000,
            interval: 300,
          },
        )
        .toBe('allow')
      const other = checker(
        target,
        credentials.createSsl(Buffer.from(ours.ca), ...pairOf(clients.issue('DNS:gateway'))),
        {
          'grpc.use_local_subchannel_pool': 1,
        },
      )
      ends.push(other.close)
      await expect(other.check(attributes(), soon())).rejects.toThrow()
      expect(verdict(await before.check(attributes()))).toBe('allow')
    }, 15_000)
    const pairOf = ({ key, cert }: { readonly key: string; readonly cert: string }) =>
      [Buffer.from(key), Buffer.from(cert)] as const

    it.each([
      [
        'no file',
        async (folder: string) => ({ certificate: join(folder, 'none'), key: join(folder, 'none') }),
        /cannot be read \(ENOENT\)/,
      ],
      [
        'no certificate in it',
        async (folder: string) => {
          await writeFile(join(folder, 'x'), 'hello')
          return { certificate: join(folder, 'x'), key: join(folder, 'x') }
        },
        /cannot be used with its key/,
      ],
      [
        'a key of another',
        async (folder: string) => {
          await writeFile(join(folder, 'a'), ours.issue('DNS:a').cert)
          await writeFile(join(folder, 'b'), ours.issue('DNS:b').key)
          await symlink(join(folder, 'b'), join(folder, 'c'))
          return { certificate: join(folder, 'a'), key: join(folder, 'c') }
        },
        /cannot be used with its key \(.*mismatch\)/,
      ],
    ])('a bad certificate is one sentence: %s', async (_, make, sentence) => {
      const folder = await mkdtemp(join(tmpdir(), 'gatehouse-tls-'))
      await expect(serving({ tls: await make(folder) })).rejects.toThrow(sentence)
    })

    it('REL-18 a drain over TLS loses nothing that is under way or on its way', async () => {
      const { port, server } = await secured(false)
      const message = encode(attributes({ headers: { authorization: 'Bearer slow' } }))
      const body = Buffer.concat([Buffer.from([0, 0, 0, message.length >> 8, message.length & 255]), message])
      const call = (id: number): Buffer =>
        Buffer.concat([frame(types.headers, 4, id, checkHead()), frame(types.data, 1, id, body)])
      const gateway = await speak(port, await handshake(port, {}))
      const ends = () =>
        gateway.received().flatMap(({ type, payload }) => (type === types.goaway ? [payload.readUInt32BE(0)] : []))
      const answered = () =>
        gateway.received().filter(({ type, flags }) => type === types.headers && (flags & 1) === 1).length
      for (let n = 0; n < 40; n++) await gateway.write(call(2 * n + 1))
      await sleep(30)
      const closing = server.close({ graceMillis: 1_000, roundTripMillis: 100 })
      await expect.poll(ends, { interval: 2 }).toEqual([2 ** 31 - 1])
      for (let n = 40; n < 60; n++) await gateway.write(call(2 * n + 1))
      await closing
      expect(answered()).toBe(60)
      expect(ends()[1]).toBe(119)
    })
  },
)
