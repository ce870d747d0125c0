import type { LocalServer } from './local-server.ts'
import { bodyOf, httpServer, sendJson } from './local-server.ts'

/** One request as it arrived at the backend. */
export interface Seen {
  readonly method: string
  /** Raw target. */
  readonly url: string
  /** Names and values in turn, as node:http has them. */
  readonly rawHeaders: readonly string[]
  readonly body: string
}

/** A backend that answers every request with what it saw of it, and remembers it. */
export interface Backend extends Pick<LocalServer, 'port' | 'url' | 'close'> {
  readonly seen: Seen[]
  readonly requests: () => number
}

export async function startBackend(port = 0): Promise<Backend> {
  const seen: Seen[] = []
  const server = await httpServer((request, response) => {
    void bodyOf(request).then((body) => {
      const one = { method: request.method ?? '', url: request.url ?? '', rawHeaders: request.rawHeaders, body }
      seen.push(one)
      sendJson(response, one)
    })
  }, port)
  return { port: server.port, url: server.url, seen, requests: () => seen.length, close: server.close }
}

/** Every value of a header in one request, in the order of arrival; the name is compared without regard to case only. */
export const valuesOf = (seen: Pick<Seen, 'rawHeaders'> | undefined, name: string): string[] =>
  (seen?.rawHeaders ?? []).filter((_, at, all) => at % 2 === 1 && all[at - 1]?.toLowerCase() === name.toLowerCase())
