import { hostname } from 'node:os'
import { startGatehouse } from '../gatehouse.ts'
import type { Running, State } from '../gatehouse.ts'
import type { DecisionLog, DecisionLogOptions } from '../log.ts'
import { createMetrics } from '../metrics.ts'
import { memo } from '../model/memo.ts'
import type { Problem } from '../model/result.ts'
import { createServices, systemClock } from '../services.ts'
import type { Settings } from '../settings.ts'
import { createFileSource } from '../source/files.ts'
import { greeting } from './greeting.ts'
import { countProblems, showProblem } from './show-problems.ts'
import type { Supervisor } from './worker.ts'
import { untrustedSourceHint } from './untrusted-source.ts'

/** The process, so that signals and messages come in by the door. */
export interface Process {
  readonly say: (line: string) => void
  /** Calls back with the name of each signal to stop; returns how to take that back. */
  readonly onStop: (stop: (signal: Signal) => void) => () => void
  /** Calls back with each error that nothing caught; returns how to take that back. */
  readonly onFault: (fault: (cause: unknown) => void) => () => void
}

/** To stop: as gateways need it, or at once. */
export type Signal = 'SIGTERM' | 'SIGINT'

/**
 * Runs until a signal: SIGTERM drains as gateways need it, SIGINT (Ctrl-C) at once; a second signal ends it there and then.
 * An error that nothing caught may have left anything behind: it is told and counted, and then drained for as SIGTERM is.
 */
export async function serve(
  directory: string,
  settings: Settings,
  around: Process,
  supervisor?: Supervisor,
): Promise<Signal | 'fault'> {
  const { say, onStop, onFault } = around
  const metrics = createMetrics()
  supervisor?.share(metrics.registry)
  const { telemetry } = metrics
  // The Kubernetes client takes longer to load than all the rest.
  const cluster = settings.kubernetes
    ? (await import('./cluster.ts')).openCluster(settings, { clock: systemClock, telemetry, warn: say })
    : undefined
  const services = createServices({ telemetry, ...settings, reviewServer: cluster?.reviewServer })
  const registrar =
    cluster &&
    (await import('./registrar.ts')).startRegistrar({
      cluster,
      settings,
      clock: systemClock,
      telemetry,
      identity: replicaName(),
      warn: say,
    })
  const log = await decisionLog({
    which: settings.decisionLog,
    digest: services.digest,
    telemetry,
    shared: supervisor !== undefined,
  })
  const announce = announcer(directory, say)
  const hint = untrustedSourceHint(settings.trustedProxies, say)
  const seen: { latest?: State } = {}
  let calm: () => void = () => undefined
  const signalled = new Promise<Signal | 'fault'>((done) => {
    const forget = onStop((name) => {
      forget()
      done(name)
    })
    let told = false
    calm = onFault((cause) => {
      telemetry.count('uncaught-error')
      if (!told) say(`An error that nothing caught, so this process comes to its end: ${whereFrom(cause)}`)
      told = true
      done('fault')
    })
  })
  try {
    const running = await startGatehouse({
      settings: supervisor === undefined ? settings : { ...settings, adminListen: { kind: 'off' } },
      source: cluster?.source ?? createFileSource({ directory }),
      us: cluster?.us,
      services,
      metrics,
      record: (record) => {
        log.record(record)
        hint(record)
        registrar?.record(record)
      },
      warn: say,
      onState: (state) => {
        seen.latest = state
        announce(state)
        registrar?.update(state)
      },
    })
    const greet = (): void => {
      supervisor?.ready()
      const from = settings.kubernetes ? 'the cluster' : directory
      const admin = supervisor !== undefined && settings.adminListen.kind === 'on' ? settings.adminListen : undefined
      const addresses = admin === undefined ? running.addresses : { ...running.addresses, admin }
      if (seen.latest !== undefined) for (const line of greeting(from, addresses, seen.latest)) say(line)
    }
    const signal = await Promise.race([signalled, running.loaded.then(greet).then(() => signalled)])
    await stop(running, signal, settings, say)
    return signal
  } finally {
    await registrar?.close()
    await cluster?.close()
    await services.close()
    await log.close()
    calm()
  }
}

/** Its library is loaded where there is something to write. */
const decisionLog = async (options: DecisionLogOptions): Promise<DecisionLog> =>
  options.which === 'off'
    ? { record: () => undefined, close: () => Promise.resolve() }
    : (await import('../log.ts')).createDecisionLog(options)

/** In a Pod the same after each restart of its container; elsewhere two of one machine must not take each other for themselves. */
const replicaName = (): string => `${hostname()}-${process.pid}`

/** Class and place of an error, never its message: it may quote what it choked on. */
const whereFrom = (cause: unknown): string =>
  cause instanceof Error
    ? [cause.name, ...(cause.stack ?? '').split('\n').filter((line) => /^ {4}at /.test(line))].join('\n')
    : typeof cause

async function stop(
  running: Running,
  signal: Signal | 'fault',
  settings: Settings,
  say: (line: string) => void,
): Promise<void> {
  const wait = signal === 'SIGINT' ? 0 : settings.drainWait * 1000
  say(wait === 0 ? 'Stopping.' : `Stopping: not ready from now on, answering for ${settings.drainWait} s more.`)
  await running.stop({ wait, grace: settings.drainGrace * 1000 })
}

/** Tells each problem once: when it appears, and when the last of them is gone. */
function announcer(directory: string, say: (line: string) => void): (state: State) => void {
  let told: ReadonlySet<string> = new Set()
  let first = true
  return ({ problems, snapshot }) => {
    const worth = problems.filter(worthTelling)
    const lines = worth.map(shown)
    for (const line of lines) if (!told.has(line)) say(line)
    if (first && worth.some(({ code, file }) => code === 'unreadable-source' && file === directory)) say(waiting)
    if (!first) say(`Policies read again: generation ${snapshot.generation}, ${countProblems(worth)}.`)
    told = new Set(lines)
    first = false
  }
}

/** What stays wrong stays the same object. */
const shown = memo(showProblem)

const waiting = 'Serving all the same, and waiting for the directory: until then every check is refused.'

const worthTelling = ({ severity }: Problem): boolean => severity !== 'note'
