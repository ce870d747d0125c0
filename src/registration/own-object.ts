import type { OurService, World } from '../cluster/objects.ts'
import { readMetadata } from './metadata.ts'
import type { ObjectName, Owner, OwnObject } from './desired.ts'

/** Who manages the objects that we make; also the one field manager of all our writes. */
export const managedBy = 'gatehouse'

/** Labels of everything that we make (DEP-19). */
export const ownLabels = ({ name }: OurService): Readonly<Record<string, string>> => ({
  'app.kubernetes.io/name': 'gatehouse',
  'app.kubernetes.io/instance': name,
  'app.kubernetes.io/component': 'registration',
  'app.kubernetes.io/part-of': 'gatehouse',
  'app.kubernetes.io/managed-by': managedBy,
})

/** What the garbage collector ties our objects to when the operator names nothing else: our own Service. */
export function serviceOwner(world: World, us: OurService): Owner | undefined {
  const service = world
    .of('Service')
    .find(({ manifest }) => manifest.namespace === us.namespace && manifest.name === us.name)
  const uid = service?.object.metadata.uid ?? ''
  return uid === '' ? undefined : { apiVersion: 'v1', kind: 'Service', name: us.name, uid }
}

export interface OwnMetadata {
  readonly labels: Readonly<Record<string, string>>
  readonly ownerReferences?: readonly Owner[]
}

/** Labels and owner of an object of ours that exists otherwise, such as the Lease. */
export function ownMetadata(world: World, us: OurService, given?: Owner): OwnMetadata {
  const owner = given ?? serviceOwner(world, us)
  return { labels: ownLabels(us), ...(owner === undefined ? {} : { ownerReferences: [owner] }) }
}

/** An object in our namespace with our labels and our owner. */
export const ownObject = (
  us: OurService,
  owner: Owner,
  { apiVersion, kind, name }: Omit<ObjectName, 'namespace'>,
  content: Readonly<Record<string, unknown>>,
  labels: Readonly<Record<string, string>> = {},
): OwnObject => ({
  apiVersion,
  kind,
  metadata: { namespace: us.namespace, name, labels: { ...ownLabels(us), ...labels }, ownerReferences: [owner] },
  ...content,
})

/** True for objects that this installation made: our label alone could be anybody's, or of an earlier installation. */
export function isOurs(object: unknown, owner: Owner): boolean {
  const { labels, owners } = readMetadata(object)
  return labels['app.kubernetes.io/managed-by'] === managedBy && owners.includes(owner.uid)
}
