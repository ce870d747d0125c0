import { z } from 'zod'
import { gatewayGroup } from './document.ts'
import type { Manifest } from './manifest.ts'

/* What controllers tell of a route, for each way by which it comes to a Gateway. */

/** A reference to what a route attaches to; in a status, to what it attached to. */
export const parentRef = z.looseObject({
  group: z.string().default(gatewayGroup),
  kind: z.string().default('Gateway'),
  namespace: z.string().optional(),
  name: z.string(),
  sectionName: z.string().optional(),
  port: z.number().int().optional(),
})

export type ParentRef = z.output<typeof parentRef>

const generation = z.number().optional().catch(undefined)

const parentStatus = z.looseObject({
  parentRef: parentRef.optional().catch(undefined),
  controllerName: z.string(),
  conditions: z
    .array(z.looseObject({ type: z.string(), status: z.string(), observedGeneration: generation }))
    .default([]),
})

// A status is another's to write: one of a strange shape tells nothing, and spoils nothing.
const routeStatus = z.looseObject({
  metadata: z.looseObject({ generation }).catch({ generation: undefined }),
  status: z.looseObject({ parents: z.array(parentStatus) }),
})

/** Whether a parent took a route as it is now; `open` where no controller has said so yet. */
export type Standing = 'accepted' | 'open' | 'refused'

/** What one controller says of one parent. */
export interface ParentAnswer {
  readonly ref: ParentRef
  readonly standing: Standing
}

export interface RouteStatus {
  /** Names of the controllers that accepted the route. */
  readonly acceptedBy: ReadonlySet<string>
  /** What it was accepted at: `Gateway namespace/name`. */
  readonly acceptedAt: ReadonlySet<string>
  readonly answers: readonly ParentAnswer[]
}

/** `Gateway namespace/name` */
export const showParent = ({ kind, namespace, name }: ParentRef, manifest: Manifest): string =>
  `${kind} ${namespace ?? manifest.namespace}/${name}`

export function acceptance(manifest: Manifest): RouteStatus {
  const read = routeStatus.safeParse(manifest.object)
  const parents = read.success ? read.data.status.parents : []
  const current = read.success ? read.data.metadata.generation : undefined
  const accepted = parents.filter(({ conditions }) =>
    conditions.some(({ type, status }) => type === 'Accepted' && status === 'True'),
  )
  const at = accepted.flatMap(({ parentRef: ref }) => (ref === undefined ? [] : showParent(ref, manifest)))
  return {
    acceptedBy: new Set(accepted.map(({ controllerName }) => controllerName)),
    acceptedAt: new Set(at),
    answers: parents.flatMap(({ parentRef: ref, conditions }) =>
      ref === undefined ? [] : [{ ref, standing: standingIn(conditions, current) }],
    ),
  }
}

type Conditions = z.output<typeof parentStatus>['conditions']

/** What is said of an older generation leaves the present one open: an edit may ask for another's host. */
function standingIn(conditions: Conditions, current: number | undefined): Standing {
  const said = conditions.find(({ type }) => type === 'Accepted')
  if (said === undefined || (said.observedGeneration ?? Infinity) < (current ?? 0)) return 'open'
  switch (said.status) {
    case 'True':
      return 'accepted'
    case 'False':
      return 'refused'
    default:
      return 'open'
  }
}

/** The best of what is said for this very reference: a controller that left may have left its word behind. */
export function standingOf(answers: readonly ParentAnswer[], ref: ParentRef, manifest: Manifest): Standing {
  const said = answers.filter((one) => sameRef(one.ref, ref, manifest)).map(({ standing }) => standing)
  if (said.includes('accepted')) return 'accepted'
  return said.length === 0 || said.includes('open') ? 'open' : 'refused'
}

/** Two references to the same thing by the same section and port. */
export const sameRef = (one: ParentRef, other: ParentRef, manifest: Manifest): boolean =>
  one.group === other.group &&
  one.sectionName === other.sectionName &&
  one.port === other.port &&
  showParent(one, manifest) === showParent(other, manifest)
