import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkPath } from '../../src/model/route.ts'
import type { RouteKey } from '../../src/model/route.ts'
import { freePorts, listening, startInFolder } from './program.ts'
import { needed } from './tools.ts'

/** What one listener of a test's Envoy guards: a rule that its configuration names, or whatever Gatehouse matches. */
export type Guard =
  { readonly kind: 'rule'; readonly key: RouteKey } | { readonly kind: 'match' } | { readonly kind: 'open' }

/** One route of a listener: a prefix by segments, and a method where another one has a rule of its own. */
export interface GuardedRoute {
  readonly prefix: string
  readonly method?: string
  readonly guard: Guard
}

export interface EnvoyOptions {
  readonly protocol: 'grpc' | 'http'
  /** One listener each: a guard for every path, or the routes of some. */
  readonly guards: readonly (Guard | readonly GuardedRoute[])[]
  /** Of the first listener; free ones are taken otherwise. */
  readonly port?: number
  /** Replicas of Gatehouse; checks go to all that their health check calls healthy. */
  readonly grpcPorts?: readonly number[]
  readonly httpPort?: number
  readonly matchingPort?: number
  readonly backendPort: number
  /** HTTP only: what is sent along beside Envoy's own five headers, and what is taken over from the answer (`every`: as gateways make of an empty list). */
  readonly allowedHeaders?: readonly string[]
  readonly allowedResponseHeaders?: readonly string[] | 'every'
  /** Envoy's own default is to leave paths alone. */
  readonly normalize?: boolean
  readonly encodeRawHeaders?: boolean
  readonly failureModeAllow?: boolean
}

export interface Envoy {
  /** Ports of the listeners, in the order of the guards. */
  readonly ports: readonly number[]
  readonly adminPort: number
  readonly output: () => string
  readonly stop: () => Promise<void>
}

/** A real Envoy for one test, with a listener for each guard. */
export async function startEnvoy(options: EnvoyOptions): Promise<Envoy> {
  const envoy = await needed('envoy')
  const [adminPort = 0, ...free] = await freePorts(options.guards.length + 1)
  const ports = free.map((port, index) => (index === 0 ? (options.port ?? port) : port))
  const program = await startInFolder(async (path) => {
    await writeFile(join(path, 'envoy.json'), JSON.stringify(configuration(options, adminPort, ports)))
    return {
      tool: envoy,
      args: ['-c', 'envoy.json', '--disable-hot-restart', '--concurrency', '1', '-l', 'warning'],
      ready: async (_, signal) => {
        for (const port of ports) await listening(port, signal)
      },
    }
  })
  return { ports, adminPort, ...program }
}

const typed = (name: string, fields: object): object => ({ '@type': `type.googleapis.com/envoy.${name}`, ...fields })
const at = (port: number): object => ({ socket_address: { address: '127.0.0.1', port_value: port } })
const exact = (names: readonly string[] = []): object => ({ patterns: names.map((name) => ({ exact: name })) })

function configuration(options: EnvoyOptions, adminPort: number, ports: readonly number[]): object {
  return {
    admin: { address: at(adminPort) },
    static_resources: {
      listeners: options.guards.map((guard, index) => listener(options, guard, ports[index] ?? 0)),
      clusters: [
        cluster('backend', [options.backendPort]),
        grpcCluster(options.grpcPorts ?? []),
        cluster('gatehouse_http', [options.httpPort ?? 1]),
        cluster('gatehouse_matching', [options.matchingPort ?? 1]),
      ],
    },
  }
}

function cluster(name: string, ports: readonly number[]): object {
  const endpoints = [{ lb_endpoints: ports.map((port) => ({ endpoint: { address: at(port) } })) }]
  return { name, type: 'STATIC', connect_timeout: '1s', load_assignment: { cluster_name: name, endpoints } }
}

const grpcCluster = (ports: readonly number[]): object => ({
  ...cluster('gatehouse_grpc', ports),
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed(
      'extensions.upstreams.http.v3.HttpProtocolOptions',
      {
        explicit_http_config: { http2_protocol_options: {} },
      },
    ),
  },
  health_checks: [
    {
      timeout: '0.5s',
      interval: '1s',
      no_traffic_interval: '1s',
      unhealthy_threshold: 1,
      healthy_threshold: 1,
      grpc_health_check: {},
    },
  ],
})

function listener(options: EnvoyOptions, guard: Guard | readonly GuardedRoute[], port: number): object {
  const manager = typed('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
    stat_prefix: 'gateway',
    ...(options.normalize === true
      ? { normalize_path: true, merge_slashes: true, path_with_escaped_slashes_action: 'REJECT_REQUEST' }
      : {}),
    route_config: {
      virtual_hosts: [
        {
          name: 'everything',
          domains: ['*'],
          routes:
            'kind' in guard ? [route(options, { prefix: '/' }, guard)] : guard.map((one) => prefixed(options, one)),
        },
      ],
    },
    http_filters: [
      { name: 'envoy.filters.http.ext_authz', typed_config: filter(options) },
      { name: 'envoy.filters.http.router', typed_config: typed('extensions.filters.http.router.v3.Router', {}) },
    ],
  })
  const filters = [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }]
  return { name: `gateway-${port}`, address: at(port), filter_chains: [{ filters }] }
}

const route = (options: EnvoyOptions, match: object, guard: Guard): object => ({
  match,
  route: { cluster: 'backend' },
  ...perRoute(options, guard),
})

function prefixed(options: EnvoyOptions, { prefix, method, guard }: GuardedRoute): object {
  const headers = method === undefined ? {} : { headers: [{ name: ':method', string_match: { exact: method } }] }
  return route(options, { ...(prefix === '/' ? { prefix } : { path_separated_prefix: prefix }), ...headers }, guard)
}

const service = (options: EnvoyOptions, name: string, port: number | undefined, prefix?: string): object => ({
  server_uri: { uri: `http://${name}:${port}`, cluster: name, timeout: '5s' },
  ...(prefix === undefined ? {} : { path_prefix: prefix }),
  authorization_response: {
    allowed_upstream_headers:
      options.allowedResponseHeaders === 'every'
        ? { patterns: [{ safe_regex: { regex: '.*' } }] }
        : exact(options.allowedResponseHeaders),
  },
})

function perRoute(options: EnvoyOptions, guard: Guard): object {
  const settings = perRouteSettings(options, guard)
  if (settings === undefined) return {}
  const typedSettings = typed('extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute', settings)
  return { typed_per_filter_config: { 'envoy.filters.http.ext_authz': typedSettings } }
}

function perRouteSettings(options: EnvoyOptions, guard: Guard): object | undefined {
  switch (guard.kind) {
    case 'open':
      return { disabled: true }
    case 'match':
      return undefined
    case 'rule':
      return options.protocol === 'grpc'
        ? { check_settings: { context_extensions: guard.key } }
        : {
            check_settings: {
              http_service: service(options, 'gatehouse_http', options.httpPort, checkPath(guard.key)),
            },
          }
  }
}

const filter = (options: EnvoyOptions): object =>
  typed('extensions.filters.http.ext_authz.v3.ExtAuthz', {
    transport_api_version: 'V3',
    failure_mode_allow: options.failureModeAllow ?? false,
    ...(options.protocol === 'grpc'
      ? {
          grpc_service: { envoy_grpc: { cluster_name: 'gatehouse_grpc' }, timeout: '5s' },
          encode_raw_headers: options.encodeRawHeaders ?? false,
        }
      : {
          ...(options.allowedHeaders === undefined ? {} : { allowed_headers: exact(options.allowedHeaders) }),
          http_service: service(options, 'gatehouse_matching', options.matchingPort),
        }),
  })
