import type { OurService, World } from '../cluster/objects.ts'
import { gatewayGroup } from '../policy/document.ts'
import type { Owner, OwnObject } from './desired.ts'
import type { LabelSelector } from './label-selector.ts'
import { readMetadata } from './metadata.ts'
import { ownObject } from './own-object.ts'

export interface GrantOptions {
  /** API version that the server has of the kind. */
  readonly apiVersion: string
  /** Namespaces whose routes the operator lets in, by their labels. */
  readonly admits: LabelSelector
}

/**
 * One ReferenceGrant in our namespace for each admitted namespace with a route that asks us: without it a gateway may not send
 * checks across namespaces, and some then leave the route open (GATEWAYS.md §B.1).
 */
export function referenceGrants(
  world: World,
  us: OurService,
  owner: Owner,
  asking: ReadonlySet<string>,
  { apiVersion, admits }: GrantOptions,
): readonly OwnObject[] {
  const admitted = world
    .of('Namespace')
    .filter(
      ({ manifest, object }) =>
        manifest.name !== us.namespace && asking.has(manifest.name) && admits(object.metadata.labels),
    )
    .filter(({ manifest }) => !readMetadata(manifest.object).deleted)
    .map(({ manifest }) => manifest.name)
  return admitted.toSorted().map((namespace) =>
    ownObject(
      us,
      owner,
      { apiVersion, kind: 'ReferenceGrant', name: `gatehouse-routes-${namespace}` },
      {
        spec: {
          from: [{ group: gatewayGroup, kind: 'HTTPRoute', namespace }],
          to: [{ group: '', kind: 'Service', name: us.name }],
        },
      },
    ),
  )
}
