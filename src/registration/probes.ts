import type { ClusterObject, OurService } from '../cluster/objects.ts'
import { showRoute } from '../model/route.ts'
import { reachesIn } from '../doctor/reach.ts'
import type { Reach } from '../doctor/reach.ts'
import { hostMatches, intersectHostname } from '../policy/hostname.ts'
import type { PolicyReport } from '../policy/report.ts'
import type { OurRoute } from './our-routes.ts'
import { showRef } from './parents.ts'
import type { Observed } from './reconcile.ts'
import { surveyOf } from './survey.ts'

/** One request without credentials that tells whether a gateway asks for a rule. */
export interface Probe {
  /** `Gateway namespace/name` */
  readonly gateway: string
  /** `namespace/route/rule` */
  readonly rule: string
  readonly address: string
  readonly port: number
  readonly scheme: 'http' | 'https'
  /** Host that the rule is reached under. */
  readonly host: string
  readonly method: 'GET' | 'HEAD'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

type Match = ClusterObject<'HTTPRoute'>['object']['spec']['rules'][number]['matches'][number]

/**
 * Every rule that can be probed at every gateway that accepts its route. Only rules whose policy refuses strangers, by a method
 * that changes nothing: where the gateway does not ask, the backend gets the request.
 */
export function probesOf({ world, reports }: Observed, us: OurService): readonly Probe[] {
  const { reached } = surveyOf(world, us)
  const reachOf = reachesIn(world)
  return reports.filter(refusesStrangers).flatMap(({ rules }) =>
    rules
      .filter(({ standing }) => standing === 'in-force')
      .flatMap(({ key }) => {
        const found = reached(`${key.namespace}/${key.route}`)
        const request = found && requestOf(found.route, key.rule)
        if (found === undefined || request === undefined) return []
        const ways = new Map(reachOf(found.route.route).map((one) => [`Gateway ${one.id}`, one]))
        return found.parents
          .filter(({ accepted }) => accepted.status === 'True')
          .flatMap(({ ref }) => {
            const reach = ways.get(showRef(ref))
            const way = reach && wayThrough(reach, found.route)
            return way === undefined ? [] : [{ gateway: showRef(ref), rule: showRoute(key), ...way, ...request }]
          })
      }),
  )
}

function refusesStrangers({ verdict, manifest }: PolicyReport): boolean {
  const { spec } = manifest.object as { readonly spec?: { readonly guest?: unknown; readonly mode?: unknown } }
  return verdict === 'usable' && spec?.guest === undefined && spec?.mode !== 'Shadow'
}

/** A request that only this rule can be meant by, as far as its first match says; undefined where none can be made safely. */
function requestOf({ route, carries }: OurRoute, rule: string): Pick<Probe, 'method' | 'path' | 'headers'> | undefined {
  const named = route.object.spec.rules.filter(({ name }) => name === rule)
  if (carries(rule) !== 'all' || named.length !== 1) return undefined
  const [match] = named[0]?.matches ?? []
  if (match === undefined) return { method: 'GET', path: '/', headers: {} }
  const { method = 'GET', path, queryParams, headers } = match
  const exact = [...queryParams, ...headers].every(({ type }) => type === 'Exact')
  if ((method !== 'GET' && method !== 'HEAD') || path.type === 'RegularExpression' || !exact) return undefined
  return {
    method,
    path: path.value + query(match),
    headers: Object.fromEntries(headers.map(({ name, value }) => [name, value])),
  }
}

const query = ({ queryParams }: Match): string =>
  queryParams.length === 0
    ? ''
    : `?${new URLSearchParams(queryParams.map(({ name, value }): [string, string] => [name, value])).toString()}`

type Way = Pick<Probe, 'address' | 'port' | 'scheme' | 'host'>

/** An address of the Gateway, and a listener that the route attaches to with a host that it serves there. */
function wayThrough({ gateway, listeners }: Reach, { route }: OurRoute): Way | undefined {
  const [address] = gateway?.object.status.addresses ?? []
  if (address === undefined) return undefined
  const { hostnames } = route.object.spec
  const wanted = hostnames.length === 0 ? [''] : hostnames.map((one) => one.toLowerCase())
  for (const { hostname, port, protocol } of listeners) {
    const host = hostOf(hostname.toLowerCase(), wanted, address.value)
    if ((protocol !== 'HTTP' && protocol !== 'HTTPS') || host === undefined) continue
    return { address: address.value, port, scheme: protocol === 'HTTP' ? 'http' : 'https', host }
  }
  return undefined
}

/** A host that the route serves at a listener, one of a wildcard where it has nothing else. */
function hostOf(listener: string, wanted: readonly string[], address: string): string | undefined {
  const common = wanted.map((one) => intersectHostname(listener, one)).find((one) => one !== undefined)
  if (common === undefined || common === '') return common === undefined ? undefined : address
  const host = common.replace(/^\*/, 'gatehouse-probe')
  return hostMatches(common, host) ? host : undefined
}
