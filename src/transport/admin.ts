import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { listening } from './listening.ts'
import type { Endpoint } from './listening.ts'

/** What `/metrics` is made of; prom-client's Registry is one. */
export interface MetricsText {
  readonly contentType: string
  readonly metrics: () => Promise<string>
}

export interface AdminOptions {
  readonly listen: Endpoint
  /** `policies`: a whole snapshot is in force. `draining`: no more checks should come. */
  readonly ready: () => { readonly policies: boolean; readonly draining: boolean }
  readonly registry: MetricsText
}

export interface Admin {
  readonly address: Endpoint
  readonly close: (graceMillis: number) => Promise<void>
}

/** Longer than Prometheus waits between two questions (a minute), so that it is not we who hang up on the second. */
const idleMillis = 75_000

interface Page {
  readonly status: 200 | 404 | 500 | 503
  readonly type: string
  readonly body: string
}

/**
 * Opens the admin listener, which tells how Gatehouse is and nothing about what it holds. `/healthz` never depends on anything
 * outside of the process: a restart would mend none of it. On Node's own server, as the listeners for checks: a framework for
 * three paths took a tenth of a start. Rejects with the system's own error.
 */
export async function createAdmin({ listen, ready, registry }: AdminOptions): Promise<Admin> {
  const pages = new Map<string, () => Page | Promise<Page>>([
    ['/healthz', () => plain(200, 'ok\n')],
    ['/readyz', () => readiness(ready())],
    ['/metrics', () => collected(registry)],
  ])
  const pageOf = ({ method, url = '' }: IncomingMessage): Page | Promise<Page> => {
    const [path = ''] = url.split('?', 1)
    const page = method === 'GET' || method === 'HEAD' ? pages.get(path) : undefined
    return page?.() ?? plain(404, 'not found\n')
  }
  const server = createServer({ keepAliveTimeout: idleMillis }, (request, response) => {
    void Promise.resolve(pageOf(request)).then(({ status, type, body }) =>
      response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) }).end(body),
    )
  })
  return {
    address: await listening(server, listen),
    close: async () => {
      const closed = new Promise<void>((done) => server.close(() => done()))
      server.closeAllConnections()
      await closed
    },
  }
}

const plain = (status: Page['status'], body: string): Page => ({ status, type: 'text/plain; charset=utf-8', body })

const json = (status: Page['status'], value: object): Page => ({
  status,
  type: 'application/json; charset=utf-8',
  body: JSON.stringify(value),
})

function readiness({ policies, draining }: ReturnType<AdminOptions['ready']>): Page {
  const missing = [...(policies ? [] : ['policies']), ...(draining ? ['draining'] : [])]
  const all = missing.length === 0
  return json(all ? 200 : 503, { ready: all, missing })
}

async function collected(registry: MetricsText): Promise<Page> {
  try {
    return { status: 200, type: registry.contentType, body: await registry.metrics() }
  } catch {
    return json(500, { error: 'the metrics cannot be collected' })
  }
}
