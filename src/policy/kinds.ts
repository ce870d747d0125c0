import { distance } from 'fastest-levenshtein'
import { apiVersion, gatewayGroup } from './document.ts'

/** Kinds that a source may hold, with the API versions understood. Those that only gateways need are taken and left alone. */
export const kindsRead: ReadonlyMap<string, readonly string[]> = new Map([
  ['AuthPolicy', [apiVersion]],
  ['HTTPRoute', [`${gatewayGroup}/v1`, `${gatewayGroup}/v1beta1`]],
  ['Gateway', [`${gatewayGroup}/v1`, `${gatewayGroup}/v1beta1`]],
  ['ListenerSet', [`${gatewayGroup}/v1`]],
  ['GRPCRoute', [`${gatewayGroup}/v1`]],
  ['XMesh', ['gateway.networking.x-k8s.io/v1alpha1']],
  ['GatewayClass', [`${gatewayGroup}/v1`, `${gatewayGroup}/v1beta1`]],
  ['ReferenceGrant', [`${gatewayGroup}/v1`, `${gatewayGroup}/v1beta1`]],
  ['BackendTLSPolicy', [`${gatewayGroup}/v1`, `${gatewayGroup}/v1alpha3`]],
  ['Secret', ['v1']],
  ['ConfigMap', ['v1']],
  ['Service', ['v1']],
  ['Namespace', ['v1']],
])

/** Kinds that keep requests out: an object of theirs that cannot be read must not count as absent. */
const guarding = ['AuthPolicy', 'HTTPRoute', 'Gateway', 'ListenerSet']

/** Kinds of others that are spelt as if they were mistakes of ours. */
const others: ReadonlySet<string> = new Set(['TCPRoute'])

/** The kind that a kind is, or may be meant for, among those that keep requests out. */
export function meantKind(kind: string): string | undefined {
  if (guarding.includes(kind)) return kind
  if (kindsRead.has(kind) || others.has(kind) || kind.length > 20) return undefined
  return guarding.find((one) => distance(one.toLowerCase(), kind.toLowerCase()) <= 2)
}

/** True where a kind is one of those, but for its spelling. */
export const isMisspelt = (kind: string): boolean => !kindsRead.has(kind) && meantKind(kind) !== undefined
