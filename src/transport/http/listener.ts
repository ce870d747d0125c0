import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { listening } from '../listening.ts'
import type { Endpoint } from '../listening.ts'
import { readTls, tlsPolicy, watchTls } from '../grpc/tls.ts'
import type { TlsFiles } from '../grpc/tls.ts'

export interface HttpSocketParts {
  readonly listen: Endpoint
  readonly tls: TlsFiles | undefined
  /** Told when changed TLS files cannot be used; those in force stay. */
  readonly tlsRefused?: ((reason: Error) => void) | undefined
  readonly connected: (socket: Socket) => void
  /** More connections than this are not even shaken hands with. */
  readonly most: number
}

/** A listening socket. */
export interface HttpSocket {
  readonly address: Endpoint
  /** Takes no more connections. */
  readonly refuse: () => void
}

/** Opens the socket of an HTTP listener, in the clear or over TLS with either version of HTTP; rejects with the system's own error. */
export async function openSocket(parts: HttpSocketParts): Promise<HttpSocket> {
  const { listen, tls, connected, most } = parts
  const { server, close } =
    tls === undefined
      ? // A client may end its half after a request and still wait for the answer.
        { server: createServer({ noDelay: true, allowHalfOpen: true }, connected), close: () => undefined }
      : await secured(tls, parts)
  server.maxConnections = most
  const address = await listening(server, listen).catch((cause: unknown) => {
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

async function secured(
  files: TlsFiles,
  { connected, tlsRefused }: HttpSocketParts,
): Promise<{ server: Server; close: () => void }> {
  const mutual = files.clientCa !== undefined
  const policy = { ...tlsPolicy, ALPNProtocols: ['h2', 'http/1.1'] }
  const clients = { requestCert: mutual, rejectUnauthorized: mutual }
  const material = await readTls(files)
  const server = createTlsServer({ ...policy, ...clients, noDelay: true, allowHalfOpen: true, ...material }, connected)
  server.on('tlsClientError', () => undefined) // the handshake failed: the socket is closed already
  const watch = watchTls(files, material, {
    changed: (renewed) => server.setSecureContext({ ...policy, ...renewed }),
    refused: (reason) => tlsRefused?.(reason),
  })
  return { server, close: watch.close }
}
