import { z } from 'zod'
import { memo } from '../model/memo.ts'

const statusShape = z.looseObject({
  status: z.looseObject({
    ancestors: z.array(
      z.looseObject({
        ancestorRef: z.looseObject({
          group: z.string(),
          kind: z.string(),
          namespace: z.string().optional(),
          name: z.string(),
        }),
        controllerName: z.string(),
        conditions: z.array(
          z.looseObject({
            type: z.string(),
            status: z.string(),
            reason: z.string(),
            message: z.string(),
            observedGeneration: z.number().optional(),
            lastTransitionTime: z.string(),
          }),
        ),
      }),
    ),
  }),
})

/** An entry of a status that stands in the cluster. */
export type WrittenAncestor = z.output<typeof statusShape>['status']['ancestors'][number]

/** What the object's status says now, whoever wrote it. */
export const writtenAncestors = (object: unknown): readonly WrittenAncestor[] =>
  typeof object === 'object' && object !== null ? ancestorsIn(object) : []

const ancestorsIn = memo((object: object): readonly WrittenAncestor[] => {
  const read = statusShape.safeParse(object)
  return read.success ? read.data.status.ancestors : []
})
