import type { Dispatcher } from 'undici'
import type { Access, ClusterAccess } from './cluster-access.ts'
import { KubeError, networkError, statusError } from './kube-error.ts'

/** One call of the API. */
export interface Ask {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>
  readonly body?: unknown
  /** Of the body; JSON where nothing is said. */
  readonly contentType?: string
  readonly signal?: AbortSignal | undefined
}

/** Milliseconds and bytes that a whole answer may take. */
const patience = 30_000
const mostBytes = 64 * 1024 * 1024

/** Calls and reads the whole answer; rejects with a KubeError on anything but success. */
export async function exchange(access: ClusterAccess, ask: Ask): Promise<unknown> {
  const deadline = AbortSignal.timeout(patience)
  const signal = ask.signal === undefined ? deadline : AbortSignal.any([deadline, ask.signal])
  try {
    const response = await open(access, { ...ask, signal }, ({ calls }) => calls)
    const text = await readAll(response.body)
    return text === '' ? undefined : (JSON.parse(text) as unknown)
  } catch (cause) {
    if (deadline.aborted) throw new KubeError(0, 'Timeout', `no whole answer within ${patience} ms`)
    throw networkError(cause)
  }
}

/** Calls and leaves the body to be read. Credentials that the server does not take are read anew, once. */
export async function open(
  access: ClusterAccess,
  ask: Ask & { readonly bodyTimeout?: number },
  over: (access: Access) => Dispatcher,
): Promise<Dispatcher.ResponseData> {
  for (let attempt = 1; ; attempt += 1) {
    const current = await access.current()
    const response = await over(current).request(request(current, ask))
    if (response.statusCode < 300) return response
    const text = await readAll(response.body)
    // A token that was rotated since we read it (REL-12).
    if (response.statusCode === 401 && attempt === 1 && access.renew()) continue
    const { 'retry-after': retryAfter } = response.headers
    throw statusError(response.statusCode, parsed(text), typeof retryAfter === 'string' ? retryAfter : undefined)
  }
}

function request(
  { origin, prefix, headers }: Access,
  ask: Parameters<typeof open>[1],
): Dispatcher.RequestOptions & { origin: string } {
  const query = Object.entries(ask.query ?? {}).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as [string, string]],
  )
  const search = query.length === 0 ? '' : `?${new URLSearchParams(query).toString()}`
  const type = ask.body === undefined ? {} : { 'content-type': ask.contentType ?? 'application/json' }
  return {
    origin,
    path: prefix + ask.path + search,
    method: ask.method,
    headers: { ...headers, ...type },
    body: ask.body === undefined ? null : JSON.stringify(ask.body),
    ...(ask.signal === undefined ? {} : { signal: ask.signal }),
    ...(ask.bodyTimeout === undefined ? {} : { bodyTimeout: ask.bodyTimeout }),
  }
}

async function readAll(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > mostBytes) throw new KubeError(0, 'TooLarge', `an answer of more than ${mostBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // a proxy's own page
  }
}
