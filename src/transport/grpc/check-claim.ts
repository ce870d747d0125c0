import { routeKey, showRoute, unnamedRule } from '../../model/route.ts'
import type { Claim } from '../../model/request.ts'

/** `google.protobuf.Struct`, as far as an identity lies in it. */
export interface Struct {
  readonly fields?: Readonly<Record<string, Value>>
}

/** `google.protobuf.Value`, without the kinds that are not looked at. */
export interface Value {
  readonly stringValue?: string
  readonly structValue?: Struct
  readonly listValue?: { readonly values?: readonly Value[] }
}

/** Which sources of identity the operator of this listener believes. */
export interface IdentityTrust {
  /** `route_metadata_context["envoy-gateway"]`, which Envoy Gateway fills where `includeRouteMetadata` is on. */
  readonly envoyGatewayMetadata: boolean
}

/** Who sends the checks of a connection, and what is believed of them. */
export interface Sender extends IdentityTrust {
  /** Address of the peer; undefined where it is gone already, or has none. */
  readonly caller?: string | undefined
}

/**
 * The rule that a check claims by its two sources, which the operator's configuration writes both and a client neither; undefined
 * where they name different rules.
 */
export function agreedClaim(extensions: Claim, metadata: Claim): Claim | undefined {
  if (extensions.kind === 'match') return metadata
  if (metadata.kind === 'match') return extensions
  if (extensions.kind === 'bad' || metadata.kind === 'bad') return { kind: 'bad' }
  return showRoute(extensions.key) === showRoute(metadata.key) ? extensions : undefined
}

const keyed = (namespace: string, route: string, rule: string): Claim => {
  const key = routeKey(namespace, route, rule)
  return key === undefined ? { kind: 'bad' } : { kind: 'key', key }
}

/** What `context_extensions` say. Any one of the three keys makes the check a keyed one, so that half a key is an error and never a match. */
export function extensionsClaim(all: Readonly<Record<string, string>> | undefined): Claim {
  const [namespace, route, rule] = [own(all, 'namespace'), own(all, 'route'), own(all, 'rule')]
  if (namespace === undefined && route === undefined && rule === undefined) return { kind: 'match' }
  return keyed(namespace ?? '', route ?? '', rule ?? unnamedRule)
}

/** What `route_metadata_context.filter_metadata` says: `resources[0]` is the HTTPRoute, `sectionName` absent for a rule without a name (GATEWAYS.md §B.6). */
export function metadataClaim(filters: Readonly<Record<string, Struct>> | undefined): Claim {
  const written = own(filters, 'envoy-gateway')
  if (written === undefined) return { kind: 'match' }
  const resource = own(written.fields, 'resources')?.listValue?.values?.[0]?.structValue?.fields
  const text = (name: string): string => own(resource, name)?.stringValue ?? ''
  if (text('kind') !== 'HTTPRoute') return { kind: 'bad' }
  const named = own(resource, 'sectionName') !== undefined
  return keyed(text('namespace'), text('name'), named ? text('sectionName') : unnamedRule)
}

/** A member of a protobuf map: its keys are strangers' strings. */
const own = <T>(map: Readonly<Record<string, T>> | undefined, name: string): T | undefined =>
  map !== undefined && Object.hasOwn(map, name) ? map[name] : undefined
