import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Agent, request as forward } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { ApiServer } from './api-server.ts'

/** What goes wrong with one request on its way to the API server. */
export type Fault =
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly headers?: Record<string, string>
      readonly body?: object
    }
  /** Taken, and never answered. */
  | { readonly kind: 'hang' }
  /** The connection is reset. */
  | { readonly kind: 'cut' }

export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly authorization: string
  /** Milliseconds, monotonic. */
  readonly at: number
}

/** A way to the real API server on which things go wrong as told. Everything else passes unchanged. */
export interface ApiProxy {
  readonly url: string
  readonly seen: SeenRequest[]
  /** Asked for every request; undefined lets it pass. */
  fault: (request: SeenRequest) => Fault | undefined
  /** Resets every connection that is open now. */
  readonly cut: () => void
  /** Watches that are open now stay open and say nothing more. */
  readonly mute: () => void
  /** Nobody listens any more, and what was open is reset. */
  readonly down: () => Promise<void>
  readonly up: () => Promise<void>
  /** Puts a line into the open watches of a path, as if the server had sent it. */
  readonly say: (path: string, line: string) => number
  readonly close: () => Promise<void>
}

export async function apiProxy(upstream: Pick<ApiServer, 'server' | 'ca'>): Promise<ApiProxy> {
  const agent = new Agent({ ca: upstream.ca, keepAlive: true })
  const sockets = new Set<Socket>()
  const watches = new Map<ServerResponse, { readonly path: string; readonly mute: () => void }>()
  let port = 0

  const server = createServer((incoming, outgoing) => {
    const seen = sight(incoming)
    proxy.seen.push(seen)
    const fault = proxy.fault(seen)
    if (fault === undefined) pass(incoming, outgoing, seen)
    else spoil(fault, outgoing)
  })
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined)
  })

  function pass(incoming: IncomingMessage, outgoing: ServerResponse, { path, query }: SeenRequest): void {
    const { host: _, ...headers } = incoming.headers
    const { method } = incoming
    const up = forward(upstream.server + (incoming.url ?? ''), { agent, method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      outgoing.flushHeaders()
      if (query.get('watch') === 'true') watches.set(outgoing, { path, mute: () => answer.unpipe(outgoing).resume() })
      answer.on('error', () => outgoing.destroy()).pipe(outgoing)
    })
    up.on('error', () => outgoing.destroy())
    outgoing.on('close', () => {
      watches.delete(outgoing)
      up.destroy()
    })
    incoming.pipe(up)
  }

  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy()
  }
  const up = (): Promise<void> =>
    new Promise((done) => {
      server.listen(port, '127.0.0.1', () => {
        port = (server.address() as AddressInfo).port
        done()
      })
    })
  const down = (): Promise<void> =>
    new Promise((done) => {
      server.close(() => done())
      cut()
    })
  await up()

  const proxy: ApiProxy = {
    url: `http://127.0.0.1:${port}`,
    seen: [],
    fault: () => undefined,
    cut,
    mute: () => {
      for (const { mute } of watches.values()) mute()
    },
    down,
    up,
    say: (path, line) => {
      const open = [...watches].filter(([, watch]) => watch.path === path)
      for (const [response] of open) response.write(`${line}\n`)
      return open.length
    },
    close: async () => {
      if (server.listening) await down()
      agent.destroy()
    },
  }
  return proxy
}

function sight({ method = '', url = '', headers }: IncomingMessage): SeenRequest {
  const { pathname, searchParams } = new URL(url, 'http://proxy')
  return {
    method,
    path: pathname,
    query: searchParams,
    authorization: headers.authorization ?? '',
    at: performance.now(),
  }
}

function spoil(fault: Fault, outgoing: ServerResponse): void {
  switch (fault.kind) {
    case 'answer':
      outgoing.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers })
      outgoing.end(JSON.stringify(fault.body ?? { kind: 'Status', code: fault.status, message: 'spoiled' }))
      return
    case 'hang':
      return
    case 'cut':
      outgoing.socket?.resetAndDestroy()
      return
  }
}
