import { readFile, readdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { freePorts, listening, startInFolder } from './program.ts'
import { send } from './send.ts'
import { needed } from './tools.ts'
import type { ToolName } from './tools.ts'

/** The ways of putting Gatehouse behind a proxy that `deploy/proxies` has an example of. */
export type ProxyName = 'envoy-grpc' | 'envoy-http' | 'nginx' | 'haproxy' | 'caddy' | 'traefik'

/** Where the proxy's neighbours are. */
export interface Neighbours {
  readonly grpcPort: number
  readonly httpPort: number
  readonly backendPort: number
}

/** A real proxy in front of a backend. */
export interface Proxy {
  readonly port: number
  readonly output: () => string
  readonly stop: () => Promise<void>
}

interface Row {
  readonly tool: ToolName
  readonly folder: string
  readonly args: readonly string[]
}

const envoyFlags = ['--disable-hot-restart', '--concurrency', '1', '-l', 'warning'] as const

export const proxies: Readonly<Record<ProxyName, Row>> = {
  'envoy-grpc': { tool: 'envoy', folder: 'envoy', args: ['-c', 'grpc.yaml', ...envoyFlags] },
  'envoy-http': { tool: 'envoy', folder: 'envoy', args: ['-c', 'http.yaml', ...envoyFlags] },
  nginx: { tool: 'nginx', folder: 'nginx', args: ['-p', '.', '-c', 'nginx.conf', '-e', 'stderr', '-g', 'daemon off;'] },
  haproxy: { tool: 'haproxy', folder: 'haproxy', args: ['-f', 'haproxy.cfg', '-db'] },
  caddy: { tool: 'caddy', folder: 'caddy', args: ['run', '--config', 'Caddyfile', '--adapter', 'caddyfile'] },
  traefik: { tool: 'traefik', folder: 'traefik', args: ['--configFile=traefik.yaml'] },
}

const examples = resolve(import.meta.dirname, '../../deploy/proxies')

/** The ports of the examples, which are what a user has who changes nothing. */
const defaults = { gateway: 10_000, envoyAdmin: 9901, backend: 8000, grpc: 9001, http: 9002 } as const

/** Starts a proxy with its example configuration from `deploy/proxies`; nothing but the ports is changed. */
export async function startProxy(name: ProxyName, { grpcPort, httpPort, backendPort }: Neighbours): Promise<Proxy> {
  const row = proxies[name]
  const found = await needed(row.tool)
  const [port = 0, admin = 0] = await freePorts(2)
  const ports = new Map<string, number>([
    [String(defaults.gateway), port],
    [String(defaults.envoyAdmin), admin],
    [String(defaults.backend), backendPort],
    [String(defaults.grpc), grpcPort],
    [String(defaults.http), httpPort],
  ])
  const program = await startInFolder(async (path) => {
    for (const file of await readdir(join(examples, row.folder))) {
      const text = await readFile(join(examples, row.folder, file), 'utf8')
      await writeFile(join(path, file), moved(text, ports))
    }
    return {
      tool: { command: found.command, env: { ...found.env, HOME: path, XDG_DATA_HOME: path } },
      args: row.args,
      ready: (_, signal) => serving(port, signal),
    }
  })
  return { port, ...program }
}

/** Only where a number is an address's port: a limit may be the same number. */
const moved = (text: string, ports: ReadonlyMap<string, number>): string =>
  text.replace(/(127\.0\.0\.1:|gatehouse:|:\/\/:|port_value: )(\d+)\b/g, (whole, before: string, at: string) => {
    const to = ports.get(at)
    return to === undefined ? whole : `${before}${to}`
  })

/** Traefik listens before it has read its routes: until then, whatever one asks for is unknown. */
async function serving(port: number, signal: AbortSignal): Promise<void> {
  await listening(port, signal)
  for (;;) {
    if (signal.aborted) return
    const { status } = await send({ port, path: '/open/ready' })
    if (status === 200) return
    await new Promise((done) => setTimeout(done, 25))
  }
}
