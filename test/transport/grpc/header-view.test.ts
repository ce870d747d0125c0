import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { readCheck } from '../../../src/transport/grpc/check-request.ts'
import { plainText } from '../../../src/transport/grpc/plain-text.ts'
import { attributes, encode } from './serving.ts'

describe('plain text', () => {
  const plain = (bytes: Buffer): boolean =>
    plainText(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0, bytes.length)

  it('is visible ASCII and spaces, whichever byte is another', () => {
    for (let length = 1; length <= 9; length++) {
      for (let at = 0; at < length; at++) {
        const wrong = Array.from({ length: 256 }, (_, byte) => {
          const bytes = Buffer.alloc(length, 'a')
          bytes[at] = byte
          return plain(bytes) === (byte >= 0x20 && byte < 0x7f) ? [] : [byte]
        }).flat()
        expect(wrong).toEqual([])
      }
    }
  })

  it('is found where several bytes are others', () => {
    for (let one = 0; one < 256; one++) {
      for (const other of [0x00, 0x1f, 0x20, 0x7e, 0x7f, 0x80, 0xff]) {
        const expected = [one, other].every((byte) => byte >= 0x20 && byte < 0x7f)
        expect([plain(Buffer.from([one, other, 97, 97])), plain(Buffer.from([97, 97, other, one]))]).toEqual([
          expected,
          expected,
        ])
      }
    }
  })
})

it('what is kept of a request does not keep its message', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const trust = { envoyGatewayMetadata: true }
  const authorization = `Bearer ${'x'.repeat(100)}`
  const message = encode(attributes({ headers: { authorization, 'x-request-id': 'r-1' }, body: 'b'.repeat(500_000) }))
  const kept: unknown[] = []
  const used = (): number => {
    collect()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  const before = used()
  for (let n = 0; n < 200; n++) {
    const request = readCheck(Buffer.from(message), trust)
    const { method, host, source, target, claim } = request
    kept.push([method, host, source, target, claim, request.headers.get('authorization'), [...request.headers.keys()]])
  }
  await expect.poll(() => used() - before, { timeout: 5_000 }).toBeLessThan(10_000_000)
  expect(kept.length).toBe(200)
})

it('neither protobufjs nor its loader is loaded for checks and health', async () => {
  const server = resolve(import.meta.dirname, '../../../src/transport/grpc/server.ts')
  const script = `
    import { createRequire } from 'node:module'
    const { createGrpcServer } = await import(${JSON.stringify(server)})
    const server = await createGrpcServer({
      engine: { answer() {}, ready: () => true },
      listen: { host: '127.0.0.1', port: 0 },
      identity: { envoyGatewayMetadata: false },
      reflection: false,
      clock: { now: Date.now, ticks: () => performance.now() },
    })
    const loaded = Object.keys(createRequire(import.meta.url).cache)
    console.log(JSON.stringify(loaded.filter((path) => /protobufjs|proto-loader/.test(path))), loaded.length > 20)
    process.exit(0)`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
  expect(stdout.trim()).toBe('[] true')
})
