import { noReads } from '../../../src/authz/cel-reads.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { credentials, makeClientConstructor, Metadata } from '@grpc/grpc-js'
import type { CallOptions, ChannelCredentials, ServiceClientConstructor, ServiceError } from '@grpc/grpc-js'
import type { Authenticator } from '../../../src/authn/method.ts'
import { absent, authenticated, rejected } from '../../../src/authn/method.ts'
import { createEngine } from '../../../src/engine/engine.ts'
import type { DecisionRecord } from '../../../src/engine/engine.ts'
import type { AuthRequest } from '../../../src/model/request.ts'
import type { RouteKey } from '../../../src/model/route.ts'
import { showRoute } from '../../../src/model/route.ts'
import type { Policy, Rule, Snapshot } from '../../../src/policy/snapshot.ts'
import { definitions, method } from '../../../src/transport/grpc/definitions.ts'
import { authorizationService, healthService } from '../../../src/transport/grpc/service-names.ts'
import { createGrpcServer } from '../../../src/transport/grpc/server.ts'
import type { GrpcServerOptions } from '../../../src/transport/grpc/server.ts'

export const clock = { now: Date.now, ticks: () => performance.now() }

/** `Bearer NAME` is NAME, `Bearer wrong` nobody, `Bearer slow` takes 60 ms, `Bearer never` ends with the request only. */
const bearer: Authenticator = {
  name: 'tokens',
  kind: 'bearer',
  reads: ['authorization'],
  presented: ({ headers }) => headers.has('authorization'),
  challenge: (error) => (error.kind === 'none' ? 'Bearer realm="test"' : `Bearer realm="test", error="${error.kind}"`),
  async authenticate({ headers }, signal) {
    const name = /^Bearer (\S+)$/.exec(headers.get('authorization')?.[0] ?? '')?.[1]
    if (name === undefined) return absent
    if (name === 'wrong') return rejected('bad-credential')
    if (name === 'slow') await sleep(60, undefined, { signal })
    if (name === 'never') await sleep(60_000, undefined, { signal })
    return authenticated({ subject: name, method: 'tokens', claims: {}, scopes: [], groups: [] })
  },
}

const basicChallenge: Authenticator = {
  ...bearer,
  name: 'passwords',
  kind: 'basic',
  authenticate: () => absent,
  challenge: () => 'Basic realm="test", charset="UTF-8"',
}

export const policy: Policy = {
  name: 'shop/test',
  mode: 'Enforce',
  authenticators: [bearer, basicChallenge],
  guest: undefined,
  conditions: [],
  reads: noReads,
  headers: ({ identity }) => [['x-user', identity.subject]],
  lastingHeaders: true,
  managed: ['x-user', 'x-groups'],
  remove: ['authorization'],
  removeQuery: new Set(),
  unauthenticated: { respond: 'Forbidden' },
  denied: undefined,
  preflight: 'Authenticate',
  ambiguousPath: 'Deny',
}

export const rule = (name: string, given: Partial<Policy> = {}): Rule => ({
  key: { namespace: 'shop', route: 'cart', rule: name },
  id: `shop/cart/${name}`,
  policy: { ...policy, ...given },
  refusal: undefined,
  owned: new Set(['x-user', 'x_user', 'x-groups', 'x_groups']),
  hostnames: ['shop.example'],
  checkPath: undefined,
  copiesLength: false,
  contested: undefined,
  acceptedBy: undefined,
})

const rules = [rule('pay'), rule('ask', { unauthenticated: { respond: 'Challenge' } }), rule('_')]

export const snapshot: Snapshot = Object.freeze({
  generation: 1,
  rules,
  rule: (key: RouteKey) => rules.find((one) => showRoute(one.key) === showRoute(key)),
  match: ({ target }: AuthRequest) => {
    const [pay] = rules
    return target.path.startsWith('/pay') && pay !== undefined
      ? ({ kind: 'rule', rule: pay } as const)
      : ({ kind: 'refused', reason: 'no-match' } as const)
  },
  release: () => undefined,
})

type Change = (world: Snapshot | undefined) => void

/** A running gRPC server over a hand-made snapshot. */
export async function serving(given: Partial<GrpcServerOptions> & { readonly unready?: boolean } = {}) {
  const records: DecisionRecord[] = []
  let world: Snapshot | undefined = given.unready === true ? undefined : snapshot
  const change: Change = (next) => (world = next)
  const engine = createEngine({ snapshot: () => world, clock, record: (record) => records.push(record) })
  const server = await createGrpcServer({
    engine,
    listen: { host: '127.0.0.1', port: 0 },
    identity: { envoyGatewayMetadata: false },
    reflection: false,
    clock,
    ...given,
  })
  return { server, records, change, target: `127.0.0.1:${server.address.port}`, port: server.address.port }
}

/** What a decoded CheckResponse looks like to a gateway. */
export interface Answer {
  readonly status?: { readonly code?: number; readonly message?: string }
  readonly ok_response?: {
    readonly headers?: readonly HeaderOption[]
    readonly headers_to_remove?: readonly string[]
    readonly query_parameters_to_remove?: readonly string[]
  }
  readonly denied_response?: {
    readonly status?: { readonly code?: number | string }
    readonly headers?: readonly HeaderOption[]
    readonly body?: string
  }
  readonly error_response?: unknown
}
interface HeaderOption {
  readonly header: { readonly key: string; readonly value?: string; readonly raw_value?: Uint8Array }
  readonly append?: unknown
  readonly append_action?: number | string
}

/** A request as a test can compare it, whatever kind of map its headers are in, and whichever order they came in. */
export const shown = (request: AuthRequest): object => ({
  ...request,
  headers: Object.fromEntries([...request.headers].toSorted(([one], [other]) => (one < other ? -1 : 1))),
  unusualNames: request.unusualNames.toSorted(),
})

const check = method(authorizationService, 'Check')

export const encode = (request: object): Buffer => check.requestSerialize(request)
export const decode = (bytes: Buffer): Answer => check.responseDeserialize(bytes)

/** The attributes of a request as Envoy sends them. */
export const attributes = (http: object = {}, rest: object = {}): object => ({
  attributes: {
    source: { address: { socket_address: { address: '192.0.2.7', port_value: 4711 } } },
    request: {
      time: { seconds: '1' },
      http: {
        id: '1',
        method: 'GET',
        path: '/pay/1?a=b',
        host: 'shop.example',
        scheme: 'https',
        protocol: 'HTTP/1.1',
        headers: { ':path': '/pay/1?a=b', authorization: 'Bearer ada' },
        ...http,
      },
    },
    context_extensions: { namespace: 'shop', route: 'cart', rule: 'pay' },
    ...rest,
  },
})

const service = (name: string): ServiceClientConstructor => {
  const found = definitions[name]
  if (found === undefined || 'format' in found) throw new Error(name)
  return makeClientConstructor(found, name)
}

/** A client as the wire sees it: bytes out, bytes in. */
export function checker(target: string, given: ChannelCredentials = credentials.createInsecure(), options = {}) {
  const client = new (service(authorizationService))(target, given, options)
  const raw = (bytes: Buffer, callOptions: CallOptions = {}): Promise<Answer> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        check.path,
        (sent: Buffer) => sent,
        check.responseDeserialize,
        bytes,
        new Metadata(),
        { deadline: Date.now() + 5_000, ...callOptions },
        (error: ServiceError | null, answer?: Answer) => (answer === undefined ? reject(error) : resolve(answer)),
      )
    })
  return {
    client,
    raw,
    check: (request: object, callOptions: CallOptions = {}) => raw(encode(request), callOptions),
    close: () => client.close(),
  }
}

export const healthClient = (target: string) => new (service(healthService))(target, credentials.createInsecure())

/** `allow` or the status that the client behind the gateway would get. */
export const verdict = (answer: Answer): 'allow' | number => {
  if (answer.status === undefined || (answer.status.code ?? 0) === 0) return 'allow'
  const code = answer.denied_response?.status?.code
  return typeof code === 'number' ? code : 403
}
