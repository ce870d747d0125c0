import { createBreath, inSteps } from '../model/breath.ts'
import type { Clock } from '../model/clock.ts'
import type { Telemetry } from '../model/telemetry.ts'
import type { OurService } from '../cluster/objects.ts'
import type { ObjectName } from '../registration/desired.ts'
import type { Evidence } from '../registration/evidence.ts'
import { probesOf } from '../registration/probes.ts'
import { unprovenRules } from '../registration/unproven.ts'
import { wiringEvents } from '../registration/wiring-events.ts'
import type { KnownFaults } from '../registration/wiring-events.ts'
import { createReconciler, ruleForms } from '../registration/reconcile.ts'
import type { Observed, RegistrationOptions } from '../registration/reconcile.ts'
import { createWriter } from './apply.ts'
import type { KubeClient } from './client.ts'
import { createEventWriter } from './events.ts'
import type { Lease } from './lease.ts'
import type { Prober } from './probe.ts'
import { servedVersions } from './served-versions.ts'
import { createSharedEvidence } from './shared-evidence.ts'

/** Keeps statuses and registration as they should be, on the replica that holds the lease. */
export interface Controller {
  /** What was listed and compiled last; every replica is told, so that any of them can take over at once. */
  readonly update: (observed: Observed) => void
  /** Looks again although nothing was listed anew: the lease changed hands. */
  readonly wake: () => void
  readonly close: () => Promise<void>
}

export interface ControllerOptions {
  readonly client: KubeClient
  readonly lease: Pick<Lease, 'held'>
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly us: OurService
  readonly evidence: Evidence
  readonly options: Omit<RegistrationOptions, 'versions' | 'tls'>
  /** What gateways are to be told of our TLS now; asked again in each round, for certificates are rotated. */
  readonly tls?: () => RegistrationOptions['tls']
  /** Where the operator wants probes; closed by whoever made it. */
  readonly prober?: Prober
  /** Which replica this is. */
  readonly identity: string
  readonly warn: (sentence: string) => void
}

/** Milliseconds. Bursts of changes become one round; evidence is looked at between changes. */
const pause = 250
const look = 2000
/** What no watch tells is looked at again: objects that are not listed, and versions of kinds. */
const resync = 10 * 60_000
const longestRound = 60_000

/** Makes a controller; it does nothing before its first `update`. */
export function createController(given: ControllerOptions): Controller {
  const { client, lease, clock, telemetry, evidence, us, identity, warn } = given
  const stop = new AbortController()
  const may = (): boolean => lease.held() && !stop.signal.aborted
  const write = createWriter({ client, clock, telemetry, may })
  const events = createEventWriter({ client, clock, telemetry, may, instance: identity })
  const shared = createSharedEvidence({ client, clock, evidence, us, owner: given.options.owner, identity })
  const versions = rememberVersions(client, clock)
  // What is broken off at the end is no trouble.
  const say = once((sentence) => {
    if (!stop.signal.aborted) warn(sentence)
  })
  const reconciler = createReconciler()
  let observed: Observed | undefined
  let seen = evidence.version()
  let last = -Infinity
  let unproven: readonly string[] = []
  let faults: KnownFaults = new Map()
  let cost = 0
  let failing = false
  let due: number | undefined
  let running: Promise<void> | undefined

  const soon = (millis: number | undefined): void => {
    if (millis !== undefined) due = Math.min(due ?? Infinity, clock.ticks() + millis)
  }
  const round = async (input: Observed): Promise<void> => {
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(longestRound)])
    const breathe = createBreath(clock.ticks)
    seen = evidence.version()
    evidence.settle(ruleForms(input, us), clock.now())
    await breathe()
    telemetry.level('leader', lease.held() ? 1 : 0)
    given.prober?.update(lease.held() ? probesOf(input, us) : [])
    unproven = unprovenRules(input.reports)
    await breathe()
    const { findings = new Map(), unlisted } = input
    const wiring = wiringEvents(findings, faults, { now: clock.ticks(), telling: lease.held(), unlisted })
    faults = wiring.known
    soon(wiring.wait)
    if (!lease.held()) {
      const { trouble, retryAfter } = await shared.publish(unproven, input.world, signal)
      say.trouble(trouble)
      return soon(retryAfter)
    }
    const tls = given.tls?.()
    const chosen = { ...given.options, ...(tls === undefined ? {} : { tls }) }
    const options = { ...chosen, versions: await versions(chosen, signal) }
    const desired = await inSteps(reconciler({ ...input, us, options, evidence, now: clock.now() }), breathe)
    const { statuses, foreign, trouble, retryAfter } = await write(desired, signal)
    say.foreign([...desired.foreign, ...foreign].map(foreignSay))
    say.trouble(trouble)
    soon(retryAfter)
    await events.tell([...statuses.flatMap((one) => one.events), ...wiring.events], signal)
  }
  const wake = (): void => {
    soon(pause)
    arm()
  }
  const turn = (): void => {
    const now = clock.ticks()
    if (lease.held()) shared.gather(unproven, stop.signal).catch(() => undefined)
    // A large world is not gone through for each rule that is seen for the first time.
    const news = (seen !== evidence.version() && now - last >= cost * 5) || now - last >= resync
    if (observed === undefined || running !== undefined || (!news && (due ?? Infinity) > now)) return arm()
    due = undefined
    last = now
    running = round(observed)
      .then(
        () => void (failing = false),
        (cause: unknown) => {
          if (stop.signal.aborted) return
          if (!failing) warn(`A round of registration failed: ${cause instanceof Error ? cause.message : 'unknown'}.`)
          failing = true
          soon(5000)
        },
      )
      .finally(() => {
        running = undefined
        cost = clock.ticks() - now
        arm()
      })
  }
  let timer: NodeJS.Timeout | undefined
  const arm = (): void => {
    clearTimeout(timer)
    if (stop.signal.aborted) return
    const until = Math.max(pause / 5, (due ?? Infinity) - clock.ticks())
    timer = setTimeout(turn, Math.min(look, until)).unref()
  }
  return {
    update: (next) => {
      observed = next
      wake()
    },
    wake,
    close: async () => {
      stop.abort()
      clearTimeout(timer)
      await running
      await shared.close()
    },
  }
}

const foreignSay = ({ kind, namespace, name }: ObjectName): string =>
  kind === 'AuthPolicy'
    ? `The status of AuthPolicy ${namespace}/${name} belongs to another field manager and is left alone.`
    : `There is a ${kind} ${namespace}/${name} that Gatehouse did not make; it is left alone, and ours is missing.`

/** Says each thing when it begins, and not again while it lasts. */
function once(warn: (sentence: string) => void): {
  readonly foreign: (sentences: readonly string[]) => void
  readonly trouble: (sentence: string | undefined) => void
} {
  let known: ReadonlySet<string> = new Set()
  let troubled = false
  return {
    foreign: (sentences) => {
      for (const sentence of sentences) if (!known.has(sentence)) warn(sentence)
      known = new Set(sentences)
    },
    trouble: (sentence) => {
      if (sentence !== undefined && !troubled) warn(sentence)
      troubled = sentence !== undefined
    },
  }
}

/** Versions are asked for when they are needed, and again now and then: a definition may come late. */
function rememberVersions(
  client: KubeClient,
  { ticks }: Clock,
): (options: Omit<RegistrationOptions, 'versions'>, signal: AbortSignal) => Promise<RegistrationOptions['versions']> {
  let known: { readonly versions: RegistrationOptions['versions']; readonly at: number } | undefined
  return async ({ admits, tls }, signal) => {
    if (admits === undefined && tls === undefined) return {}
    const whole = known?.versions.ReferenceGrant !== undefined && known.versions.BackendTLSPolicy !== undefined
    if (known !== undefined && ticks() - known.at < (whole ? resync : 30_000)) return known.versions
    known = { versions: await servedVersions(client, signal), at: ticks() }
    return known.versions
  }
}
