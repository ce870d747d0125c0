import { UsageError } from './command/usage-error.ts'
import type { Services } from './authn/services.ts'
import { createEngine } from './engine/engine.ts'
import type { DecisionRecord, Engine } from './engine/engine.ts'
import { watchLoop } from './engine/loop-lag.ts'
import type { Metrics } from './metrics.ts'
import type { Problem } from './model/result.ts'
import { createCompiler } from './policy/compile.ts'
import type { Compilation } from './policy/compile.ts'
import type { OurService } from './policy/gateway-api.ts'
import type { Manifest } from './policy/manifest.ts'
import type { PolicyReport } from './policy/report.ts'
import type { Snapshot } from './policy/snapshot.ts'
import type { Listen } from './setting-values.ts'
import type { Settings } from './settings.ts'
import type { Source } from './source/source.ts'
import { createAdmin } from './transport/admin.ts'
import { createGrpcServer } from './transport/grpc/server.ts'
import type { TlsFiles } from './transport/grpc/tls.ts'
import { createHttpListener } from './transport/http/server.ts'

/** What a running Gatehouse is made of; tests bring their own source and services. */
export interface Parts {
  readonly settings: Settings
  readonly source: Source
  readonly services: Services
  readonly metrics: Metrics
  /** In a cluster: the Service that filters have to ask. */
  readonly us?: OurService | undefined
  readonly record: (record: DecisionRecord) => void
  /** Told each time a state of the source is in force, with everything that is wrong with it. */
  readonly onState: (state: State) => void
  /** Told in one sentence what should be mended while it goes on. */
  readonly warn: (sentence: string) => void
}

export interface State {
  readonly snapshot: Snapshot
  readonly manifests: readonly Manifest[]
  /** Its rules by their namespaces. */
  readonly sites: Compilation['sites']
  readonly problems: readonly Problem[]
  /** What became of each AuthPolicy; made when it is asked for. */
  readonly reports: () => readonly PolicyReport[]
}

/** Where it listens; undefined for listeners that are off. */
export interface Addresses {
  readonly grpc: Address | undefined
  readonly http: Address | undefined
  readonly matching: Address | undefined
  readonly admin: Address | undefined
  /** What gRPC and HTTP are served over; undefined in the clear. */
  readonly tls: TlsFiles | undefined
}

export interface Address {
  readonly host: string
  readonly port: number
}

export interface Running {
  readonly addresses: Addresses
  readonly engine: Engine
  /** Settles once the first whole state is in force: at once for a directory, when it answers for a cluster. */
  readonly loaded: Promise<void>
  /**
   * Stops without losing a request (GATEWAYS.md §G.4): reports not ready, keeps answering for `wait` milliseconds, then lets
   * go of connections within `grace` milliseconds.
   */
  readonly stop: (times: { readonly wait: number; readonly grace: number }) => Promise<void>
}

interface Listener {
  readonly address: Address
  readonly close: (grace: number) => Promise<void>
}

/** Opens the listeners and begins to load the source: what is asked before the first whole snapshot is refused. */
export async function startGatehouse({
  settings,
  source,
  services,
  metrics,
  us,
  record,
  onState,
  warn,
}: Parts): Promise<Running> {
  let current: Snapshot | undefined
  let draining = false
  const lag = watchLoop()
  const engine = createEngine({
    snapshot: () => current,
    clock: services.clock,
    lag,
    record: (decision) => {
      metrics.record(decision)
      record(decision)
    },
  })
  const ready = (): boolean => engine.ready() && !draining
  const tls = tlsFiles(settings)
  const opened: Listener[] = []
  const open = async <T extends Listener>(
    name: string,
    listen: Listen,
    make: (at: Address) => Promise<T>,
  ): Promise<T | undefined> => {
    if (listen.kind === 'off') return undefined
    const listener = await make(listen).catch((cause: unknown) => {
      throw listenError(name, listen, cause)
    })
    opened.push(listener)
    return listener
  }
  const tlsRefused = (reason: Error): void => warn(`${reason.message} The certificate in force stays.`)
  // All listeners read the same files: the first of them tells.
  const http = (first: boolean) => ({
    engine,
    tls,
    tlsRefused: first ? tlsRefused : undefined,
    trustedProxies: settings.trustedProxies,
    budgetMillis: settings.httpBudget,
  })
  try {
    const grpc = await open('gRPC', settings.grpcListen, async (listen) => {
      const server = await createGrpcServer({
        engine,
        listen,
        tls,
        tlsRefused,
        identity: { envoyGatewayMetadata: settings.envoyGatewayMetadata },
        reflection: settings.grpcReflection,
        codec: settings.codec,
        budgetMillis: settings.grpcBudget,
        clock: services.clock,
      })
      return { ...server, close: (graceMillis: number) => server.close({ graceMillis }) }
    })
    const keyed = await open('HTTP', settings.httpListen, (listen) =>
      createHttpListener({ ...http(grpc === undefined), kind: 'keyed', listen }),
    )
    const matching = await open('matching', settings.matchingListen, (listen) =>
      createHttpListener({ ...http((grpc ?? keyed) === undefined), kind: 'matching', listen }),
    )
    const admin = await open('admin', settings.adminListen, (listen) =>
      createAdmin({ listen, ready: () => ({ policies: engine.ready(), draining }), registry: metrics.registry }),
    )
    const compile = createCompiler(services, us)
    const loaded = source.start(({ manifests, problems: unread }) => {
      const { snapshot, protectedRules, sites, problems: uncompiled, reports } = compile(manifests)
      const previous = current
      current = snapshot
      previous?.release()
      grpc?.setServing(ready())
      const problems = [...unread, ...uncompiled]
      report(metrics, { snapshot, protectedRules, problems })
      onState({ snapshot, sites, manifests, problems, reports })
    })
    const stop: Running['stop'] = async ({ wait, grace }) => {
      draining = true
      grpc?.setServing(false)
      await source.close()
      await new Promise((done) => setTimeout(done, wait))
      await Promise.all([grpc, keyed, matching].flatMap((listener) => listener?.close(grace) ?? []))
      await admin?.close(0)
      lag.close()
      current?.release()
    }
    const checks = { grpc: grpc?.address, http: keyed?.address, matching: matching?.address }
    return { addresses: { ...checks, admin: admin?.address, tls }, engine, loaded, stop }
  } catch (cause) {
    lag.close()
    await Promise.all(opened.map((listener) => listener.close(0)))
    await source.close()
    throw cause
  }
}

function report(
  { telemetry }: Metrics,
  { snapshot, protectedRules, problems }: Pick<Compilation, 'snapshot' | 'protectedRules' | 'problems'>,
): void {
  telemetry.count('reload-ok')
  telemetry.level('config-generation', snapshot.generation)
  telemetry.level('config-problems', problems.filter(({ severity }) => severity === 'error').length)
  telemetry.level('config-rules', protectedRules)
}

/** The TLS files that the settings name; their content is read by the listeners, again whenever it changes. */
function tlsFiles({ tlsCert, tlsKey, tlsCa, tlsClientCa }: Settings): TlsFiles | undefined {
  if (tlsCert === undefined && tlsKey === undefined) {
    if (tlsCa !== undefined) throw new UsageError('--tls-ca needs --tls-cert and --tls-key')
    if (tlsClientCa !== undefined) throw new UsageError('--tls-client-ca needs --tls-cert and --tls-key')
    return undefined
  }
  if (tlsCert === undefined || tlsKey === undefined) throw new UsageError('--tls-cert and --tls-key go together')
  return { certificate: tlsCert, key: tlsKey, clientCa: tlsClientCa }
}

/** What the operator has to change where a listener cannot open. */
export function listenError(name: string, listen: Address, cause: unknown): unknown {
  const { code, message } = cause as NodeJS.ErrnoException
  const at = `${listen.host}:${listen.port}`
  if (code === 'EADDRINUSE')
    return new UsageError(
      `the ${name} listener cannot use ${at}: the port is taken; choose another with --${flagOf(name)}`,
    )
  if (code === 'EACCES')
    return new UsageError(`the ${name} listener may not use ${at}; choose a port above 1023 with --${flagOf(name)}`)
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return new UsageError(`the ${name} listener cannot use ${at}: this machine has no such address`)
  return cause instanceof UsageError ? cause : new UsageError(`the ${name} listener cannot start on ${at}: ${message}`)
}

const flagOf = (name: string): string => `${name.toLowerCase()}-listen`
