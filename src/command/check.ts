import { worldOf } from '../cluster/objects.ts'
import { examine } from '../doctor/examine.ts'
import type { Diagnosis } from '../doctor/diagnosis.ts'
import { ruleNeeds } from '../doctor/rule-needs.ts'
import { silent } from '../model/telemetry.ts'
import type { Severity } from '../model/result.ts'
import { showRoute } from '../model/route.ts'
import { createCompiler } from '../policy/compile.ts'
import type { OurService } from '../policy/gateway-api.ts'
import { offlineServices, systemClock } from '../services.ts'
import type { Settings } from '../settings.ts'
import { readDirectory } from '../source/files.ts'
import type { SourceState } from '../source/source.ts'
import { openCluster } from './cluster.ts'
import { showDiagnosis } from './show-diagnosis.ts'
import { countProblems, showProblem } from './show-problems.ts'
import { UsageError } from './usage-error.ts'

/** What `gatehouse check` found, ready to print. */
export interface CheckReport {
  readonly lines: readonly string[]
  /** 1 where anything is an error. */
  readonly exitCode: 0 | 1
}

/** Reads a directory as `serve` would, without asking any issuer, and tells everything that is wrong with it. */
export const checkDirectory = async (directory: string, settings: Settings): Promise<CheckReport> =>
  check(await readDirectory(directory), settings, undefined)

/** The same for a cluster as it is now; reads, and writes nothing. */
export async function checkCluster(settings: Settings): Promise<CheckReport> {
  const said: string[] = []
  const cluster = openCluster(settings, { clock: systemClock, telemetry: silent, warn: (line) => said.push(line) })
  try {
    const state = await Promise.race([firstState(cluster.source), later(patience)])
    if (state !== undefined) return await check(state, settings, cluster.us)
    throw new UsageError(
      `the cluster did not answer within ${patience / 1000} s${said.length === 0 ? '' : `. ${said.join(' ')}`}`,
    )
  } finally {
    await cluster.source.close()
    await cluster.close()
  }
}

const patience = 30_000

const later = (millis: number): Promise<undefined> =>
  new Promise((done) => {
    setTimeout(done, millis, undefined).unref()
  })

async function firstState(source: ReturnType<typeof openCluster>['source']): Promise<SourceState | undefined> {
  let first: SourceState | undefined
  await source.start((state) => (first ??= state))
  return first
}

async function check(state: SourceState, settings: Settings, us: OurService | undefined): Promise<CheckReport> {
  const services = offlineServices()
  try {
    const { snapshot, problems, reports } = createCompiler(services, us)(state.manifests)
    const { rules } = snapshot
    const budgets = { HTTP: settings.httpBudget, GRPC: settings.grpcBudget }
    const wiring = examine({ world: worldOf(state.manifests), us, rules: ruleNeeds(rules, reports()), budgets })
    snapshot.release()
    const read = [...state.problems, ...problems]
    const all: readonly { readonly severity: Severity }[] = [...read, ...wiring]
    const refused = rules.filter(({ policy }) => policy === undefined)
    return {
      lines: [
        ...read.map(showProblem),
        ...wiring.filter((one) => !told(one, problems)).map(showDiagnosis),
        ...(all.length === 0 ? [] : ['']),
        `${rules.length - refused.length} rules protected, ${refused.length} refusing everything, ${countProblems(all)}`,
        ...refused.map(({ key, refusal }) => `  ${showRoute(key)} refuses everything: ${refusal ?? 'no-policy'}`),
      ],
      exitCode: all.some(({ severity }) => severity === 'error') ? 1 : 0,
    }
  } finally {
    await services.close()
  }
}

/** True where the compiler has said the same of the same object. */
const told = (one: Diagnosis, problems: readonly { readonly code: string; readonly object?: string }[]): boolean =>
  problems.some(({ code, object }) => code === one.code && object?.endsWith(`/${one.object.name}`) === true)
