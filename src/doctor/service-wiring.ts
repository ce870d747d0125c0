import type { ClusterObject } from '../cluster/objects.ts'
import { gatewayGroup } from '../policy/document.ts'
import type { Shared } from './client-certificates.ts'
import { diagnosis, edit, fixedBy } from './diagnosis.ts'
import type { Diagnosis } from './diagnosis.ts'
import { referenceGrant } from './reference-grant.ts'
import type { RuleSite, Scene } from './scene.ts'

/** The Services that filters ask, and what lets them: it is looked through once for all routes. */
export interface Services {
  /** `from to name` of all that grants let HTTPRoutes do. */
  readonly granted: ReadonlySet<string>
  /** Namespaces of which grants or Services are known. */
  readonly described: ReadonlySet<string>
  readonly byName: ReadonlyMap<string, ClusterObject<'Service'>>
  /** Ports that gateways call over TLS. */
  readonly secured: ReadonlySet<string>
}

export const servicesOf = (
  all: readonly ClusterObject<'Service'>[],
  given: readonly ClusterObject<'ReferenceGrant'>[],
  tls: readonly ClusterObject<'BackendTLSPolicy'>[],
): Services => ({
  granted: new Set(given.flatMap(grants)),
  described: new Set([...given, ...all].map(({ manifest }) => manifest.namespace)),
  byName: new Map(all.map((one) => [idOf(one), one])),
  secured: overTls(tls),
})

/** Filters that ask a Service of another namespace need its leave; without it some gateways serve the rule open (§B.1). */
export function referenceGrants(
  sites: readonly RuleSite[],
  { granted, described }: Services,
  { us }: Scene,
): readonly Diagnosis[] {
  return sites.flatMap(({ filter, route, key }) => {
    const { name, namespace: there } = filter?.auth.backendRef ?? { name: '', namespace: undefined }
    const here = route.manifest.namespace
    if (filter === undefined || there === undefined || there === here) return []
    // A directory seldom holds the grants; where it holds some of that namespace, this one is missing among them.
    if (us === undefined && !described.has(there)) return []
    if (granted.has(`${here} ${there} ${name}`) || granted.has(`${here} ${there} *`)) return []
    const path = [...filter.path, 'externalAuth', 'backendRef']
    const say = `no ReferenceGrant lets HTTPRoutes of ${here} ask Service ${there}/${name}: the filter may be left out and the rule be open`
    const mend = `create one in ${there}, or admit the namespace with --grant-namespaces`
    const crossing = { group: gatewayGroup, kind: 'HTTPRoute', from: here, service: { namespace: there, name } }
    const fix = { kind: 'apply', objects: [referenceGrant(crossing)] } as const
    return [diagnosis(route.manifest, { code: 'missing-grant', severity: 'error', path, say, mend, fix }, key)]
  })
}

/** `from to name` of all that a grant lets HTTPRoutes do; `*` for every Service. */
const grants = ({ manifest, object }: ClusterObject<'ReferenceGrant'>): readonly string[] => {
  const from = object.spec.from.filter(({ group, kind }) => group === gatewayGroup && kind === 'HTTPRoute').slice(0, 64)
  const to = object.spec.to.filter(({ group, kind }) => group === '' && kind === 'Service').slice(0, 64)
  return from.flatMap(({ namespace }) => to.map(({ name }) => `${namespace} ${manifest.namespace} ${name ?? '*'}`))
}

// How a Service says that its port speaks HTTP/2: KEP-3726's name, and what Istio and others took before it.
const http2 = ['kubernetes.io/h2c', 'grpc', 'grpcs', 'https', 'h2c', 'http2']

/** Filters that ask a port that their Service does not have. */
export const missingPorts = (sites: readonly RuleSite[], services: Services, scene: Scene): readonly Diagnosis[] =>
  sites.flatMap((site) => {
    const asked = askedPort(site, services)
    return asked === undefined || asked.index >= 0 ? [] : noPort(site, asked.service, asked.port, scene)
  })

/** Ports that are asked over gRPC and do not say that they speak it. */
export const silentPorts = (sites: readonly RuleSite[], services: Services, scene: Scene): readonly Shared[] =>
  sites.flatMap((site) => {
    const { service, port = 0, index = -1 } = askedPort(site, services) ?? {}
    const found = service?.object.spec.ports[index]
    if (service === undefined || found === undefined || !asksGrpc(site, scene)) return []
    const place = `${idOf(service)}/${found.name}`
    const { secured } = services
    const says = http2.includes(found.appProtocol ?? '') || secured.has(place) || secured.has(`${idOf(service)}/*`)
    return says ? [] : [{ place, finding: silentPort(service, index, port) }]
  })

/** The port that a rule's filter asks of a known Service; no port of it where the index is negative. */
function askedPort(site: RuleSite, { byName }: Services) {
  const service = byName.get(asked(site))
  const port = site.filter?.auth.backendRef.port
  if (service === undefined || port === undefined) return undefined
  return { service, port, index: service.object.spec.ports.findIndex((one) => one.port === port) }
}

const asksGrpc = ({ filter }: RuleSite, { us }: Scene): boolean =>
  filter?.auth.protocol === 'GRPC' && (us === undefined || filter.port === 'grpc')

/** `namespace/service/port name`, or `*` for all ports, of what gateways call over TLS and agree on HTTP/2 with. */
const overTls = (policies: readonly ClusterObject<'BackendTLSPolicy'>[]): ReadonlySet<string> =>
  new Set(
    policies.flatMap(({ manifest, object }) =>
      object.spec.targetRefs
        .filter(({ kind }) => kind === 'Service')
        .map(({ name, sectionName }) => `${manifest.namespace}/${name}/${sectionName ?? '*'}`),
    ),
  )

function silentPort({ manifest }: ClusterObject<'Service'>, index: number, port: number): Diagnosis {
  const path = ['spec', 'ports', index, 'appProtocol']
  const say = `port ${port} is asked over gRPC but does not say that it speaks HTTP/2: gateways may call it over HTTP/1.1`
  const mend = 'set appProtocol: kubernetes.io/h2c'
  const fix = edit(path, 'kubernetes.io/h2c')
  return diagnosis(manifest, { code: 'missing-app-protocol', severity: 'warning', path, say, mend, fix })
}

const idOf = ({ manifest }: ClusterObject<'Service'>): string => `${manifest.namespace}/${manifest.name}`

const asked = ({ filter, route }: RuleSite): string =>
  `${filter?.auth.backendRef.namespace ?? route.manifest.namespace}/${filter?.auth.backendRef.name ?? ''}`

function noPort(
  { filter, route, key }: RuleSite,
  service: ClusterObject<'Service'>,
  port: number,
  { us }: Scene,
): readonly Diagnosis[] {
  // In a cluster, a port that is none of ours is told already.
  if (filter === undefined || (us !== undefined && filter.port === undefined)) return []
  const path = [...filter.path, 'externalAuth', 'backendRef', 'port']
  const say = `Service ${idOf(service)} has no port ${port}`
  const mend = 'ask one that it has'
  const { ports } = service.object.spec
  const grpc = filter.auth.protocol === 'GRPC'
  const meant = ports.find(({ name }) => /grpc/.test(name ?? '') === grpc)
  const fix = fixedBy(meant && edit(path, meant.port))
  return [diagnosis(route.manifest, { code: 'wrong-port', severity: 'error', path, say, mend, ...fix }, key)]
}
