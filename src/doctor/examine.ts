import { showObject } from '../policy/manifest.ts'
import { passage, waiting } from './answers.ts'
import { clientCertificates } from './client-certificates.ts'
import { filterAndPolicy, filterPlaces } from './coverage.ts'
import type { Diagnosis } from './diagnosis.ts'
import { checkedPath, portAndProtocol } from './filter-address.ts'
import { requestHeaders, responseHeaders } from './filter-headers.ts'
import { filterSupport, routeAcceptance } from './filter-support.ts'
import { grpcRoutes } from './grpc-routes.ts'
import { keptHeaders, matchedHeaders, overwrittenHeaders } from './header-conflicts.ts'
import { meshSupport } from './mesh-support.ts'
import { ruleNames } from './rule-names.ts'
import { sceneOf } from './scene.ts'
import type { Given, RuleSite, Scene } from './scene.ts'
import { referenceGrants, servicePorts } from './service-wiring.ts'
import { shadowing } from './shadowing.ts'
import { trustedGateways } from './trusted-gateways.ts'

/** Checks that look at one rule. To add one: write it in the file of its subject, add it here. */
const ruleChecks: readonly ((site: RuleSite, scene: Scene) => readonly Diagnosis[])[] = [
  filterAndPolicy,
  filterPlaces,
  filterSupport,
  meshSupport,
  portAndProtocol,
  checkedPath,
  responseHeaders,
  requestHeaders,
  overwrittenHeaders,
  keptHeaders,
  waiting,
  passage,
]

/** Checks that look at several rules or objects at once. */
const worldChecks: readonly ((scene: Scene) => readonly Diagnosis[])[] = [
  ruleNames,
  referenceGrants,
  servicePorts,
  trustedGateways,
  shadowing,
  matchedHeaders,
  clientCertificates,
  routeAcceptance,
  grpcRoutes,
]

/** Everything that is wrong, weak or worth knowing about how routes, gateways and Gatehouse are wired; by object, then place. */
export function examine(given: Given): readonly Diagnosis[] {
  const steps = examination(given)
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
  }
}

/** The same in steps of some milliseconds, with a pause after each: who answers requests in the same thread goes on answering. */
export async function examineGently(given: Given, pause: () => Promise<void>): Promise<readonly Diagnosis[]> {
  const steps = examination(given)
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
    await pause()
  }
}

const sitesAtOnce = 1000

function* examination(given: Given): Generator<undefined, readonly Diagnosis[]> {
  const scene = sceneOf(given)
  const found: Diagnosis[] = []
  const add = (more: readonly Diagnosis[]): void => {
    for (const one of more) found.push(one)
  }
  for (const [position, site] of scene.sites.entries()) {
    if (position % sitesAtOnce === 0) yield
    for (const check of ruleChecks) add(check(site, scene))
  }
  for (const check of worldChecks) {
    yield
    add(check(scene))
  }
  yield
  const placed = found.map((one) => ({ one, place: [showObject(one.object), ...one.path.map(sortable)].join(' ') }))
  placed.sort((one, other) => (one.place < other.place ? -1 : one.place > other.place ? 1 : 0))
  return placed.map(({ one }) => one)
}

/** `rules[10]` comes after `rules[9]`. */
const sortable = (step: string | number): string => (typeof step === 'number' ? String(step).padStart(6, '0') : step)
