import type { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

// An import would evaluate every export of the module, its WebSocket client among them.
const { createServer } = process.getBuiltinModule('node:http')

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

interface Reply {
  readonly status: number
  readonly type: string
  readonly body: string
}

/**
 * Opens the admin listener, which tells how Gatehouse is and nothing about what it holds. `/healthz` never depends on anything
 * outside of the process: a restart would mend none of it. Three fixed paths need no framework, which would take longer to load than
 * all that is served here.
 */
export async function createAdmin({ listen, ready, registry }: AdminOptions): Promise<Admin> {
  const pages = new Map<string, () => Reply | Promise<Reply>>([
    ['/healthz', () => text(200, 'ok\n')],
    ['/readyz', () => readiness(ready())],
    ['/metrics', () => metricsOf(registry)],
  ])
  const server = createServer((incoming, outgoing) => {
    const reads = incoming.method === 'GET' || incoming.method === 'HEAD'
    const page = reads ? pages.get((incoming.url ?? '').replace(/\?.*$/s, '')) : undefined
    const reply = page === undefined ? text(404, 'not found\n') : page()
    if (reply instanceof Promise) void reply.then((late) => write(outgoing, late))
    else write(outgoing, reply)
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen({ ...listen }, resolve))
  server.removeAllListeners('error').on('error', () => undefined) // accept failed (EMFILE): the next one is tried again
  const { address, port } = server.address() as AddressInfo
  return {
    address: { host: address, port },
    close: () =>
      new Promise((done) => {
        server.close(() => done())
        server.closeAllConnections()
      }),
  }
}

const text = (status: number, body: string): Reply => ({ status, type: 'text/plain; charset=utf-8', body })

const json = (status: number, value: object): Reply => ({
  status,
  type: 'application/json; charset=utf-8',
  body: JSON.stringify(value),
})

function readiness({ policies, draining }: ReturnType<AdminOptions['ready']>): Reply {
  const missing = [...(policies ? [] : ['policies']), ...(draining ? ['draining'] : [])]
  return json(missing.length === 0 ? 200 : 503, { ready: missing.length === 0, missing })
}

const metricsOf = (registry: MetricsText): Promise<Reply> =>
  registry.metrics().then(
    (body) => ({ status: 200, type: registry.contentType, body }),
    () => json(500, { error: 'the metrics cannot be collected' }),
  )

/** Node leaves the body out of the answer to a HEAD. */
function write(outgoing: ServerResponse, { status, type, body }: Reply): void {
  outgoing.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) }).end(body)
}
