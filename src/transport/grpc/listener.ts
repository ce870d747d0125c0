import { createServer } from 'node:net'
import type { Server } from 'node:net'
import { Duplex } from 'node:stream'
import { createServer as createTlsServer } from 'node:tls'
import { listening } from '../listening.ts'
import type { Endpoint } from '../listening.ts'
import { readTls, tlsPolicy, watchTls } from './tls.ts'
import type { TlsFiles } from './tls.ts'

/** A listening socket that hands on its connections, in the clear or after the handshake. */
export interface Listener {
  readonly address: Endpoint
  /** Takes no more connections; those that are open stay open. */
  readonly refuse: () => void
}

/** What a listener is made of. */
export interface ListenerParts {
  readonly listen: Endpoint
  readonly tls?: TlsFiles | undefined
  readonly maxConnections: number
  /** `peer` is the address at the other end; undefined where it is gone already. */
  readonly connected: (connection: Duplex, peer: string | undefined) => void
  /** Told when changed TLS files cannot be used. */
  readonly tlsRefused?: ((reason: Error) => void) | undefined
}

/**
 * Opens the listener; rejects where the address or the certificate cannot be used. It is ours and not grpc-js's so that
 * connections can be counted and refused, and certificates and client CA replaced while it runs.
 */
export async function openListener(parts: ListenerParts): Promise<Listener> {
  const { server, close } = parts.tls === undefined ? plain(parts) : await secured(parts, parts.tls)
  server.maxConnections = parts.maxConnections
  const address = await listening(server, parts.listen).catch((cause: unknown) => {
    close()
    throw cause
  })
  return {
    address,
    refuse() {
      server.close()
      close()
    },
  }
}

interface Opened {
  readonly server: Server
  readonly close: () => void
}

const plain = ({ connected }: ListenerParts): Opened => ({
  server: createServer({ noDelay: true }, (socket) => connected(socket, socket.remoteAddress)),
  close: () => undefined,
})

async function secured({ connected, tlsRefused }: ListenerParts, files: TlsFiles): Promise<Opened> {
  const mutual = files.clientCa !== undefined
  const clients = { requestCert: mutual, rejectUnauthorized: mutual }
  const options = { ...tlsPolicy, ...clients, noDelay: true }
  const material = await readTls(files)
  const server = createTlsServer({ ...options, ...material }, (socket) => {
    // A stream of its own: HTTP/2 would write past the socket into its TLS engine, which aborts the process when two writes meet
    // there, and one of them is the notice of a drain. It also takes HTTP/2 from gateways that send no ALPN, as Envoy by default.
    connected(Duplex.from({ readable: socket, writable: socket }), socket.remoteAddress)
  })
  server.on('tlsClientError', () => undefined) // the handshake failed: the socket is closed already
  const watch = watchTls(files, material, {
    // A new context has new ticket keys, so no session of the old client CA can be resumed.
    changed: (renewed) => server.setSecureContext({ ...tlsPolicy, ...renewed }),
    refused: (reason) => tlsRefused?.(reason),
  })
  return { server, close: watch.close }
}
