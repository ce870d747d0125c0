import { readInSteps, worldOf } from '../cluster/objects.ts'
import { createDoctor } from '../doctor/examine.ts'
import type { Doctor } from '../doctor/examine.ts'
import { needsByRoute } from '../doctor/rule-needs.ts'
import type { Diagnosis } from '../doctor/diagnosis.ts'
import type { DecisionRecord } from '../engine/engine.ts'
import type { State } from '../gatehouse.ts'
import { createController } from '../kubernetes/controller.ts'
import { createProber } from '../kubernetes/probe.ts'
import { createLease } from '../kubernetes/lease.ts'
import { classOf } from '../model/decision.ts'
import { createBreath, inSteps } from '../model/breath.ts'
import type { Breathe } from '../model/breath.ts'
import type { Clock } from '../model/clock.ts'
import { memo } from '../model/memo.ts'
import type { Problem } from '../model/result.ts'
import type { Telemetry } from '../model/telemetry.ts'
import { createEvidence } from '../registration/evidence.ts'
import { ownMetadata } from '../registration/own-object.ts'
import { missingService } from '../registration/missing-service.ts'
import { parseLabelSelector } from '../registration/label-selector.ts'
import { gatewayAddresses, witnessOf } from '../registration/witness.ts'
import type { Callers } from '../registration/witness.ts'
import type { Settings } from '../settings.ts'
import type { Cluster } from './cluster.ts'
import { inTurn } from './in-turn.ts'
import { showProblem } from './show-problems.ts'
import { followTls } from './tls-registration.ts'
import { believes } from './trust.ts'
import { UsageError } from './usage-error.ts'

/** Keeps statuses and our own objects in the cluster as they should be; decisions never wait for it. */
export interface Registrar {
  readonly record: (record: DecisionRecord) => void
  readonly update: (state: State) => void
  readonly close: () => Promise<void>
}

export interface RegistrarParts {
  readonly cluster: Cluster
  readonly settings: Settings
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** Name of this replica. */
  readonly identity: string
  readonly warn: (sentence: string) => void
}

/** Starts asking for the lease; writes begin with the first state, on the replica that holds it. */
export function startRegistrar({ cluster, settings, clock, telemetry, identity, warn }: RegistrarParts): Registrar {
  const { client, us } = cluster
  const evidence = createEvidence(clock.now())
  let latest: State | undefined
  let callers: Callers = {
    certificates: settings.tlsClientCa !== undefined,
    gateways: new Set(),
  }
  const lease = createLease({
    client,
    clock,
    namespace: us.namespace,
    // The one name that deploy/base lets us renew.
    name: us.name,
    identity,
    onChange: () => controller.wake(),
    warn,
    metadata: () => ownMetadata(worldOf(latest?.manifests ?? []), us),
  })
  const prober = settings.probe ? createProber({ evidence, clock }) : undefined
  const tls = followTls({ settings, onChange: () => controller.wake(), warn })
  const controller = createController({
    client,
    lease,
    clock,
    telemetry,
    us,
    evidence,
    identity,
    warn,
    options: admission(settings),
    tls: tls.current,
    ...(prober === undefined ? {} : { prober }),
  })
  const budgets = { HTTP: settings.httpBudget, GRPC: settings.grpcBudget }
  const doctor = createDoctor({ us, budgets, trust: believes(settings.trustedProxies) })
  let unseen: readonly string[] = []
  const examinations = inTurn<State>({
    ticks: clock.ticks,
    rest: 2,
    work: async (state) => {
      // What stands in the cluster for our TLS is not taken away before it is known whether we serve any.
      const [seen] = await Promise.all([observed(state, doctor, createBreath(clock.ticks)), tls.read])
      telemetry.level('wiring-findings', seen.errors)
      const missing = missingService(seen.world, us, { ...settings, problems: state.problems }).map(showProblem)
      for (const line of missing) if (!unseen.includes(line)) warn(line)
      unseen = missing
      callers = { ...callers, gateways: gatewayAddresses(seen.world) }
      controller.update(seen)
    },
    failed: () => warn('The wiring could not be examined; statuses stay as they are.'),
  })
  lease.start()
  return {
    record: ({ rule, decision, request }) => {
      // A check that does not fit its rule tells nothing of the gateway that the rule is behind.
      const fits = decision.kind === 'allow' || classOf(decision.reason) !== 'unroutable'
      if (rule !== undefined && fits) evidence.seen(rule, clock.now(), witnessOf(request.caller, callers))
    },
    update: (state) => {
      latest = state
      examinations.offer(state)
    },
    close: async () => {
      tls.close()
      await examinations.close()
      await controller.close()
      await prober?.close()
      await lease.close()
    },
  }
}

function admission({ grantNamespaces }: Settings): Parameters<typeof createController>[0]['options'] {
  if (grantNamespaces === undefined) return {}
  if (grantNamespaces.trim() === '') return { admits: () => true }
  const selector = parseLabelSelector(grantNamespaces)
  if (selector.ok) return { admits: selector.value }
  throw new UsageError(`--grant-namespaces: ${selector.findings.map(({ say }) => say).join('; ')}`)
}

/** What the controller is told of a state, with what the doctor says of it. */
async function observed(state: State, doctor: Doctor, breathe: Breathe) {
  const world = worldOf(state.manifests)
  const reports = state.reports()
  await inSteps(readInSteps(world), breathe)
  const { routes, others } = await inSteps(doctor(world, needsByRoute(state.sites)), breathe)
  const errors = [...routes.values()].reduce((sum, found) => sum + errorsIn(found), countErrors(others))
  return {
    world,
    reports,
    findings: routes,
    errors,
    unlisted: new Set(state.problems.some(hidesObjects) ? listed : []),
  }
}

const countErrors = (found: readonly Diagnosis[]): number => found.filter(({ severity }) => severity === 'error').length

const errorsIn = memo((found: ReadonlyMap<string, readonly Diagnosis[]>): number =>
  countErrors([...found.values()].flat()),
)

/** Kinds for the lack of which something would be removed. */
const listed = ['HTTPRoute', 'Namespace', 'ReferenceGrant']

const hidesObjects = ({ code }: Problem): boolean => code === 'missing-permission' || code === 'api-unreachable'
