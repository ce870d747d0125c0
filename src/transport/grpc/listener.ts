import { createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { Duplex } from 'node:stream'
import { createServer as createTlsServer } from 'node:tls'
import { readTls, tlsPolicy, watchTls } from './tls.ts'
import type { TlsFiles } from './tls.ts'

/** Where a server is to listen. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

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
 * Opens the listener; rejects with one sentence where the address or the certificate cannot be used. It is ours and not grpc-js's so that
 * connections can be counted and refused, and certificates and client CA replaced while it runs.
 */
export async function openListener(parts: ListenerParts): Promise<Listener> {
  const { server, close } = parts.tls === undefined ? plain(parts) : await secured(parts, parts.tls)
  server.maxConnections = parts.maxConnections
  try {
    await listening(server, parts.listen)
  } catch (cause) {
    close()
    throw cause
  }
  const { address, port } = server.address() as AddressInfo
  return {
    address: { host: address, port },
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

function listening(server: Server, { host, port }: Endpoint): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const reason = new Error(`gRPC cannot listen on ${host}:${port} (${cause.code}).`, { cause })
      // By its code the operator is told the same as of every other listener.
      reject(Object.assign(reason, { code: cause.code }))
    })
    server.listen({ host, port }, () => {
      server.removeAllListeners('error')
      server.on('error', () => undefined) // accept errors (EMFILE): the next connection is tried again
      resolve()
    })
  })
}
