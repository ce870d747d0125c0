import type { KubeClient, Page } from './client.ts'
import { KubeError } from './kube-error.ts'
import type { KubeObject } from './kube-object.ts'
import type { ResourceKind } from './resources.ts'

/** Every object of a collection at one moment. */
export interface WholeList {
  readonly items: readonly KubeObject[]
  readonly resourceVersion: string
  /** The first of the kind's versions that the server has. */
  readonly version: string
}

export interface WholeListOptions {
  readonly namespace: string | undefined
  /** Milliseconds for each page. */
  readonly patience: number
  readonly signal: AbortSignal
}

const pageSize = 500

/** Lists page by page, in whichever version the server has; rejects rather than give a part. */
export async function listWhole(client: KubeClient, kind: ResourceKind, options: WholeListOptions): Promise<WholeList> {
  let missing: unknown
  for (const version of kind.versions) {
    try {
      return { ...(await pages(client, { ...kind, versions: [version] }, options)), version }
    } catch (cause) {
      if (!(cause instanceof KubeError) || cause.status !== 404) throw cause
      missing = cause
    }
  }
  throw missing
}

async function pages(client: KubeClient, kind: ResourceKind, options: WholeListOptions): Promise<Page> {
  const { namespace, patience, signal } = options
  const items: KubeObject[] = []
  let limit = pageSize
  let next: string | undefined
  for (;;) {
    const ask = { namespace, labelSelector: kind.selector, limit, continue: next }
    const timely = AbortSignal.any([signal, AbortSignal.timeout(patience)])
    try {
      const page = await client.list(kind, ask, timely)
      items.push(...page.items)
      next = page.continue
      // The first page fixes the moment that all others show.
      if (next === undefined) return { items, resourceVersion: page.resourceVersion }
    } catch (cause) {
      // Objects of a megabyte each: fewer at a time.
      if (!(cause instanceof KubeError) || cause.reason !== 'TooLarge' || limit === 1) throw cause
      limit = Math.ceil(limit / 10)
    }
  }
}
