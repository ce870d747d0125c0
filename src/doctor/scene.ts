import { asksUs } from '../cluster/objects.ts'
import type { ClusterObject, OurService } from '../cluster/objects.ts'
import { unnamedRule } from '../model/route.ts'
import type { RouteKey } from '../model/route.ts'
import type { Path } from '../model/result.ts'
import type { Manifest } from '../policy/manifest.ts'
import type { Reach } from './reach.ts'
import type { RuleNeeds } from './rule-needs.ts'

/** Who we are, and what the operator decided. */
export interface Settled {
  /** Our Service; undefined for a directory, where every ExternalAuth filter is taken for ours. */
  readonly us: OurService | undefined
  /** Milliseconds that an answer may take, by protocol (`--http-budget`, `--grpc-budget`). */
  readonly budgets?: Readonly<Record<'HTTP' | 'GRPC', number>>
  /** Whose forwarded headers are believed (`--trusted-proxies`): only this very machine's, or others' too; undefined where nobody said. */
  readonly trust?: 'loopback' | 'others'
}

export type HttpRoute = ClusterObject<'HTTPRoute'>
export type HttpRouteRule = HttpRoute['object']['spec']['rules'][number]
export type RouteFilter = HttpRouteRule['filters'][number]
export type ExternalAuth = NonNullable<RouteFilter['externalAuth']>

/** The filter of a rule that asks us. */
export interface OurFilter {
  /** Place of the filter in the route. */
  readonly path: Path
  readonly auth: ExternalAuth
  /** Which of our ports it asks; undefined where it is none of them, or where they are not known. */
  readonly port: keyof OurService['ports'] | undefined
}

/** One rule of one route, with all that bears on it. */
export interface RuleSite {
  readonly route: HttpRoute
  readonly index: number
  readonly rule: HttpRouteRule
  readonly key: RouteKey
  readonly reach: readonly Reach[]
  readonly filter: OurFilter | undefined
  /** What its policy needs; undefined where no policy is in force. */
  readonly needs: RuleNeeds | undefined
}

/** What a check sees beside the rule that it looks at. */
export interface Scene extends Settled {
  readonly budgets: Readonly<Record<'HTTP' | 'GRPC', number>>
  readonly meshes: readonly ClusterObject<'XMesh'>[]
  /** An AuthPolicy by `namespace/name`. */
  readonly policyOf: (name: string) => Manifest | undefined
}

/** The ports that a Service of Gatehouse has where nobody said otherwise. */
export const usualPorts: OurService['ports'] = { grpc: 9001, http: 9002, matching: 9003 }

/** Puts a route, its gateways and its policies together, once for all checks. */
export function sitesOf(
  route: HttpRoute,
  reach: readonly Reach[],
  needs: readonly RuleNeeds[],
  us: OurService | undefined,
): readonly RuleSite[] {
  const { namespace, name } = route.manifest
  return route.object.spec.rules.map((rule, index) => {
    const key = { namespace, route: name, rule: rule.name ?? unnamedRule }
    const own = needs.findLast((one) => one.key.rule === key.rule)
    return { route, index, rule, key, reach, filter: ourFilter(route, index, us), needs: own }
  })
}

function ourFilter({ manifest, object }: HttpRoute, index: number, us: OurService | undefined): OurFilter | undefined {
  const filters = object.spec.rules[index]?.filters ?? []
  for (const [position, { externalAuth: auth }] of filters.entries()) {
    if (auth !== undefined && ours(auth, manifest.namespace, us)) {
      return { path: ['spec', 'rules', index, 'filters', position], auth, port: portOf(auth, us) }
    }
  }
  return undefined
}

/** True where a filter of a route in this namespace asks us, or in a directory where it asks any Service. */
export const ours = ({ backendRef }: ExternalAuth, namespace: string, us: OurService | undefined): boolean =>
  us === undefined ? backendRef.group === '' && backendRef.kind === 'Service' : asksUs(backendRef, namespace, us)

function portOf({ backendRef }: ExternalAuth, us: OurService | undefined): OurFilter['port'] {
  if (us === undefined) return undefined
  const known = (['grpc', 'http', 'matching'] as const).filter((name) => us.ports[name] === backendRef.port)
  return known[0]
}

/** Controllers of a site's gateways, each once. */
export const controllersOf = ({ reach }: RuleSite) => [...new Set(reach.flatMap(({ controller }) => controller ?? []))]
