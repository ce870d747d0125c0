import { blocks, listen, names, objectName, on, oneOf, text, whole, yes } from './setting-values.ts'

/** One setting. */
export interface Row<T> {
  /** Long flag without dashes; the environment variable is GATEHOUSE_ and the same in capitals. */
  readonly flag: string
  /** What stands for the value in help; absent for switches. */
  readonly value?: string
  readonly about: string
  readonly fallback: T
  /** The default as help shows it, where it is not plain. */
  readonly shown?: string
  /** Reads the text; throws InvalidArgumentError with one sentence. */
  readonly read: (text: string) => T
}

const row = <T>(one: Row<T>): Row<T> => one

/** With less than the way back takes, every check would be refused for being late. */
const budget = whole(20, 60_000, '10 ms of them are kept for the way back to the gateway.')

/** Every setting, once: flags, environment, help and the README's table come from here. */
export const settingsTable = {
  grpcListen: row({
    flag: 'grpc-listen',
    value: 'host:port',
    about: 'Envoy ext_authz over gRPC, or "off".',
    fallback: on('0.0.0.0', 9001),
    read: listen,
  }),
  httpListen: row({
    flag: 'http-listen',
    value: 'host:port',
    about: 'HTTP checks that name their rule, or "off".',
    fallback: on('0.0.0.0', 9002),
    read: listen,
  }),
  matchingListen: row({
    flag: 'matching-listen',
    value: 'host:port',
    about: 'HTTP checks matched against the HTTPRoutes, or "off".',
    fallback: on('0.0.0.0', 9003),
    read: listen,
  }),
  adminListen: row({
    flag: 'admin-listen',
    value: 'host:port',
    about: '/healthz, /readyz and /metrics, or "off".',
    fallback: on('127.0.0.1', 9004),
    read: listen,
  }),
  tlsCert: row({
    flag: 'tls-cert',
    value: 'file',
    about: 'Serve gRPC and HTTP over TLS with this certificate chain (PEM).',
    fallback: undefined,
    read: text,
  }),
  tlsKey: row({
    flag: 'tls-key',
    value: 'file',
    about: 'Private key of --tls-cert (PEM).',
    fallback: undefined,
    read: text,
  }),
  tlsCa: row({
    flag: 'tls-ca',
    value: 'file',
    about: 'With --kubernetes: the authority of --tls-cert (PEM), for gateways; else the one at the end of its chain.',
    fallback: undefined,
    read: text,
  }),
  tlsClientCa: row({
    flag: 'tls-client-ca',
    value: 'file',
    about: 'Take only gateways with a certificate of this authority (PEM).',
    fallback: undefined,
    read: text,
  }),
  trustedProxies: row({
    flag: 'trusted-proxies',
    value: 'cidr,...',
    about: 'Whose forwarded headers are believed.',
    fallback: ['127.0.0.0/8', '::1/128'],
    read: blocks,
  }),
  grpcBudget: row({
    flag: 'grpc-budget',
    value: 'ms',
    about: 'Longest time for an answer over gRPC.',
    fallback: 150,
    read: budget,
  }),
  httpBudget: row({
    flag: 'http-budget',
    value: 'ms',
    about: 'Longest time for an answer over HTTP.',
    fallback: 1000,
    read: budget,
  }),
  envoyGatewayMetadata: row({
    flag: 'envoy-gateway-metadata',
    about: "Take a rule's name from Envoy Gateway's route metadata.",
    fallback: false,
    read: yes,
  }),
  grpcReflection: row({ flag: 'grpc-reflection', about: 'Offer gRPC server reflection.', fallback: false, read: yes }),
  codec: row({
    flag: 'codec',
    value: 'which',
    about: 'How gRPC checks are read and written: lean, or reference (slower, to compare with).',
    fallback: 'lean' as const,
    read: oneOf('lean', 'reference'),
  }),
  workers: row({
    flag: 'workers',
    value: 'count',
    about: 'Processes that share the ports, one a core at most. For a directory; in a cluster, run more replicas.',
    fallback: 1,
    read: whole(1, 64),
  }),
  drainWait: row({
    flag: 'drain-wait',
    value: 'seconds',
    about: 'After SIGTERM, keep answering this long while reporting not ready.',
    fallback: 10,
    read: whole(0, 3600),
  }),
  drainGrace: row({
    flag: 'drain-grace',
    value: 'seconds',
    about: 'Then let requests in flight end for this long.',
    fallback: 15,
    read: whole(0, 3600),
  }),
  kubernetes: row({
    flag: 'kubernetes',
    about: 'Read policies and routes from the Kubernetes API instead of a directory.',
    fallback: false,
    read: yes,
  }),
  namespaces: row({
    flag: 'namespace',
    value: 'name,...',
    about: 'With --kubernetes: look at these namespaces only.',
    fallback: undefined,
    read: names,
  }),
  service: row({
    flag: 'service',
    value: 'namespace/name',
    about: 'With --kubernetes: the Service that ExternalAuth filters ask.',
    fallback: { namespace: 'gatehouse', name: 'gatehouse' },
    read: objectName,
  }),
  grantNamespaces: row({
    flag: 'grant-namespaces',
    value: 'selector',
    about: 'With --kubernetes: keep ReferenceGrants for namespaces with these labels; "" for all.',
    fallback: undefined,
    read: text,
  }),
  probe: row({
    flag: 'probe',
    about: 'With --kubernetes: send requests without a credential through the gateways, to see that they are refused.',
    fallback: false,
    read: yes,
  }),
  decisionLog: row({
    flag: 'decision-log',
    value: 'which',
    about: 'Decision lines on standard output: all, denied or off.',
    fallback: 'all' as const,
    read: oneOf('all', 'denied', 'off'),
  }),
  allowHttpIssuers: row({
    flag: 'insecure-http-issuers',
    about: 'Insecure: call issuers over plain http beyond this host.',
    fallback: false,
    read: yes,
  }),
  blockPrivateIssuers: row({
    flag: 'block-private-issuers',
    about: 'Refuse issuers at private addresses.',
    fallback: false,
    read: yes,
  }),
  allowOldNode: row({
    flag: 'insecure-old-node',
    about: 'Insecure: start on a Node.js with known vulnerabilities.',
    fallback: false,
    read: yes,
  }),
} as const
