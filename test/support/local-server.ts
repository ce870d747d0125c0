import { createServer } from 'node:http'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Server, Socket } from 'node:net'
import type { TlsOptions } from 'node:tls'

/** A server on 127.0.0.1 that counts connections and requests, and goes away completely on close. */
export interface LocalServer {
  readonly port: number
  readonly url: string
  readonly connections: () => number
  readonly requests: () => number
  readonly close: () => Promise<void>
}

/** Listens on a port of the system's choice, or on the one given. */
export async function listen(server: Server, scheme = 'http', port = 0): Promise<LocalServer> {
  const sockets = new Set<Socket>()
  let connections = 0
  let requests = 0
  server.on('connection', (socket: Socket) => {
    connections += 1
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined)
  })
  server.on('request', () => (requests += 1))
  await new Promise<void>((done, fail) => server.once('error', fail).listen(port, '127.0.0.1', done))
  const bound = (server.address() as AddressInfo).port
  return {
    port: bound,
    url: `${scheme}://127.0.0.1:${bound}`,
    connections: () => connections,
    requests: () => requests,
    close: () =>
      new Promise((done) => {
        server.close(() => done())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

export const httpServer = (answer: RequestListener, port = 0): Promise<LocalServer> =>
  listen(createServer(answer), 'http', port)

export const httpsServer = (options: TlsOptions, answer: RequestListener): Promise<LocalServer> =>
  listen(createTlsServer(options, answer), 'https')

export async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

export function sendJson(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}
