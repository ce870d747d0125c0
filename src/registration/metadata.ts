import { z } from 'zod'
import { memo } from '../model/memo.ts'

const shape = z.looseObject({
  metadata: z
    .looseObject({
      uid: z.string().catch(''),
      generation: z.number().catch(0),
      resourceVersion: z.string().catch(''),
      deletionTimestamp: z.string().optional().catch(undefined),
      labels: z.record(z.string(), z.string()).catch({}),
      ownerReferences: z.array(z.looseObject({ uid: z.string() })).catch([]),
    })
    .catch({ uid: '', generation: 0, resourceVersion: '', labels: {}, ownerReferences: [] }),
})

/** What registration reads of any object's metadata; empty where the object does not say. */
export interface Metadata {
  readonly uid: string
  readonly generation: number
  readonly resourceVersion: string
  readonly deleted: boolean
  readonly labels: Readonly<Record<string, string>>
  /** UIDs of its owners. */
  readonly owners: readonly string[]
}

/** Reads the metadata of an object that somebody else may have written. */
export const readMetadata = (object: unknown): Metadata =>
  typeof object === 'object' && object !== null ? metadataOf(object) : nothing

const metadataOf = memo((object: object): Metadata => {
  const read = shape.safeParse(object)
  const { uid, generation, resourceVersion, deletionTimestamp, labels, ownerReferences } = read.success
    ? read.data.metadata
    : { uid: '', generation: 0, resourceVersion: '', deletionTimestamp: undefined, labels: {}, ownerReferences: [] }
  return {
    uid,
    generation,
    resourceVersion,
    deleted: deletionTimestamp !== undefined,
    labels,
    owners: ownerReferences.map((owner) => owner.uid),
  }
})

const nothing = metadataOf({})
