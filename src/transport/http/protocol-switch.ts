import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** RFC 9113 §3.4: what a client that speaks HTTP/2 with prior knowledge sends first. No HTTP/1.1 request begins with all of it. */
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

/** Where a connection goes once it is known what it speaks. */
export interface Protocols {
  readonly http1: (socket: Socket) => void
  readonly http2: (socket: Socket) => void
  /** How long a client may keep us waiting for its first bytes. */
  readonly patienceMillis: number
}

/** Hands a connection to the one or the other by what ALPN agreed on, or else by its first bytes, of which none is lost. */
export function switchProtocol(socket: Socket, { http1, http2, patienceMillis }: Protocols): void {
  if (socket instanceof TLSSocket && typeof socket.alpnProtocol === 'string') {
    return socket.alpnProtocol === 'h2' ? http2(socket) : http1(socket)
  }
  let seen = Buffer.alloc(0)
  const gone = (): void => void socket.destroy()
  const timer = setTimeout(gone, patienceMillis).unref()
  const look = (chunk: Buffer): void => {
    seen = Buffer.concat([seen, chunk])
    const same = seen.subarray(0, preface.length).equals(preface.subarray(0, seen.length))
    if (same && seen.length < preface.length) return
    leave()
    socket.pause()
    socket.unshift(seen)
    if (same) http2(socket)
    else http1(socket)
  }
  const leave = (): void => {
    clearTimeout(timer)
    socket.off('data', look).off('end', gone).off('close', leave)
  }
  socket.on('data', look).once('end', gone).once('close', leave)
}
