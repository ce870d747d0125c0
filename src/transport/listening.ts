import type { AddressInfo, Server } from 'node:net'

/** Where a server is to listen, or listens. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** Has a server listen, and tells where it does; rejects with the system's own error. It outlives every failure to accept. */
export async function listening(server: Server, { host, port }: Endpoint): Promise<Endpoint> {
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen({ host, port }, resolve))
  server.removeAllListeners('error').on('error', () => undefined) // accept failed (EMFILE): the next one is tried again
  const bound = server.address() as AddressInfo
  return { host: bound.address, port: bound.port }
}
