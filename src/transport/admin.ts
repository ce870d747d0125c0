import type { AddressInfo } from 'node:net'
import { fastify } from 'fastify'
import type { FastifyReply } from 'fastify'

/** What `/metrics` is made of; prom-client's Registry is one. */
export interface MetricsText {
  readonly contentType: string
  readonly metrics: () => Promise<string>
}

export interface AdminOptions {
  readonly listen: { readonly host: string; readonly port: number }
  /** `policies`: a whole snapshot is in force. `draining`: no more checks should come. */
  readonly ready: () => { readonly policies: boolean; readonly draining: boolean }
  readonly registry: MetricsText
}

export interface Admin {
  readonly address: { readonly host: string; readonly port: number }
  readonly close: (graceMillis: number) => Promise<void>
}

/**
 * Opens the admin listener, which tells how Gatehouse is and nothing about what it holds. `/healthz` never depends on anything
 * outside of the process: a restart would mend none of it.
 */
export async function createAdmin({ listen, ready, registry }: AdminOptions): Promise<Admin> {
  const unknown = (reply: FastifyReply): void => {
    reply.code(404).type('text/plain; charset=utf-8').send('not found\n')
  }
  const app = fastify({
    logger: false,
    forceCloseConnections: true,
    frameworkErrors: (_, __, reply) => unknown(reply), // Fastify's own errors quote the URL
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
  })
  app.get('/healthz', (_, reply) => {
    reply.type('text/plain; charset=utf-8').send('ok\n')
  })
  app.get('/readyz', (_, reply) => {
    const { policies, draining } = ready()
    const missing = [...(policies ? [] : ['policies']), ...(draining ? ['draining'] : [])]
    reply.code(missing.length === 0 ? 200 : 503).send({ ready: missing.length === 0, missing })
  })
  app.get('/metrics', (_, reply) => {
    registry.metrics().then(
      (text) => reply.type(registry.contentType).send(text),
      () => reply.code(500).send({ error: 'the metrics cannot be collected' }),
    )
  })
  app.setNotFoundHandler((_, reply) => unknown(reply))
  await app.listen({ host: listen.host, port: listen.port })
  app.server.on('error', () => undefined) // accept failed (EMFILE): the next one is tried again
  const { address, port } = app.server.address() as AddressInfo
  return { address: { host: address, port }, close: () => app.close() }
}

/** No path has a schema: without this, Fastify loads two compilers of them, which take longer to load than all the rest of it. */
function noSchemas(): never {
  throw new Error('the admin listener has no schemas')
}
