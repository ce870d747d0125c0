import { createHash } from 'node:crypto'
import type {
  CiliumObjects,
  Cors,
  ExternalAuth,
  Reference,
  RouteMatch,
  RouteObject,
  RouteRule,
  ValueMatch,
} from './cilium-objects.ts'

/** A part of Envoy's configuration. */
export type Anything = Readonly<Record<string, unknown>>

/** A message of Envoy's API with its type. */
export const typed = (name: string, fields: object): Anything => ({
  '@type': `type.googleapis.com/envoy.${name}`,
  ...fields,
})
/** A port of this machine. */
export const at = (port: number): Anything => ({ socket_address: { address: '127.0.0.1', port_value: port } })
const listed = (names: readonly string[]): Anything => ({
  patterns: names.map((name) => ({ exact: name, ignore_case: true })),
})

/** The type of a match's path. */
export const kindOf = ({ path }: RouteMatch): string => path?.type ?? 'PathPrefix'
/** The value of a match's path. */
export const valueOf = ({ path }: RouteMatch): string => path?.value ?? '/'

/** An ext_authz filter of a listener. */
export interface AuthFilter {
  readonly name: string
  readonly config: Anything
}

/** A match as Envoy writes it. */
export function envoyMatch(match: RouteMatch): Anything {
  const value = valueOf(match)
  const test = ({ type, name, value: wanted }: ValueMatch): Anything => ({
    name,
    string_match: type === 'RegularExpression' ? { safe_regex: { regex: wanted } } : { exact: wanted },
  })
  const method = match.method === undefined ? [] : [test({ name: ':method', value: match.method })]
  const path =
    kindOf(match) === 'Exact'
      ? { path: value }
      : kindOf(match) === 'RegularExpression'
        ? { safe_regex: { regex: value } }
        : value === '/'
          ? { prefix: '/' }
          : { path_separated_prefix: value.replace(/\/$/, '') }
  const query = match.queryParams ?? []
  return {
    ...path,
    headers: [...method, ...(match.headers ?? []).map(test)],
    query_parameters: query.map(test),
  }
}

/** The CORS filter of a rule. */
export const corsPolicy = ({ allowOrigins = [], allowMethods = [], allowHeaders = [] }: Cors): Anything =>
  typed('extensions.filters.http.cors.v3.CorsPolicy', {
    allow_origin_string_match: allowOrigins.map((exact) => ({ exact })),
    allow_methods: allowMethods.join(', '),
    allow_headers: allowHeaders.join(', '),
  })

/** The filter of a rule; undefined where it has none, or one that asks for what it may not have. */
export function authFilter(
  rule: RouteRule,
  route: RouteObject,
  objects: CiliumObjects,
  clusters: Map<string, Anything>,
): AuthFilter | undefined {
  const auth = rule.filters?.find(({ type }) => type === 'ExternalAuth')?.externalAuth
  if (auth === undefined) return undefined
  const protocol = auth.protocol === 'GRPC' ? 'grpc' : 'http'
  const cluster = clusterOf(protocol, auth.backendRef, route, objects, clusters)
  if (cluster === undefined) return undefined
  const config = authConfig(auth, cluster)
  const key = createHash('sha256').update(JSON.stringify(config)).digest('hex').slice(0, 16)
  return { name: `envoy.filters.http.ext_authz/${key}`, config }
}

function authConfig(auth: ExternalAuth, cluster: string): Anything {
  const { backendRef, http, grpc, forwardBody } = auth
  const authority = `${backendRef.name}:${backendRef.port}`
  const headers = (auth.protocol === 'GRPC' ? grpc : http)?.allowedHeaders ?? []
  const taken = http?.allowedResponseHeaders ?? []
  const service = {
    server_uri: { uri: `http://${authority}`, cluster, timeout: '10s' },
    path_prefix: http?.path ?? '',
    authorization_response: {
      // An empty list means every header of the answer, its content-length included.
      allowed_upstream_headers: taken.length > 0 ? listed(taken) : { patterns: [{ safe_regex: { regex: '.*' } }] },
    },
  }
  return typed('extensions.filters.http.ext_authz.v3.ExtAuthz', {
    transport_api_version: 'V3',
    // Over gRPC there is no timeout of its own: Envoy's 200 ms.
    ...(auth.protocol === 'GRPC'
      ? { grpc_service: { envoy_grpc: { cluster_name: cluster, authority } } }
      : { http_service: service }),
    ...(headers.length > 0 ? { allowed_headers: listed(headers) } : {}),
    decoder_header_mutation_rules: { disallow_expression: { regex: '^(:authority|host)$' } },
    ...((forwardBody?.maxSize ?? 0) > 0
      ? { with_request_body: { max_request_bytes: forwardBody?.maxSize, allow_partial_message: true } }
      : {}),
  })
}

type Speech = 'http' | 'http1' | 'grpc'

/** The cluster of a Service's port, where the reference is granted; it is made when it is first wanted. */
export function clusterOf(
  speech: Speech,
  { kind = 'Service', name, port, ...ref }: Reference,
  { metadata }: RouteObject,
  objects: CiliumObjects,
  clusters: Map<string, Anything>,
): string | undefined {
  const { services, grants } = objects
  const namespace = ref.namespace ?? metadata.namespace
  const service = services.find(
    (one) => kind === 'Service' && one.metadata.name === name && one.metadata.namespace === namespace,
  )
  const target = service?.spec.ports?.find((one) => one.port === port)
  const granted = grants.some(
    ({ metadata: where, spec }) =>
      where.namespace === namespace &&
      spec.from.some((from) => from.kind === 'HTTPRoute' && from.namespace === metadata.namespace) &&
      spec.to.some((to) => to.kind === 'Service' && (to.name === undefined || to.name === name)),
  )
  if (target === undefined || (namespace !== metadata.namespace && !granted)) return undefined
  const cluster = `${speech}:${namespace}:${name}:${port}`
  const tls = tlsTo(namespace, name, target.name, objects)
  clusters.set(cluster, { ...envoyCluster(cluster, Number(target.targetPort ?? target.port), speech), ...tls })
  return cluster
}

/** TLS as a BackendTLSPolicy wants it; one without its authority leads to a connection that nobody accepts. */
function tlsTo(namespace: string, service: string, port: string | undefined, objects: CiliumObjects): Anything {
  const policy = objects.tlsPolicies.find(
    ({ metadata, spec }) =>
      metadata.namespace === namespace &&
      spec.targetRefs.some(
        ({ kind, name, sectionName }) =>
          kind === 'Service' && name === service && (sectionName === undefined || sectionName === port),
      ),
  )
  if (policy === undefined) return {}
  const { hostname, caCertificateRefs = [] } = policy.spec.validation
  const ca = caCertificateRefs.map(({ name }) => {
    const map = objects.configMaps.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name)
    return map?.data?.['ca.crt'] ?? ''
  })
  const context = typed('extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
    sni: hostname,
    common_tls_context: {
      validation_context: {
        trusted_ca: { inline_string: ca.join('\n') },
        match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: hostname } }],
      },
    },
  })
  return { transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: context } }
}

const protocols = {
  grpc: { explicit_http_config: { http2_protocol_options: {} } },
  http: { use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: {} } },
  http1: { explicit_http_config: { http_protocol_options: {} } },
} as const satisfies Record<Speech, object>

const envoyCluster = (name: string, port: number, speech: Speech): Anything =>
  typed('config.cluster.v3.Cluster', {
    name,
    type: 'STATIC',
    connect_timeout: '5s',
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address: at(port) } }] }] },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed(
        'extensions.upstreams.http.v3.HttpProtocolOptions',
        protocols[speech],
      ),
    },
  })
