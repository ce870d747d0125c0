import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Engine } from '../../engine/engine.ts'
import type { TlsFiles } from '../grpc/tls.ts'
import type { Endpoint } from '../listening.ts'
import { trustedSources } from '../trusted-sources.ts'
import { answering } from './answering.ts'
import type { Answering } from './answering.ts'
import { discardBody, hasBody } from './body.ts'
import { createConnections } from './connections.ts'
import type { Connections } from './connections.ts'
import { createHttp1, tunnelRefused } from './http1.ts'
import type { Http1Request } from './http1-request.ts'
import { createHttp2 } from './http2.ts'
import { httpLimits } from './limits.ts'
import { openSocket } from './listener.ts'
import { malformedRecords } from './malformed.ts'
import type { Serve } from './protocol.ts'
import { switchProtocol } from './protocol-switch.ts'
import { write } from './writer.ts'

export interface HttpListenerOptions {
  readonly engine: Engine
  /** `keyed`: the path names the rule, or is refused. `matching`: any path is the client's own. Never both on one port. */
  readonly kind: 'keyed' | 'matching'
  readonly listen: Endpoint
  readonly tls?: TlsFiles | undefined
  /** Told when changed TLS files cannot be used; those in force stay. */
  readonly tlsRefused?: ((reason: Error) => void) | undefined
  /** Addresses and CIDR blocks whose forwarded headers are believed. */
  readonly trustedProxies: readonly string[]
  /** Longest time for an answer. */
  readonly budgetMillis?: number
  /** Most connections at a time; for tests. */
  readonly connections?: number
}

/** A listening HTTP server. */
export interface HttpListener {
  readonly address: Endpoint
  /** Ends without breaking off an answer, unless it takes longer than the grace. */
  readonly close: (graceMillis: number) => Promise<void>
}

/**
 * Opens an HTTP listener: HTTP/1.1 and HTTP/2 on one port, in the clear or over TLS. On Node's own servers: a framework's router
 * decodes paths and knows methods, and here every method and the very bytes of the target are what is judged (GATEWAYS.md §1, R1).
 */
export async function createHttpListener(options: HttpListenerOptions): Promise<HttpListener> {
  const { engine, kind, listen, tls, tlsRefused, trustedProxies, budgetMillis = 1000 } = options
  const most = options.connections ?? httpLimits.connections
  const answer = answering({ engine, kind, trusts: trustedSources(trustedProxies), budgetMillis })
  const connections = createConnections(most)
  const state = { ending: false, ended: false }
  const serve = serving({ answer, connections, state })
  const malformed = malformedRecords(engine, kind)
  const one = createHttp1({ serve, connections, malformed, refuseTunnel: tunnelRefusal(answer) })
  const two = createHttp2(serve)
  const protocols = { http1: one.take, http2: two.take, patienceMillis: httpLimits.headMillis }
  const connected = (socket: Socket): void => {
    socket.on('error', () => undefined) // a peer that goes away is no event; its requests are cancelled
    if (!state.ended && connections.admit(socket)) switchProtocol(socket, protocols)
    else socket.destroy()
  }
  const { address, refuse } = await openSocket({ listen, tls, tlsRefused, connected, most: most * 2 })
  return {
    address,
    async close(graceMillis) {
      refuse()
      state.ending = true
      two.announceEnd()
      const until = performance.now() + graceMillis
      await emptied(connections, Math.min(lingerMillis, graceMillis / 2))
      two.end()
      for (const socket of connections.idle()) if (!two.speaks(socket)) socket.destroySoon()
      await emptied(connections, until - performance.now())
      state.ended = true // a TLS handshake may still be under way
      connections.destroy()
      one.close()
      two.close()
    },
  }
}

/** A connection is asked to end by the answer to its next request; for this long we wait for one before we hang up on idle ones. */
const lingerMillis = 500

async function emptied(connections: Connections, millis: number): Promise<void> {
  const until = performance.now() + millis
  while (connections.open() > 0 && performance.now() < until) await sleep(5)
}

interface Serving {
  readonly answer: Answering
  readonly connections: Connections
  readonly state: { readonly ending: boolean }
}

const serving =
  ({ answer, connections, state }: Serving): Serve =>
  (incoming, head, outgoing, socket) => {
    let cancelled: AbortController | undefined
    const connection = connections.began(socket)
    outgoing.on('close', () => {
      connections.ended(connection)
      if (!outgoing.headersSent) cancelled?.abort() // gone before the answer
    })
    if (!('stream' in incoming)) {
      // Whoever waits for a 100 that never comes may send the body or not: the connection is no good afterwards.
      const expecting = head.headers.has('expect')
      if (state.ending || expecting) Object.assign(outgoing, { shouldKeepAlive: false })
    }
    const answered = answer(incoming, head, () => (cancelled = new AbortController()).signal)
    if (hasBody(incoming, head)) discardBody(incoming, Promise.resolve(answered))
    if (answered instanceof Promise) void answered.then((reply) => write(outgoing, reply))
    else write(outgoing, answered)
  }

/** Judged for the record, but whatever the judgement is there is one answer. */
const tunnelRefusal =
  (answer: Answering) =>
  (incoming: Http1Request, socket: Duplex): void => {
    socket.on('error', () => undefined)
    const refuse = (): void => void socket.end(tunnelRefused, () => socket.destroy())
    void Promise.resolve(answer(incoming, incoming.head, () => new AbortController().signal)).then(refuse)
  }
