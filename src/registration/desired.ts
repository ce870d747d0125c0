import type { Manifest } from '../policy/manifest.ts'

/** What an object of ours is owned by: with it goes everything that we made. */
export interface Owner {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
}

/** An object that is to exist as written; fields that are not named are nobody's business. */
export interface OwnObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly namespace: string
    readonly name: string
    readonly labels: Readonly<Record<string, string>>
    readonly ownerReferences: readonly Owner[]
  }
  readonly [field: string]: unknown
}

/** An object by its coordinates. */
export interface ObjectName {
  readonly apiVersion: string
  readonly kind: string
  readonly namespace: string
  readonly name: string
}

/** An object of ours that has no reason to exist any more. */
export interface Removal extends ObjectName {
  readonly uid: string
}

/** GEP-713: the object through which a policy takes effect. */
export interface AncestorRef {
  readonly group: string
  readonly kind: string
  readonly namespace?: string
  readonly name: string
}

export type ConditionType = 'Accepted' | 'ResolvedRefs' | 'Enforced'

/** One condition before it is known when it came about. */
export interface Verdict {
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason: string
  readonly message: string
}

/** A condition as the API server holds it. */
export interface Condition extends Verdict {
  readonly type: ConditionType
  readonly observedGeneration: number
  readonly lastTransitionTime: string
}

/** PolicyAncestorStatus. */
export interface Ancestor {
  readonly ancestorRef: AncestorRef
  readonly controllerName: string
  readonly conditions: readonly Condition[]
}

/** The status that a policy is to have. */
export interface PolicyStatus {
  readonly policy: Manifest
  readonly ancestors: readonly Ancestor[]
  /** `changed`: the object shows something else. */
  readonly state: 'unchanged' | 'changed'
  /** What is worth telling once it is written. */
  readonly events: readonly EventDraft[]
}

/** An object that is to exist, and how it stands: `unseen` where it is not among what was listed. */
export interface WantedObject {
  readonly object: OwnObject
  readonly state: 'unchanged' | 'changed' | 'unseen'
}

/** Something worth telling about an object. */
export interface EventDraft {
  readonly regarding: ObjectName & { readonly uid: string }
  readonly type: 'Normal' | 'Warning'
  readonly reason: string
  readonly note: string
}

/** All that is to be so: what `kubernetes/` then makes so. */
export interface Desired {
  readonly objects: readonly WantedObject[]
  readonly removals: readonly Removal[]
  readonly statuses: readonly PolicyStatus[]
  /** Objects of others that bear a name that we would have used: they are left alone. */
  readonly foreign: readonly ObjectName[]
}
