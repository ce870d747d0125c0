import { lookup as systemLookup } from 'node:dns'
import type { LookupAddress } from 'node:dns'
import type { LookupFunction } from 'node:net'
import type { Agent, Dispatcher, buildConnector } from 'undici'
import { createDialPolicy } from './dial-policy.ts'
import type { DialOptions, DialPolicy } from './dial-policy.ts'

/** One bounded exchange with an issuer. */
export interface HttpAsk {
  readonly url: string
  readonly method: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Most bytes of the answer that are read. */
  readonly maxBytes: number
  /** Milliseconds for the whole exchange: connect, headers and body. */
  readonly timeout: number
  readonly signal?: AbortSignal
}

/** What came back; the body is whole and valid UTF-8. */
export interface HttpAnswer {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

/** The only door to the network for issuers: no redirects, no compression, verified TLS, bounded bytes and time. */
export interface HttpClient {
  /** Rejects with an HttpFailure on anything but a whole answer of any status; the message names no secret. */
  readonly exchange: (ask: HttpAsk) => Promise<HttpAnswer>
  /** Why this address may not be called (not https, link-local …), or undefined. `http` is fine for loopback only. */
  readonly refuse: (url: string) => string | undefined
  readonly close: () => Promise<void>
}

/** How an exchange failed; `reset` may be a connection that the server had given up while it was idle. */
export type HttpFailureKind = 'refused' | 'timeout' | 'cancelled' | 'too-large' | 'bad-encoding' | 'reset' | 'network'

/** Why there is no answer: host and code only, never the path, the query, a header or what the server said. */
export class HttpFailure extends Error {
  readonly kind: HttpFailureKind
  constructor(kind: HttpFailureKind, host: string, detail: string) {
    super(`${host}: ${detail}`)
    this.name = 'HttpFailure'
    this.kind = kind
  }
}

export interface HttpClientOptions extends DialOptions {
  /** PEM certificates that are trusted instead of the system's. */
  readonly ca?: string
  /** Takes any certificate. For a laptop; there is a flag of this name and no other way. */
  readonly insecureSkipTlsVerify?: boolean
  /** Resolves names; the system's resolver by default. */
  readonly lookup?: (host: string) => Promise<readonly LookupAddress[]>
}

/** A client with connections of its own; close it once. */
export function createHttpClient(options: HttpClientOptions = {}): HttpClient {
  const policy = createDialPolicy(options)
  let agent: Promise<Agent> | undefined
  const started = (): Promise<Agent> => (agent ??= createAgent(options, policy))

  async function exchange(ask: HttpAsk): Promise<HttpAnswer> {
    const refusal = policy.url(ask.url)
    if (refusal !== undefined) throw new HttpFailure('refused', hostOf(ask.url), refusal)
    const deadline = new AbortController()
    const timer = setTimeout(() => deadline.abort(), ask.timeout)
    const signal = ask.signal === undefined ? deadline.signal : AbortSignal.any([deadline.signal, ask.signal])
    try {
      return await read(await unlessAborted(send(await started(), ask, signal), signal), ask, signal)
    } catch (error) {
      throw failure(error, ask, deadline.signal)
    } finally {
      clearTimeout(timer)
    }
  }

  /** Loading undici takes longer than an answer may, so it begins when a policy names the first address, and not with a request. */
  function refuse(url: string): string | undefined {
    const refusal = policy.url(url)
    if (refusal === undefined) started().catch(() => undefined) // the exchange is told why
    return refusal
  }
  return { exchange, refuse, close: async () => (await agent)?.destroy() }
}

async function createAgent(options: HttpClientOptions, policy: DialPolicy): Promise<Agent> {
  const undici = await import('undici')
  return new undici.Agent({
    connect: connector(undici.buildConnector, options, policy),
    connections: 64, // per origin: a hanging server cannot eat our sockets
    pipelining: 1,
    keepAliveTimeout: 4000,
    maxHeaderSize: 16_384,
    allowH2: false,
  })
}

/** undici hears of an abort only once it is connected: a resolver or a server that says nothing would hold the caller for seconds. */
async function unlessAborted(
  sent: Promise<Dispatcher.ResponseData>,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  const left = Promise.withResolvers<never>()
  const leave = (): void => left.reject(new Error('aborted'))
  signal.addEventListener('abort', leave, { once: true })
  if (signal.aborted) leave()
  // An answer after all is nobody's, and its connection is given up with it.
  sent.then(
    ({ body }) => signal.aborted && body.on('error', () => undefined).destroy(),
    () => undefined,
  )
  try {
    return await Promise.race([sent, left.promise])
  } finally {
    signal.removeEventListener('abort', leave)
  }
}

/** Dials only addresses that were judged: the resolver's answer is checked and then used, so that it cannot change between. */
function connector(
  build: typeof buildConnector,
  options: HttpClientOptions,
  policy: DialPolicy,
): buildConnector.connector {
  const resolve = options.lookup ?? systemResolve
  const connect = (scheme: string): buildConnector.connector =>
    build({
      allowH2: false,
      maxCachedSessions: 0, // a resumed session skips the certificate, so every connection starts anew
      timeout: 5000,
      rejectUnauthorized: options.insecureSkipTlsVerify !== true, // said aloud: the environment cannot turn it off
      minVersion: 'TLSv1.2',
      ...(options.ca === undefined ? {} : { ca: options.ca }),
      lookup: checkedLookup(resolve, (address) => policy.address(address, scheme)),
    })
  const plain = connect('http:')
  const secure = connect('https:')
  return (target, done) => (target.protocol === 'https:' ? secure(target, done) : plain(target, done))
}

const systemResolve = (host: string): Promise<readonly LookupAddress[]> =>
  new Promise((done, fail) => {
    systemLookup(host, { all: true }, (error, found) => (error === null ? done(found) : fail(error)))
  })

/** One bad address spoils the whole answer: a resolver that mixes public and private ones is rebinding (INT-24). */
const checkedLookup =
  (resolve: NonNullable<HttpClientOptions['lookup']>, judge: (address: string) => string | undefined): LookupFunction =>
  (host, { all }, done) => {
    resolve(host).then(
      (found) => {
        const refusal = found.map(({ address }) => judge(address)).find((why) => why !== undefined)
        const [first] = found
        if (refusal !== undefined) done(new Refusal(refusal), '', 4)
        else if (first === undefined) done(Object.assign(new Error('no address'), { code: 'ENOTFOUND' }), '', 4)
        else if (all === true) done(null, [...found])
        else done(null, first.address, first.family)
      },
      (error: NodeJS.ErrnoException) => done(error, '', 4),
    )
  }

class Refusal extends Error {}

const send = (agent: Agent, ask: HttpAsk, signal: AbortSignal): Promise<Dispatcher.ResponseData> => {
  const { origin, pathname, search } = new URL(ask.url)
  return agent.request({
    origin,
    path: pathname + search,
    method: ask.method,
    headers: { 'user-agent': 'gatehouse', ...ask.headers, 'accept-encoding': 'identity' },
    body: ask.body ?? null,
    signal,
    headersTimeout: 0, // one clock for everything: ours
    bodyTimeout: 0,
  })
}

async function read(response: Dispatcher.ResponseData, ask: HttpAsk, signal: AbortSignal): Promise<HttpAnswer> {
  const headers = new Map(
    Object.entries(response.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(', ') : `${value}`,
    ]),
  )
  const stop = (kind: HttpFailureKind, detail: string): HttpFailure => {
    response.body.on('error', () => undefined).destroy()
    return new HttpFailure(kind, hostOf(ask.url), detail)
  }
  const encoding = headers.get('content-encoding')
  // We asked for none; whatever would have to be unpacked could unpack to anything (CVE-2026-22036).
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity')
    throw stop('bad-encoding', 'sent a compressed answer')
  if (Number(headers.get('content-length') ?? 0) > ask.maxBytes) throw stop('too-large', 'sent too large an answer')
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    signal.throwIfAborted()
    size += chunk.length
    if (size > ask.maxBytes) throw stop('too-large', 'sent too large an answer')
    chunks.push(chunk)
  }
  try {
    const body = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks))
    return { status: response.statusCode, headers, body }
  } catch {
    throw new HttpFailure('bad-encoding', hostOf(ask.url), 'sent an answer that is not UTF-8')
  }
}

const resets = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'])

function failure(error: unknown, ask: HttpAsk, deadline: AbortSignal): HttpFailure {
  if (error instanceof HttpFailure) return error
  const host = hostOf(ask.url)
  if (ask.signal?.aborted === true) return new HttpFailure('cancelled', host, 'the exchange was cancelled')
  if (deadline.aborted) return new HttpFailure('timeout', host, `no whole answer within ${ask.timeout} ms`)
  if (error instanceof Refusal) return new HttpFailure('refused', host, error.message)
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'UNKNOWN'
  return new HttpFailure(resets.has(code) ? 'reset' : 'network', host, code)
}

const hostOf = (url: string): string => (URL.canParse(url) ? new URL(url).host : 'an unreadable address')
