import { connect } from 'node:net'
import type { Connection, ConnectionEvents, Ticket } from './connection.ts'
import { writeMessage } from './message.ts'
import type { Message } from './message.ts'

/** Opens a keep-alive connection of HTTP/1.1 with one request under way at a time; it may be used at once. */
export function httpConnection(port: number, message: Message, { onReply, onFailure }: ConnectionEvents): Connection {
  let waiting: readonly Ticket[] = []
  let asked: Ticket | undefined
  let rest: Buffer = Buffer.alloc(0)
  let over = false
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  const fail = (why: string): void => {
    if (!over) onFailure(new Error(why))
    over = true
    socket.destroy()
  }
  socket.on('error', (cause) => fail(cause.message))
  socket.on('close', () => fail('the server closed the connection'))
  socket.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const reply = readReply(rest)
    if (reply === undefined) return
    const ticket = asked
    if (ticket === undefined || reply.length !== rest.length) return fail('an answer that nobody asked for')
    rest = rest.subarray(reply.length)
    asked = undefined
    onReply(ticket, { status: reply.status, body: reply.head })
    flush()
  })

  function flush(): void {
    const [next, ...others] = waiting
    if (over || asked !== undefined || next === undefined) return
    waiting = others
    asked = next
    const bytes = Buffer.allocUnsafe(message.bytes.length)
    writeMessage(message, bytes, 0, next.serial, next.credential)
    socket.write(bytes)
  }

  return {
    send: (ticket) => {
      waiting = [...waiting, ticket]
    },
    flush,
    load: () => waiting.length + (asked === undefined ? 0 : 1),
    close: () => {
      over = true
      socket.destroy()
    },
  }
}

/** The first answer in these bytes, once all of it is there; bodies have a `content-length`, or there is none. */
function readReply(
  bytes: Buffer,
): { readonly status: string; readonly head: Buffer; readonly length: number } | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const head = bytes.subarray(0, end + 2)
  const body = Number(contentLength.exec(head.toString('latin1'))?.[1] ?? 0)
  const length = end + 4 + body
  return bytes.length < length ? undefined : { status: head.toString('latin1', 9, 12), head, length }
}

const contentLength = field('content-length')

/** Finds the value of a field in the text of a head, whichever way its name is written. */
export function field(name: string): RegExp {
  return new RegExp(`\\r\\n${name}: *([^\\r]*)\\r\\n`, 'i')
}
