import { connect } from 'node:net'
import type { Connection, ConnectionEvents, Ticket } from './connection.ts'
import { readBlock, requestBlocks } from './hpack.ts'
import { writeMessage } from './message.ts'
import type { Message } from './message.ts'

/*
 * One HTTP/2 connection for unary gRPC calls, with frames made ahead: `node:http2` as a client costs about what the server under test does.
 * Stream windows are not kept: requests and replies are far below the 65,535 bytes that every stream begins with (RFC 9113 §6.9.2).
 */

const frame = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, window: 8 } as const
const endStream = 1
const endHeaders = 4
const acknowledged = 1

/** The fields of Envoy's ext_authz client; numbers are those of the static table: POST, http. */
const blocks = requestBlocks([
  3,
  6,
  [4, '/envoy.service.auth.v3.Authorization/Check'],
  [1, 'gatehouse'],
  ['te', 'trailers'],
  ['grpc-timeout', '10000m'],
  [31, 'application/grpc'],
  ['x-envoy-internal', 'true'],
  ['x-forwarded-for', '10.0.0.7'],
])

function head(length: number, type: number, flags: number, stream = 0): Buffer {
  const bytes = Buffer.alloc(9)
  bytes.writeUIntBE(length, 0, 3)
  bytes.writeUInt8(type, 3)
  bytes.writeUInt8(flags, 4)
  bytes.writeUInt32BE(stream, 5)
  return bytes
}

/** HEADERS and DATA of a call. Only the stream's number is missing, at two places. */
function call(block: Buffer, message: Message): Message & { readonly streams: readonly [number, number] } {
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(message.bytes.length, 1)
  const before = Buffer.concat([
    head(block.length, frame.headers, endHeaders),
    block,
    head(5 + message.bytes.length, frame.data, endStream),
    prefix,
  ])
  const moved = (places: readonly number[]): readonly number[] => places.map((place) => place + before.length)
  return {
    bytes: Buffer.concat([before, message.bytes]),
    serials: moved(message.serials),
    groups: moved(message.groups),
    credentials: moved(message.credentials),
    streams: [5, 9 + block.length + 5],
  }
}

// HEADER_TABLE_SIZE 0, ENABLE_PUSH 0; and all the window that there is for the connection.
const settings = Buffer.from([0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0])
const hello = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  head(settings.length, frame.settings, 0),
  settings,
  head(4, frame.window, 0),
  Buffer.from([0x3f, 0xff, 0, 0]),
])

interface Flight {
  readonly ticket: Ticket
  message: Buffer | undefined
}

/** Opens a connection; it may be used at once. */
export function grpcConnection(port: number, message: Message, { onReply, onFailure }: ConnectionEvents): Connection {
  const calls = { first: call(blocks.first, message), later: call(blocks.later, message) }
  const known = new Map<string, ReadonlyMap<string, string>>()
  const flights = new Map<number, Flight>()
  let waiting: Ticket[] = []
  let stream = -1
  let window = 65_535
  let received = 0
  let rest: Buffer = Buffer.alloc(0)
  let over = false
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  const fail = (why: string): void => {
    if (!over) onFailure(new Error(why))
    over = true
    socket.destroy()
  }
  socket.write(hello)
  socket.on('error', (cause) => fail(cause.message))
  socket.on('close', () => fail('the server closed the connection'))
  socket.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    rest = rest.subarray(readFrames(rest))
    flush()
  })

  function readFrames(bytes: Buffer): number {
    let at = 0
    while (at + 9 <= bytes.length) {
      const end = at + 9 + bytes.readUIntBE(at, 3)
      if (end > bytes.length) break
      take(bytes[at + 3] ?? 0, bytes[at + 4] ?? 0, bytes.readUInt32BE(at + 5), bytes.subarray(at + 9, end))
      at = end
    }
    return at
  }

  function take(type: number, flags: number, id: number, body: Buffer): void {
    if (type === frame.data) data(id, body)
    else if (type === frame.headers) headers(id, flags, body)
    else if (type === frame.window) window += id === 0 ? body.readUInt32BE(0) : 0
    else if (type === frame.settings || type === frame.ping) acknowledge(type, flags, body)
    else if (type === frame.goaway || type === frame.reset)
      fail(`the server sent ${type === frame.reset ? 'RST_STREAM' : 'GOAWAY'}`)
    else fail(`the server sent a frame of type ${type}`)
  }

  /** PING is answered with its own bytes, SETTINGS with none. */
  function acknowledge(type: number, flags: number, body: Buffer): void {
    if ((flags & acknowledged) !== 0) return
    const echo = type === frame.ping ? body : none
    socket.write(Buffer.concat([head(echo.length, type, acknowledged), echo]))
  }

  function data(id: number, body: Buffer): void {
    const flight = flights.get(id)
    if (flight === undefined) return fail('an answer that nobody asked for')
    flight.message = flight.message === undefined ? body : Buffer.concat([flight.message, body])
    received += body.length
    if (received < 16_777_216) return
    const update = Buffer.alloc(4)
    update.writeUInt32BE(received)
    received = 0
    socket.write(Buffer.concat([head(4, frame.window, 0), update]))
  }

  function headers(id: number, flags: number, block: Buffer): void {
    if ((flags & ~(endStream | endHeaders)) !== 0 || (flags & endHeaders) === 0) return fail('a header block in parts')
    if ((flags & endStream) === 0) return
    const flight = flights.get(id)
    if (flight === undefined) return fail('an answer that nobody asked for')
    flights.delete(id)
    const text = block.toString('latin1')
    let fields = known.get(text)
    if (fields === undefined) known.set(text, (fields = readBlock(block)))
    const whole =
      flight.message !== undefined &&
      flight.message.length > 5 &&
      flight.message.readUInt32BE(1) === flight.message.length - 5
    onReply(flight.ticket, {
      status: fields.get('grpc-status') ?? 'none',
      body: whole ? (flight.message?.subarray(5) ?? none) : none,
    })
  }

  function flush(): void {
    if (over || waiting.length === 0) return
    const size = calls.later.bytes.length
    const batch = Buffer.allocUnsafe(waiting.length * size + calls.first.bytes.length)
    let at = 0
    let sent = 0
    for (const ticket of waiting) {
      const frames = stream < 0 ? calls.first : calls.later
      if (window < message.bytes.length + 5) break
      window -= message.bytes.length + 5
      stream += 2
      flights.set(stream, { ticket, message: undefined })
      writeMessage(frames, batch, at, ticket.serial, ticket.credential)
      for (const place of frames.streams) batch.writeUInt32BE(stream, at + place)
      at += frames.bytes.length
      sent += 1
    }
    waiting = waiting.slice(sent)
    if (at > 0) socket.write(batch.subarray(0, at))
  }

  return {
    send: (ticket) => waiting.push(ticket),
    flush,
    load: () => flights.size + waiting.length,
    close: () => {
      over = true
      socket.destroy()
    },
  }
}

const none = Buffer.alloc(0)
