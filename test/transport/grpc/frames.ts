import { once } from 'node:events'
import { connect } from 'node:net'
import type { TLSSocket } from 'node:tls'

/** HTTP/2 written by hand (RFC 9113 §4.1): what no client library would send. */
export const frame = (type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer => {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

export const types = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const

export const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** Header fields as literals without indexing (RFC 7541 §6.2.2); names and values under 127 bytes. */
export const fields = (pairs: readonly (readonly [string, string])[]): Buffer =>
  Buffer.concat(
    pairs.flatMap(([name, value]) => [
      Buffer.from([0, name.length]),
      Buffer.from(name, 'latin1'),
      Buffer.from([value.length]),
      Buffer.from(value, 'latin1'),
    ]),
  )

/** The head of a check. */
export const checkHead = (path = '/envoy.service.auth.v3.Authorization/Check'): Buffer =>
  fields([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'gatehouse'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
  ])

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

/** A connection after preface and settings, with everything that comes back. */
export async function speak(port: number, over?: TLSSocket) {
  const socket = over ?? connect(port, '127.0.0.1')
  const chunks: Buffer[] = []
  const state = { closed: false }
  socket.on('data', (chunk: Buffer) => void chunks.push(chunk))
  let waiting = (): void => undefined
  socket.on('error', () => undefined)
  socket.on('drain', () => waiting())
  socket.on('close', () => {
    state.closed = true
    waiting()
  })
  if (over === undefined) await once(socket, 'connect')
  socket.write(Buffer.concat([preface, frame(types.settings, 0, 0)]))
  /** Writes as far as the peer reads; gives up when it closed. */
  const write = async (bytes: Buffer): Promise<void> => {
    if (state.closed || !socket.writable || socket.write(bytes)) return
    await new Promise<void>((done) => {
      waiting = done
    })
  }
  return { socket, write, closed: () => state.closed, received: () => parse(Buffer.concat(chunks)) }
}

interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

function parse(bytes: Buffer): readonly Frame[] {
  const frames: Frame[] = []
  for (let at = 0; at + 9 <= bytes.length;) {
    const length = bytes.readUIntBE(at, 3)
    frames.push({
      type: bytes[at + 3] ?? 0,
      flags: bytes[at + 4] ?? 0,
      stream: bytes.readUInt32BE(at + 5),
      payload: bytes.subarray(at + 9, at + 9 + length),
    })
    at += 9 + length
  }
  return frames
}
