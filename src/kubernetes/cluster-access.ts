import { createHash } from 'node:crypto'
import type { AgentOptions, RequestOptions } from 'node:https'
import type { ConnectionOptions } from 'node:tls'
import type { KubeConfig } from '@kubernetes/client-node'
import { Agent, ProxyAgent } from 'undici'
import type { Dispatcher } from 'undici'
import { KubeError, networkError } from './kube-error.ts'

/** What a call needs: where to, as whom, and over which connections. */
export interface Access {
  readonly origin: string
  /** Path in front of every other: servers behind Rancher and the like have one. */
  readonly prefix: string
  readonly headers: Readonly<Record<string, string>>
  readonly calls: Dispatcher
  /** For watches: as many connections as there are watches, so that none waits for another. */
  readonly streams: Dispatcher
}

/** The configuration of a cluster and its credentials, read again as they are rotated. */
export interface ClusterAccess {
  readonly current: () => Promise<Access>
  /** Has everything read anew because the server refused us; false where that was done a moment ago. */
  readonly renew: () => boolean
  readonly close: () => Promise<void>
}

export interface ClusterAccessOptions {
  readonly load: () => KubeConfig | Promise<KubeConfig>
  readonly ticks: () => number
}

interface Connections {
  readonly print: string
  readonly calls: Dispatcher
  readonly streams: Dispatcher
}

/** Certificates, keys and tokens are files that a kubelet rewrites: what was read is trusted for this many milliseconds. */
const trusted = 10_000
const betweenRenewals = 1000

/**
 * The configuration and its authenticators are client-node's; connections are our own, because its `applySecurityAuthentication`
 * makes an agent for each call, and with it a TLS handshake.
 */
export function createClusterAccess({ load, ticks }: ClusterAccessOptions): ClusterAccess {
  let config: KubeConfig | undefined
  let connections: Connections | undefined
  let access: Promise<Access> | undefined
  let readAt = -Infinity
  let renewedAt = -Infinity
  let closed = false

  async function read(): Promise<Access> {
    config ??= await load()
    const cluster = config.getCurrentCluster()
    if (cluster === null || !URL.canParse(cluster.server)) throw noCluster
    const options: RequestOptions = {}
    await config.applyToHTTPSOptions(options)
    if (closed) throw new KubeError(0, 'Closed', 'the client is closed')
    const reach = config.createDispatcherOptions(cluster, tlsOf(options))
    const print = digest([cluster.server, reach])
    if (connections?.print !== print) {
      // Calls and watches that run over the old ones may end; nothing new goes there.
      const old = connections
      connections = { print, ...connect(reach) }
      void Promise.all([old?.calls.close(), old?.streams.close()])
    }
    const { origin, pathname } = new URL(cluster.server)
    const { calls, streams } = connections
    return { origin, prefix: pathname.replace(/\/+$/, ''), headers: headersOf(options), calls, streams }
  }

  return {
    current: () => {
      if (access === undefined || ticks() - readAt > trusted) {
        readAt = ticks()
        access = read().catch((cause: unknown) => {
          readAt = -Infinity // the next call reads again
          throw networkError(cause)
        })
      }
      return access
    },
    renew: () => {
      if (ticks() - renewedAt < betweenRenewals) return false
      renewedAt = ticks()
      readAt = -Infinity
      config = undefined // its authenticators would keep the old token for a minute
      return true
    },
    close: async () => {
      closed = true
      await Promise.all([connections?.calls.destroy(), connections?.streams.destroy()])
    },
  }
}

const noCluster = new KubeError(0, 'NoCluster', 'the kubeconfig names no cluster')

type Reach = ReturnType<KubeConfig['createDispatcherOptions']>

// One broken connection takes one watch with it, not all of them: HTTP/1.1.
const plain = { allowH2: false, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 } as const
// Far more at once than the 20 calls a second that other clients allow themselves, but not one per request of a storm. The API
// server gives up idle connections after 90 s.
const pool = { ...plain, connections: 64, keepAliveTimeout: 30_000, keepAliveMaxTimeout: 60_000 } as const
// A peer that vanished without a word is found by TCP's own probes, which begin after 3 s of silence.
const dial = { timeout: 3000, keepAlive: true, keepAliveInitialDelay: 3000, allowH2: false } as const

function connect(reach: Reach): Omit<Connections, 'print'> {
  switch (reach.type) {
    case 'none':
      return direct(dial)
    case 'agent':
      return direct({ ...reach.connect, ...dial })
    case 'proxy': {
      const through = { uri: reach.uri, requestTls: { ...reach.requestTls, ...dial } as typeof dial, proxyTls: dial }
      return { calls: new ProxyAgent({ ...pool, ...through }), streams: new ProxyAgent({ ...plain, ...through }) }
    }
    case 'socks':
      throw new KubeError(0, 'SocksProxy', 'the kubeconfig names a SOCKS proxy, which is not supported')
  }
}

function direct(options: ConnectionOptions & typeof dial): Omit<Connections, 'print'> {
  const connect = options as typeof dial // undici and node name the same TLS options differently
  return { calls: new Agent({ ...pool, connect }), streams: new Agent({ ...plain, connect }) }
}

/** What TLS needs of it. Said aloud where the certificate is to be verified, so that the environment cannot turn it off. */
function tlsOf(options: RequestOptions): AgentOptions {
  const { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized = true } = options
  const given = Object.entries({ ca, cert, key, pfx, passphrase, servername }).filter(
    ([, value]) => value !== undefined,
  )
  return { ...(Object.fromEntries(given) as AgentOptions), rejectUnauthorized }
}

function headersOf({ headers, auth }: RequestOptions): Readonly<Record<string, string>> {
  const given = Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), String(value).trim()])
  const basic = typeof auth === 'string' ? { authorization: `Basic ${Buffer.from(auth).toString('base64')}` } : {}
  return { 'user-agent': 'gatehouse', accept: 'application/json', ...basic, ...Object.fromEntries(given) }
}

const digest = (parts: unknown): string => createHash('sha256').update(JSON.stringify(parts)).digest('base64')
