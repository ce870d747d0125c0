import { z } from 'zod'
import { showEntry } from '../authn/password-file.ts'
import type { PlacedFinding } from '../authn/password-file.ts'
import { worldOf } from '../cluster/objects.ts'
import { showFix } from '../doctor/diagnosis.ts'
import type { Diagnosis } from '../doctor/diagnosis.ts'
import { examine } from '../doctor/examine.ts'
import { ruleNeeds } from '../doctor/rule-needs.ts'
import type { DenyReason } from '../model/decision.ts'
import { silent } from '../model/telemetry.ts'
import { authRequest } from '../model/request.ts'
import { showPath, weakness } from '../model/result.ts'
import type { Problem } from '../model/result.ts'
import { showRoute } from '../model/route.ts'
import { address, createCompiler } from '../policy/compile.ts'
import { distinct } from '../policy/distinct.ts'
import type { OurService } from '../policy/gateway-api.ts'
import { showObject } from '../policy/manifest.ts'
import type { Manifest } from '../policy/manifest.ts'
import type { Policy, Rule } from '../policy/snapshot.ts'
import { missingService } from '../registration/missing-service.ts'
import { offlineServices, systemClock } from '../services.ts'
import type { Settings } from '../settings.ts'
import { settingsTable } from '../settings-table.ts'
import { readDirectory } from '../source/files.ts'
import type { SourceState } from '../source/source.ts'
import { openCluster } from './cluster.ts'
import { believes } from './trust.ts'
import { UsageError } from './usage-error.ts'

/** One thing that is wrong, weak or worth knowing, with the YAML that mends it where there is some. */
export interface Reported extends Problem {
  readonly fix?: string
}

/** What `gatehouse check` found. */
export interface CheckReport {
  /** Each thing once, object by object. */
  readonly findings: readonly Reported[]
  /** How many rules have a policy that can be used. */
  readonly protectedRules: number
  /** `told`: a finding above is about this very rule. */
  readonly refusing: readonly { readonly rule: string; readonly reason: DenyReason; readonly told: boolean }[]
}

/** Reads a directory as `serve` would, without asking any issuer, and tells everything that is wrong with it. */
export const checkDirectory = async (directory: string, settings: Settings): Promise<CheckReport> =>
  check(await readDirectory(directory), settings, undefined)

/** The same for a cluster as it is now; reads, and writes nothing. */
export async function checkCluster(settings: Settings): Promise<CheckReport> {
  const said = new Set<string>()
  const wait = waiting()
  const warn = (line: string): void => {
    said.add(line)
    wait.shorten()
  }
  const cluster = openCluster(settings, { clock: systemClock, telemetry: silent, warn })
  try {
    const state = await Promise.race([firstState(cluster.source), wait.over])
    if (state !== undefined) return await check(state, settings, cluster.us)
    throw new UsageError(
      `the cluster of KUBECONFIG (or ~/.kube/config) did not answer in time${said.size === 0 ? '' : `. ${[...said].join(' ')}`}`,
    )
  } finally {
    wait.end()
    await cluster.source.close()
    await cluster.close()
  }
}

/** Milliseconds for a cluster that is slow, and for one that has already said what is wrong. */
const patience = { slow: 180_000, troubled: 5000 } as const

/** The end of patience. Its clock keeps the process alive: what waits for a cluster that is not there has nothing else to do it. */
function waiting() {
  const { promise: over, resolve } = Promise.withResolvers<undefined>()
  const end = (): void => resolve(undefined)
  const timers = [setTimeout(end, patience.slow)]
  return {
    over,
    shorten: (): void => {
      if (timers.length === 1) timers.push(setTimeout(end, patience.troubled))
    },
    end: (): void => timers.forEach((timer) => clearTimeout(timer)),
  }
}

async function firstState(source: ReturnType<typeof openCluster>['source']): Promise<SourceState | undefined> {
  let first: SourceState | undefined
  await source.start((state) => (first ??= state))
  return first
}

/** What is wrong with a state of a source. */
export async function check(state: SourceState, settings: Settings, us: OurService | undefined): Promise<CheckReport> {
  const services = offlineServices()
  try {
    const { snapshot, sites, problems } = createCompiler(services, us)(state.manifests)
    const { rules } = snapshot
    // The second object of a name is a problem of its own, and nothing that anybody serves.
    const world = worldOf(distinct(state.manifests, () => undefined).all)
    const budgets = { HTTP: settings.httpBudget, GRPC: settings.grpcBudget }
    const opened = openToGuests(rules, world.manifests)
    const unseen = us === undefined ? [] : missingService(world, us, { ...settings, problems: state.problems })
    const wiring = examine({ world, us, rules: ruleNeeds(sites), budgets, ...trust(settings) })
    snapshot.release()
    const refused = rules.filter(({ policy }) => policy === undefined)
    const told = new Set(wiring.flatMap(({ code, key }) => (key && explains.has(code) ? showRoute(key) : [])))
    return {
      findings: once([...state.problems, ...unseen, ...problems.map(inItsFile(state.manifests)), ...opened], wiring),
      protectedRules: rules.length - refused.length,
      refusing: refused.map(({ key, refusal = 'no-policy' }) => {
        const rule = showRoute(key)
        return { rule, reason: refusal, told: told.has(rule) }
      }),
    }
  } finally {
    await services.close()
  }
}

/** Policies whose conditions let everybody in after all: the compiler sees only that there are some. */
function openToGuests(rules: readonly Rule[], manifests: readonly Manifest[]): readonly Problem[] {
  const open = rules.flatMap(({ policy, ...rule }) =>
    policy !== undefined && admitsGuest(rule, policy) ? [[policy.name, showRoute(rule.key)] as const] : [],
  )
  const byPolicy = Map.groupBy(open, ([name]) => name)
  return manifests.flatMap((manifest) => {
    const [first] = byPolicy.get(`${manifest.namespace}/${manifest.name}`) ?? []
    if (manifest.kind !== 'AuthPolicy' || first === undefined) return []
    const say = `lets in everybody who presents no credential: at ${first[1]} its conditions hold for a plain GET of /`
    return [address(manifest, { ...weakness('allows-everybody', ['spec', 'guest'], say), severity: 'note' })]
  })
}

/** Only what is answered at once counts: to wait would mean that somebody else is asked. */
function admitsGuest(
  { key, hostnames: [host = ''] }: Pick<Rule, 'key' | 'hostnames'>,
  { guest: identity, conditions }: Policy,
): boolean {
  if (identity === undefined || conditions.length === 0) return false
  const claim = { kind: 'key', key } as const
  const authority = host === '' ? 'localhost' : host.replace(/^\*/, 'www')
  const request = authRequest({ via: 'check', claim, method: 'GET', authority, target: '/', headers: new Map() })
  const { signal } = new AbortController()
  return conditions.every((condition) => {
    const answer = condition({ request, identity, rule: key }, signal)
    return !(answer instanceof Promise) && answer.kind === 'true'
  })
}

/** Names the file and line of a password file's entry too: the finding itself stands at the policy that uses it. */
const inItsFile =
  (manifests: readonly Manifest[]) =>
  (problem: Problem & Partial<PlacedFinding>): Problem => {
    const { entry, say } = problem
    const found = entry && manifests.find((one) => showObject(one) === showObject(entry))
    if (entry === undefined || found?.file === undefined) return problem
    const texts = z.looseObject({ stringData: z.looseObject({ [entry.key]: z.string() }) })
    const line = found.line([texts.safeParse(found.object).success ? 'stringData' : 'data', entry.key])
    const file = line === undefined ? found.file : `${found.file}:${line}`
    return { ...problem, say: say.replace(showEntry(entry), () => `${showEntry(entry)} (${file})`) }
  }

/** Findings that say that a rule refuses everything. */
const explains: ReadonlySet<string> = new Set(['filter-without-policy', 'duplicate-rule'])

/** Only `serve` knows whom it believes: here it counts where it was said. */
const trust = ({ trustedProxies }: Settings): { trust?: 'loopback' | 'others' } =>
  trustedProxies === settingsTable.trustedProxies.fallback ? {} : { trust: believes(trustedProxies) }

/** Both lists, object by object; what both say of one place is told by the doctor, who has the YAML. */
function once(problems: readonly Problem[], wiring: readonly Diagnosis[]): readonly Reported[] {
  const diagnosed = wiring.map(reported)
  const places = new Set(diagnosed.map(placeOf))
  const all: readonly Reported[] = [...problems.filter((one) => !places.has(placeOf(one))), ...diagnosed]
  return [...Map.groupBy(all, ({ object, file }) => object ?? file).values()].flatMap((ofObject) =>
    ofObject.toSorted((one, other) => (one.line ?? 0) - (other.line ?? 0)),
  )
}

const placeOf = ({ code, object, file, path }: Problem): string =>
  JSON.stringify([code, object ?? file, showPath(path)])

function reported(one: Diagnosis): Reported {
  const { code, severity, path, say, mend, object } = one
  const problem = address(object, { code, severity, path, say, ...(mend === undefined ? {} : { mend }) })
  const fix = showFix(one)
  return fix === undefined ? problem : { ...problem, fix }
}
