import { isIP } from 'node:net'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import type { ChannelOptions, ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js'
import type { Engine } from '../../engine/engine.ts'
import type { Clock } from '../../model/clock.ts'
import { deny } from '../../model/decision.ts'
import type { Decision } from '../../model/decision.ts'
import type { IdentityTrust } from './check-claim.ts'
import { oversized, unreadable } from './checked-request.ts'
import { framedCheck } from './check-response.ts'
import { codecOf } from './codec.ts'
import type { Codec, CodecName } from './codec.ts'
import { drain } from './drain.ts'
import type { DrainTimes } from './drain.ts'
import { createHealth } from './health.ts'
import { healthMethods } from './health-wire.ts'
import { openListener } from './listener.ts'
import type { Endpoint } from '../listening.ts'
import { createConnections } from './connections.ts'
import { plainAddress } from '../trusted-sources.ts'
import { authorizationService } from './service-names.ts'
import type { TlsFiles } from './tls.ts'
import { isUsual, serveUnary } from './unary-call.ts'
import type { AnswerMessage } from './unary-call.ts'

/** Bounds of the listener, each far above what a gateway needs. */
export interface GrpcLimits {
  readonly connections: number
  readonly streamsPerConnection: number
  readonly messageBytes: number
  /** Of HTTP/2 state, for each connection. */
  readonly sessionMegabytes: number
  /** A call that has not come to its end by then is cut off: nobody waits for it any more. */
  readonly stalledMillis: number
  /** Between the pings that find out whether a peer is still there. */
  readonly keepaliveMillis: number
  readonly keepaliveTimeoutMillis: number
}

export const grpcLimits: GrpcLimits = {
  connections: 1_024,
  streamsPerConnection: 128,
  messageBytes: 4_194_304, // what gRPC takes by default; Envoy can be told to send whole bodies along
  sessionMegabytes: 16,
  stalledMillis: 10_000,
  keepaliveMillis: 30_000,
  keepaliveTimeoutMillis: 10_000,
}

export interface GrpcServerOptions {
  readonly engine: Engine
  readonly listen: Endpoint
  readonly tls?: TlsFiles | undefined
  /** Told when changed TLS files cannot be used; those in force stay. */
  readonly tlsRefused?: ((reason: Error) => void) | undefined
  readonly identity: IdentityTrust
  readonly reflection: boolean
  /** How checks are read and written; `lean` by default. */
  readonly codec?: CodecName | undefined
  /** Longest time for an answer; the caller's own deadline counts where it is sooner. */
  readonly budgetMillis?: number | undefined
  /** Taken off, so that the answer is back in time. */
  readonly marginMillis?: number | undefined
  readonly clock: Clock
  readonly limits?: Partial<GrpcLimits> | undefined
}

/** A listening gRPC server. */
export interface GrpcServer {
  readonly address: Endpoint
  /** Tells `grpc.health.v1` that no more checks should come (or that they may again); checks are still answered. */
  readonly setServing: (serving: boolean) => void
  /** Ends gracefully: nothing that was sent before the end is lost, unless the grace is over. */
  readonly close: (times?: Partial<DrainTimes>) => Promise<void>
}

/** Opens the gRPC listener: `envoy.service.auth.v3.Authorization/Check`, health, and reflection where asked for. */
export async function createGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { engine, clock } = options
  const limits = { ...grpcLimits, ...options.limits }
  const codec = await codecOf(options.codec ?? 'lean')
  const server = new Server(channelOptions(limits))
  const health = createHealth(engine.ready)
  const answer = answersTo(options, codec.read, codec.write)
  server.addService({ Check: rawCheck }, { Check: checkHandler(answer, options.identity) })
  server.addService(healthMethods, { ...health.handlers })
  if (options.reflection) await addReflection(server)
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure()) // TLS ended at the listener
  const method = {
    answer: answersTo(options, codec.read, framedCheck),
    messageBytes: limits.messageBytes,
    tooLarge: answersTo(options, () => oversized, framedCheck),
    malformed: answersTo(options, () => unreadable, framedCheck),
    buffered: { bytes: 0 },
  }
  const connections = createConnections(clock, rawCheck.path, (stream, headers, sender) => {
    const taken = codec.direct && isUsual(headers)
    if (taken) serveUnary(stream, headers, sender, method)
    return taken
  })
  const listener = await openListener({
    ...options,
    maxConnections: limits.connections,
    connected(connection, peer) {
      connections.admit(connection, {
        ...options.identity,
        caller: peer === undefined ? undefined : plainAddress(peer),
      })
      injector.injectConnection(connection)
    },
  }).catch((cause: unknown) => {
    connections.close()
    throw cause
  })
  const upkeep = setInterval(() => {
    health.refresh()
    connections.cutStalled(limits.stalledMillis)
  }, 250).unref()
  return {
    address: listener.address,
    setServing: health.setServing,
    async close({ roundTripMillis = 100, graceMillis = 10_000 } = {}) {
      const end = (): void => server.tryShutdown(() => undefined)
      await drain({ health, connections, refuse: listener.refuse, end }, { roundTripMillis, graceMillis })
      clearInterval(upkeep)
      connections.close()
      server.forceShutdown()
    },
  }
}

const channelOptions = (limits: GrpcLimits): ChannelOptions => ({
  'grpc.max_concurrent_streams': limits.streamsPerConnection,
  'grpc.max_receive_message_length': limits.messageBytes,
  'grpc-node.max_session_memory': limits.sessionMegabytes,
  'grpc.keepalive_time_ms': limits.keepaliveMillis,
  'grpc.keepalive_timeout_ms': limits.keepaliveTimeoutMillis,
  'grpc.enable_channelz': 0,
})

/** Bytes in, bytes out: a codec that throws would make grpc-js answer with an RPC error, which `failure_mode_allow` lets through. */
const rawCheck = {
  path: `/${authorizationService}/Check`,
  requestStream: false,
  responseStream: false,
  requestSerialize: (bytes: Buffer) => bytes,
  requestDeserialize: (bytes: Buffer) => bytes,
  responseSerialize: (bytes: Buffer) => bytes,
  responseDeserialize: (bytes: Buffer) => bytes,
} as const

async function addReflection(server: Server): Promise<void> {
  const [{ ReflectionService }, { definitions }] = await Promise.all([
    import('@grpc/reflection'),
    import('./definitions.ts'),
  ])
  new ReflectionService(definitions).addToServer(server)
}

/** Bytes of a check in, an answer as it is sent out, whatever happens in between. */
function answersTo<Answer>(
  { engine, budgetMillis = 150, marginMillis = 10 }: GrpcServerOptions,
  read: Codec['read'],
  write: (decision: Decision) => Answer,
): AnswerMessage<Answer> {
  const broken = (cause: unknown): Decision => deny('internal', { cause })
  return (message, { sender, deadline, gone }) => {
    try {
      // By the system's clock, because that is what the deadline was reckoned by.
      const millis = Math.min(deadline - Date.now(), budgetMillis) - marginMillis
      const decision = engine.answer(read(message, sender), { millis, caller: gone })
      return decision instanceof Promise ? decision.catch(broken).then(write) : write(decision)
    } catch (cause) {
      return write(broken(cause))
    }
  }
}

type CheckCall = ServerUnaryCall<Buffer, Buffer>

/** For calls that grpc-js serves. */
function checkHandler(answer: AnswerMessage<Buffer>, identity: IdentityTrust) {
  return (call: CheckCall, reply: sendUnaryData<Buffer>): void => {
    const given = call.getDeadline()
    const deadline = typeof given === 'number' ? given : given.getTime()
    const sender = { ...identity, caller: addressOf(call.getPeer()) }
    const answered = answer(call.request, { sender, deadline, gone: () => cancellation(call) })
    if (answered instanceof Promise) void answered.then((late) => reply(null, late))
    else reply(null, answered)
  }
}

/** The address in `address:port`; undefined for what has none, as connections over TLS. */
function addressOf(peer: string): string | undefined {
  const address = plainAddress(peer.slice(0, Math.max(peer.lastIndexOf(':'), 0)))
  return isIP(address) === 0 ? undefined : address
}

function cancellation(call: CheckCall): AbortSignal {
  if (call.cancelled) return AbortSignal.abort()
  const cancelled = new AbortController()
  call.once('cancelled', () => cancelled.abort())
  return cancelled.signal
}
