import { unnamedRule } from '../model/route.ts'
import { gatewayGroup } from '../policy/document.ts'
import type { Change, Fix } from './diagnosis.ts'
import { referenceGrant } from './reference-grant.ts'
import { usualPorts } from './scene.ts'
import type { RuleSite, Scene } from './scene.ts'

/** How gateways of these products, which do not know the filter, ask Gatehouse about a rule; undefined where it is not known. */
export function vendorFix(products: readonly string[], site: RuleSite, scene: Scene): Fix | undefined {
  const parts = partsOf(site, scene)
  const vendors = products.flatMap((name) => makers.get(name) ?? [])
  if (vendors.length === 0) return undefined
  const objects = vendors.flatMap((vendor) => vendor.objects(parts))
  // The route is left as it is where another gateway, which may honour the filter, serves it too.
  const alone = site.reach.every(({ controller }) => controller !== undefined && products.includes(controller.name))
  const changes = alone
    ? filtersInstead(
        site,
        vendors.flatMap((vendor) => vendor.filter?.(parts) ?? []),
      )
    : []
  return { kind: 'apply', objects, ...(changes.length === 0 ? {} : { changes }) }
}

/** The filters of the rule without ours, and with those by which the vendor's objects are found. */
function filtersInstead({ route, rule, index, filter }: RuleSite, own: readonly object[]): readonly Change[] {
  const kept = rule.filters.filter((_, position) => position !== filter?.path[4])
  const added = kept.some(({ type }) => type === 'ExtensionRef') ? [] : own
  const path = ['spec', 'rules', index, 'filters']
  const changed = kept.length < rule.filters.length || added.length > 0
  return changed ? [{ object: route.manifest, path, value: [...kept, ...added] }] : []
}

interface Vendor {
  readonly objects: (parts: Parts) => readonly object[]
  /** The filter by which a rule names them, where they do not name the rule. */
  readonly filter?: (parts: Parts) => object
}

interface Parts {
  readonly metadata: { readonly namespace: string; readonly name: string }
  readonly target: object
  /** The key, as context extensions carry it. */
  readonly extensions: readonly (readonly [name: string, value: string])[]
  readonly service: { readonly name: string; readonly namespace: string }
  readonly ports: typeof usualPorts
  readonly address: string
  readonly injects: readonly string[]
}

function partsOf(site: RuleSite, { us }: Scene): Parts {
  const { namespace, route, rule } = site.key
  const service = serviceOf(site, us)
  const ports = us?.ports ?? usualPorts
  const unnamed = rule === unnamedRule
  const target = { group: gatewayGroup, kind: 'HTTPRoute', name: route }
  return {
    metadata: { namespace, name: unnamed ? route : `${route}-${rule}` },
    target: unnamed ? target : { ...target, sectionName: rule },
    extensions: Object.entries(site.key),
    service,
    ports,
    address: `http://${service.name}.${service.namespace}.svc:${ports.http}/v1/traefik/${namespace}/${route}/${rule}`,
    injects: site.needs?.injects ?? [],
  }
}

/** Us, or in a directory whomever the filter asks. */
function serviceOf({ key, filter }: RuleSite, us: Scene['us']): Parts['service'] {
  if (us !== undefined) return { name: us.name, namespace: us.namespace }
  const written = filter?.auth.backendRef
  return { name: written?.name ?? 'gatehouse', namespace: written?.namespace ?? key.namespace }
}

/** Gatehouse keeps grants for HTTPRoutes; these references are made by other kinds. */
function grantFor(kind: string, group: string, vendor: string, { metadata, service }: Parts): readonly object[] {
  const from = metadata.namespace
  return from === service.namespace ? [] : [referenceGrant({ kind, group, from, service, vendor })]
}

function envoyGateway(parts: Parts): readonly object[] {
  const { metadata, target, extensions, service, ports } = parts
  const group = 'gateway.envoyproxy.io'
  const extAuth = {
    grpc: { backendRefs: [{ ...service, port: ports.grpc }] },
    contextExtensions: extensions.map(([name, value]) => ({ name, type: 'Value', value })),
    failOpen: false,
  }
  return [
    { apiVersion: `${group}/v1alpha1`, kind: 'SecurityPolicy', metadata, spec: { targetRefs: [target], extAuth } },
    ...grantFor('SecurityPolicy', group, 'envoy-gateway', parts),
  ]
}

function kgateway(parts: Parts): readonly object[] {
  const { metadata, target, extensions, service, ports } = parts
  const group = 'gateway.kgateway.dev'
  const apiVersion = `${group}/v1alpha1`
  const grpcService = { backendRef: { ...service, port: ports.grpc } }
  const extAuth = { extensionRef: { name: metadata.name }, contextExtensions: Object.fromEntries(extensions) }
  return [
    {
      apiVersion,
      kind: 'GatewayExtension',
      metadata,
      spec: { type: 'ExtAuth', extAuth: { failOpen: false, grpcService } },
    },
    { apiVersion, kind: 'TrafficPolicy', metadata, spec: { targetRefs: [target], extAuth } },
    ...grantFor('GatewayExtension', group, 'kgateway', parts),
  ]
}

/** Asks by an address, which needs nobody's leave. */
function traefik({ metadata, address, injects }: Parts): readonly object[] {
  const forwardAuth = { address, ...(injects.length === 0 ? {} : { authResponseHeaders: injects }) }
  return [{ apiVersion: 'traefik.io/v1alpha1', kind: 'Middleware', metadata, spec: { forwardAuth } }]
}

const makers = new Map<string, Vendor>([
  ['Envoy Gateway', { objects: envoyGateway }],
  ['kgateway', { objects: kgateway }],
  [
    'Traefik',
    {
      objects: traefik,
      filter: ({ metadata: { name } }) => ({
        type: 'ExtensionRef',
        extensionRef: { group: 'traefik.io', kind: 'Middleware', name },
      }),
    },
  ],
])
