import { once } from 'node:events'
import { connect } from 'node:net'

/** A connection that says exactly what a test writes, and keeps all that comes back. */
export async function wire(port: number) {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  let text = ''
  const state = { ended: false, closed: false }
  socket.setEncoding('latin1')
  socket.on('data', (chunk: string) => (text += chunk))
  socket.on('end', () => (state.ended = true))
  socket.on('close', () => (state.closed = true))
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  /** Waits until the peer closed, or until `enough` of what came back says so. */
  const until = async (enough: (text: string) => boolean): Promise<string> => {
    const limit = performance.now() + 12_000
    while (!state.ended && !state.closed && !enough(text)) {
      if (performance.now() > limit) throw new Error(`nothing more came after ${JSON.stringify(text.slice(0, 200))}`)
      await new Promise((done) => setTimeout(done, 2))
    }
    return text
  }
  return {
    socket,
    write: (bytes: string) => socket.write(bytes, 'latin1'),
    text: () => text,
    ended: () => state.ended || state.closed,
    until,
    answers: (count = 1) => until((all) => statuses(all).length >= count && all.endsWith('\r\n\r\n')),
    end: () => until(() => false),
    close: () => socket.destroy(),
  }
}

/** The status of every answer in a stretch of HTTP/1.1. */
export const statuses = (text: string): readonly number[] =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))

/** Writes once and waits for one answer or the end. */
export async function exchange(port: number, bytes: string): Promise<string> {
  const one = await wire(port)
  one.write(bytes)
  const closing = /^connection: close\r$/im.test(bytes)
  const text = await (closing ? one.end() : one.answers())
  one.close()
  return text
}
