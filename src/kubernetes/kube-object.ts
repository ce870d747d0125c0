import { isFields } from '../model/fields.ts'
import type { Fields } from '../model/fields.ts'
/** Metadata of an object; names of Kubernetes' own. */
export interface KubeMetadata {
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

/** An object as the API server holds it, or as it is to be applied. */
export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: KubeMetadata
  readonly [field: string]: unknown
}

/** What is only posted: reviews have no name, Events may have a `generateName`. */
export interface KubeDraft {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata?: Readonly<Record<string, unknown>>
  readonly [field: string]: unknown
}

/** `kubectl apply` keeps the whole object once more in here: memory, and in a Secret the secret itself. */
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration'

/** The object of a list or an event without what nobody reads, or undefined where it is none. Items of lists do not say their kind. */
export function received(value: unknown, implied: { apiVersion: string; kind: string }): KubeObject | undefined {
  if (!isFields(value) || !isFields(value['metadata'])) return undefined
  const { apiVersion, kind, metadata: all, ...rest } = value
  const { managedFields: _, annotations, ...metadata } = all
  if (typeof metadata['name'] !== 'string') return undefined
  return {
    apiVersion: typeof apiVersion === 'string' ? apiVersion : implied.apiVersion,
    kind: typeof kind === 'string' ? kind : implied.kind,
    metadata: { ...metadata, name: metadata['name'], ...(isFields(annotations) ? bare(annotations) : {}) },
    ...rest,
  }
}

function bare(annotations: Fields): { annotations?: Readonly<Record<string, string>> } {
  const { [lastApplied]: _, ...kept } = annotations
  return Object.keys(kept).length === 0 ? {} : { annotations: kept as Readonly<Record<string, string>> }
}
