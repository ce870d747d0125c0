/** One kind of the API: where its objects are, and which of them we look at. */
export interface ResourceKind {
  readonly kind: string
  /** Empty for core. */
  readonly group: string
  /** Preferred first. A call uses the first; a watch finds out which of them the server has. */
  readonly versions: readonly [string, ...string[]]
  readonly plural: string
  readonly namespaced: boolean
  /** Label selector without which its objects are not read. */
  readonly selector?: string
}

const gateway = 'gateway.networking.k8s.io'

/** Secrets and ConfigMaps stay outside unless they say that they are for us (CFG-21). */
export const credentialLabel = 'gatehouse.dev/credentials'

/** Every kind that is read, written or asked for. */
export const resources = {
  GatewayClass: row('GatewayClass', gateway, ['v1', 'v1beta1'], 'gatewayclasses', 'cluster'),
  Gateway: row('Gateway', gateway, ['v1', 'v1beta1'], 'gateways'),
  ListenerSet: row('ListenerSet', gateway, ['v1'], 'listenersets'),
  HTTPRoute: row('HTTPRoute', gateway, ['v1', 'v1beta1'], 'httproutes'),
  GRPCRoute: row('GRPCRoute', gateway, ['v1'], 'grpcroutes'),
  ReferenceGrant: row('ReferenceGrant', gateway, ['v1', 'v1beta1'], 'referencegrants'),
  BackendTLSPolicy: row('BackendTLSPolicy', gateway, ['v1', 'v1alpha3'], 'backendtlspolicies'),
  XMesh: row('XMesh', 'gateway.networking.x-k8s.io', ['v1alpha1'], 'xmeshes', 'cluster'),
  AuthPolicy: row('AuthPolicy', 'gatehouse.dev', ['v1alpha1'], 'authpolicies'),
  Namespace: row('Namespace', '', ['v1'], 'namespaces', 'cluster'),
  Service: row('Service', '', ['v1'], 'services'),
  Secret: { ...row('Secret', '', ['v1'], 'secrets'), selector: `${credentialLabel}=true` },
  ConfigMap: { ...row('ConfigMap', '', ['v1'], 'configmaps'), selector: `${credentialLabel}=true` },
  ServiceAccount: row('ServiceAccount', '', ['v1'], 'serviceaccounts'),
  Event: row('Event', 'events.k8s.io', ['v1'], 'events'),
  Lease: row('Lease', 'coordination.k8s.io', ['v1'], 'leases'),
  TokenReview: row('TokenReview', 'authentication.k8s.io', ['v1'], 'tokenreviews', 'cluster'),
  SubjectAccessReview: row('SubjectAccessReview', 'authorization.k8s.io', ['v1'], 'subjectaccessreviews', 'cluster'),
  CustomResourceDefinition: row(
    'CustomResourceDefinition',
    'apiextensions.k8s.io',
    ['v1'],
    'customresourcedefinitions',
    'cluster',
  ),
} as const satisfies Readonly<Record<string, ResourceKind>>

export type ResourceName = keyof typeof resources

/** A kind whose objects are followed, and what its absence means: `needed` ones make what depends on them deny. */
export interface WatchedKind extends ResourceKind {
  readonly importance: 'needed' | 'useful' | 'optional'
}

/** What is followed. Only these go into a snapshot. */
export const watchedKinds: readonly WatchedKind[] = [
  { ...resources.AuthPolicy, importance: 'needed' },
  { ...resources.HTTPRoute, importance: 'needed' },
  { ...resources.Gateway, importance: 'needed' },
  { ...resources.GatewayClass, importance: 'useful' },
  { ...resources.Secret, importance: 'needed' },
  { ...resources.ConfigMap, importance: 'needed' },
  { ...resources.Service, importance: 'useful' },
  { ...resources.Namespace, importance: 'useful' },
  { ...resources.ReferenceGrant, importance: 'useful' },
  { ...resources.BackendTLSPolicy, importance: 'optional' },
  { ...resources.ListenerSet, importance: 'optional' },
  { ...resources.GRPCRoute, importance: 'optional' },
  { ...resources.XMesh, importance: 'optional' },
]

function row(
  kind: string,
  group: string,
  versions: readonly [string, ...string[]],
  plural: string,
  scope: 'cluster' | 'namespaced' = 'namespaced',
): ResourceKind {
  return { kind, group, versions, plural, namespaced: scope === 'namespaced' }
}

/** `gateway.networking.k8s.io/v1`, or `v1` for core. */
export const apiVersionOf = ({ group, versions: [version] }: ResourceKind): string =>
  group === '' ? version : `${group}/${version}`

const rows: ReadonlyMap<string, ResourceKind> = new Map(
  Object.values<ResourceKind>(resources).map((one) => [`${one.group}/${one.kind}`, one]),
)

/** The row of an object, narrowed to the version that the object is written in; undefined for kinds that we do not know. */
export function resourceOf({
  apiVersion,
  kind,
}: {
  readonly apiVersion: string
  readonly kind: string
}): ResourceKind | undefined {
  const slash = apiVersion.indexOf('/')
  const found = rows.get(`${apiVersion.slice(0, Math.max(slash, 0))}/${kind}`)
  return found === undefined ? undefined : { ...found, versions: [apiVersion.slice(slash + 1)] }
}

/** Path of a collection or of one object in it, in the row's first version. */
export function resourcePath(
  kind: ResourceKind,
  place: { readonly namespace?: string | undefined; readonly name?: string; readonly subresource?: string } = {},
): string {
  const { namespace, name, subresource } = place
  return [
    kind.group === '' ? '/api' : `/apis/${encodeURIComponent(kind.group)}`,
    encodeURIComponent(kind.versions[0]),
    ...(kind.namespaced && namespace !== undefined && namespace !== ''
      ? ['namespaces', encodeURIComponent(namespace)]
      : []),
    kind.plural,
    ...(name === undefined ? [] : [encodeURIComponent(name)]),
    ...(subresource === undefined ? [] : [subresource]),
  ].join('/')
}
