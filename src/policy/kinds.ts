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
