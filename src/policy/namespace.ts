import type { Services } from '../authn/services.ts'
import { latest, memo, steady } from '../model/memo.ts'
import type { Finding, Result } from '../model/result.ts'
import { createCandidates } from './candidates.ts'
import type { Candidates } from './candidates.ts'
import type { PolicyCandidate } from './candidate.ts'
import { indexDataObjects, parseDataObject } from './data-objects.ts'
import { distinct } from './distinct.ts'
import { parseGateway, parseListenerSet, sameGateway } from './gateway.ts'
import type { Gateway, ListenerSet } from './gateway.ts'
import { parseHttpRoute } from './gateway-api.ts'
import type { HttpRoute } from './gateway-api.ts'
import { sharedHold } from './hold.ts'
import type { Hold } from './hold.ts'
import { createLastGood } from './last-good.ts'
import type { Readings } from './last-good.ts'
import type { Located, Manifest } from './manifest.ts'
import { misspeltKeys } from './misspelt-keys.ts'
import { createPolicyStore } from './policy-store.ts'
import type { CompiledPolicy } from './policy-store.ts'
import { regexFindings } from './regex-findings.ts'
import type { Policy } from './snapshot.ts'
import { gatewaysNamed } from './target-fault.ts'
import { claimsOf, named } from './topology.ts'
import type { Claims } from './topology.ts'

/**
 * What was read of one namespace, before anything beyond it is looked at: objects of one name, policies and the Secrets that they
 * refer to, and routes and the policies that name them, are always in the same one.
 */
export interface Namespace {
  readonly name: string
  readonly findings: readonly Located[]
  /** What may be anything. */
  readonly unknown: readonly Manifest[]
  readonly routes: Readings<HttpRoute>
  readonly routesByName: ReadonlyMap<string, HttpRoute>
  readonly gateways: Readings<Gateway>
  readonly listenerSets: Readings<ListenerSet>
  readonly candidates: Candidates
  /** Policies of which the targets cannot be read. */
  readonly vague: readonly Manifest[]
  readonly claims: Claims
  readonly compiled: readonly CompiledPolicy[]
  /** Holds all of them. */
  readonly hold: Hold
  /** The policy of a candidate of this namespace, where it could be compiled. */
  readonly policyOf: (candidate: PolicyCandidate) => Policy | undefined
  /** Gateways, `namespace/name`, that its routes name as their parents. */
  readonly gatewaysNamed: readonly string[]
}

/** Reads the manifests of one namespace. As long as they are the same, so is the answer: the very same object. */
export function createNamespace(name: string, services: Services): (manifests: readonly Manifest[]) => Namespace {
  const httpRoutes = createLastGood(parseHttpRoute)
  const gatewaysOf = createLastGood(parseGateway, sameGateway)
  const setsOf = createLastGood(parseListenerSet)
  const dataObject = memo(parseDataObject)
  const candidatesOf = createCandidates()
  const store = createPolicyStore(services)
  const listed = steady<Manifest>()
  const read = latest((given: readonly Manifest[]): Namespace => {
    const findings: Located[] = []
    const report = (manifest: Manifest, some: readonly Finding[]): void => {
      for (const finding of some) findings.push({ manifest, finding })
    }
    const manifests = distinct(given, report)
    const readAll = <T>(kind: string, parse: (manifest: Manifest) => Result<T>): readonly T[] =>
      manifests.of(kind).flatMap((manifest) => {
        const result = parse(manifest)
        if (result.ok) return [result.value]
        report(manifest, result.findings)
        return []
      })
    const lastGood = <T>(kind: string, parse: ReturnType<typeof createLastGood<T>>) =>
      parse(manifests.of(kind), manifests.doubled, report)
    const candidates = candidatesOf(manifests.of('AuthPolicy'), manifests.doubled, report)
    const data = indexDataObjects([...readAll('Secret', dataObject), ...readAll('ConfigMap', dataObject)])
    const gateways = lastGood('Gateway', gatewaysOf)
    const routes = lastGood('HTTPRoute', httpRoutes)
    const listenerSets = lastGood('ListenerSet', setsOf)
    for (const manifest of manifests.all) report(manifest, misspeltKeys(manifest))
    for (const route of routes.usable) report(route.manifest, regexFindings(route))
    const compiled = store.compile(candidates.all, data)
    for (const { candidate, result, advice } of compiled)
      report(candidate.manifest, result.ok ? advice : result.findings)
    const policies = new Map(compiled.map((one) => [one.candidate, one.result.ok ? one.result.value : undefined]))
    return {
      name,
      findings,
      unknown: manifests.unknown,
      routes,
      routesByName: named(routes.usable),
      gateways,
      listenerSets,
      candidates,
      vague: candidates.all.flatMap((one) => (one.claimsNamespace ? one.manifest : [])),
      claims: claimsOf(candidates.all),
      compiled,
      hold: sharedHold(() => {
        const holds = compiled.map((one) => one.hold())
        return () => {
          for (const letGo of holds) letGo()
        }
      }),
      policyOf: (candidate) => policies.get(candidate),
      gatewaysNamed: gatewaysNamed(routes.usable),
    }
  })
  return (manifests) => read(listed(manifests))
}
