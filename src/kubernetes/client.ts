import type { KubeConfig } from '@kubernetes/client-node'
import { createClusterAccess } from './cluster-access.ts'
import type { ClusterAccess } from './cluster-access.ts'
import { readEvents } from './event-stream.ts'
import type { WatchEvent } from './event-stream.ts'
import { discover } from './discovery.ts'
import type { ServedKind } from './discovery.ts'
import { exchange, open } from './exchange.ts'
import type { Ask } from './exchange.ts'
import { KubeError, networkError, unless404 } from './kube-error.ts'
import { isFields } from '../model/fields.ts'
import { received } from './kube-object.ts'
import type { KubeDraft, KubeObject } from './kube-object.ts'
import { apiVersionOf, resourceOf, resourcePath } from './resources.ts'
import type { ResourceKind } from './resources.ts'

/** A part of a collection, all of one moment: its `resourceVersion`. */
export interface Page {
  readonly items: readonly KubeObject[]
  readonly resourceVersion: string
  /** Where the next page starts; absent on the last. */
  readonly continue?: string
}

export interface ListOptions {
  readonly namespace?: string | undefined
  readonly labelSelector?: string | undefined
  readonly limit?: number
  readonly continue?: string | undefined
}

export interface WatchOptions {
  readonly namespace?: string | undefined
  readonly labelSelector?: string | undefined
  readonly resourceVersion: string
  readonly timeoutSeconds?: number
  /** Milliseconds that the server may take to accept it. */
  readonly patience?: number
  /** Milliseconds without a byte after which it ends with an error: bookmarks come every minute. */
  readonly quiet?: number
  /** Told when the server has taken the watch, before any event. */
  readonly onOpen?: () => void
}

/**
 * The API server, as plain calls. Each rejects with a KubeError; none is slowed down by us, the server's own fairness does that.
 * Calls that take a ResourceKind use its first version, calls that take an object use the version that it is written in.
 */
export interface KubeClient {
  readonly list: (kind: ResourceKind, options: ListOptions, signal?: AbortSignal) => Promise<Page>
  /** Resolves when the server ends the watch. Objects come without managedFields and without kubectl's copy of themselves. */
  readonly watch: (
    kind: ResourceKind,
    options: WatchOptions,
    onEvent: (event: WatchEvent) => void,
    signal: AbortSignal,
  ) => Promise<void>
  readonly get: (
    kind: ResourceKind,
    namespace: string,
    name: string,
    signal?: AbortSignal,
  ) => Promise<KubeObject | undefined>
  /** Server-side apply; `force` only for our own objects. A field that another manager owns is a KubeError 409. */
  readonly apply: (
    object: KubeObject,
    options: { readonly fieldManager: string; readonly force?: boolean; readonly subresource?: 'status' },
    signal?: AbortSignal,
  ) => Promise<KubeObject>
  /** Also of what is never stored: TokenReview, SubjectAccessReview. */
  readonly create: (
    kind: ResourceKind,
    object: KubeDraft,
    options?: { readonly namespace?: string },
    signal?: AbortSignal,
  ) => Promise<KubeObject>
  /** Replaces; with `metadata.resourceVersion` only what was seen (else 409). */
  readonly update: (kind: ResourceKind, object: KubeObject, signal?: AbortSignal) => Promise<KubeObject>
  /** Resolves as well where there is nothing of that name; a `uid` that is not the object's is a KubeError 409. */
  readonly remove: (
    kind: ResourceKind,
    namespace: string,
    name: string,
    preconditions?: { readonly uid: string },
    signal?: AbortSignal,
  ) => Promise<void>
  /** Every kind of a group in every version that the server has; nothing where it does not know the group. */
  readonly discover: (group: string, signal?: AbortSignal) => Promise<readonly ServedKind[]>
  readonly close: () => Promise<void>
}

export interface KubeClientOptions {
  /** Reads the configuration: at the start, and anew when the server does not take our credentials any more. */
  readonly load: () => KubeConfig | Promise<KubeConfig>
  readonly ticks?: () => number
}

/** Opens nothing until the first call; close it once. */
export function createKubeClient({ load, ticks = () => performance.now() }: KubeClientOptions): KubeClient {
  const access = createClusterAccess({ load, ticks })
  const ask = (one: Ask): Promise<unknown> => exchange(access, one)
  return {
    list: async (kind, { namespace, labelSelector, limit, continue: next }, signal) =>
      readPage(
        await ask({
          method: 'GET',
          path: resourcePath(kind, { namespace }),
          query: { labelSelector, limit, continue: next },
          signal,
        }),
        kind,
      ),
    watch: (kind, options, onEvent, signal) => watch(access, kind, { ...options, onEvent, signal }),
    get: (kind, namespace, name, signal) =>
      unless404(ask({ method: 'GET', path: resourcePath(kind, { namespace, name }), signal }).then(readObject)),
    apply: async (object, { fieldManager, force, subresource }, signal) => {
      const path = resourcePath(rowOf(object), { ...placeOf(object), ...(subresource && { subresource }) })
      const query = { fieldManager, force, fieldValidation: 'Strict' }
      const contentType = 'application/apply-patch+yaml' // of which JSON is a part
      return readObject(await ask({ method: 'PATCH', path, query, contentType, body: object, signal }))
    },
    create: async (kind, object, { namespace } = {}, signal) => {
      const own = object.metadata?.['namespace']
      const path = resourcePath(kind, { namespace: namespace ?? (typeof own === 'string' ? own : undefined) })
      return readObject(await ask({ method: 'POST', path, body: object, signal }))
    },
    update: async (kind, object, signal) =>
      readObject(await ask({ method: 'PUT', path: resourcePath(kind, placeOf(object)), body: object, signal })),
    remove: async (kind, namespace, name, preconditions, signal) => {
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background', preconditions }
      await unless404(ask({ method: 'DELETE', path: resourcePath(kind, { namespace, name }), body, signal }))
    },
    discover: (group, signal) => discover(ask, group, signal),
    close: access.close,
  }
}

async function watch(
  access: ClusterAccess,
  kind: ResourceKind,
  options: WatchOptions & { readonly onEvent: (event: WatchEvent) => void; readonly signal: AbortSignal },
): Promise<void> {
  const { namespace, labelSelector, resourceVersion, timeoutSeconds, patience = 5000, quiet = 90_000 } = options
  const opening = new AbortController()
  const timer = setTimeout(() => opening.abort(late), patience)
  try {
    const ask = {
      method: 'GET',
      path: resourcePath(kind, { namespace }),
      query: { watch: true, allowWatchBookmarks: true, labelSelector, resourceVersion, timeoutSeconds },
      signal: AbortSignal.any([options.signal, opening.signal]),
      bodyTimeout: quiet,
    } as const
    const { body } = await open(access, ask, ({ streams }) => streams)
    clearTimeout(timer)
    options.onOpen?.()
    await readEvents(body, { apiVersion: apiVersionOf(kind), kind: kind.kind }, options.onEvent)
  } catch (cause) {
    throw networkError(cause)
  } finally {
    clearTimeout(timer)
  }
}

const late = new KubeError(0, 'Timeout', 'the API server did not take the watch in time')

const placeOf = ({ metadata }: KubeObject): { namespace: string | undefined; name: string } => ({
  namespace: metadata.namespace,
  name: metadata.name,
})

function rowOf(object: KubeObject): ResourceKind {
  const found = resourceOf(object)
  if (found === undefined) throw new KubeError(0, 'UnknownKind', `no row for ${object.apiVersion} ${object.kind}`)
  return found
}

function readPage(answer: unknown, kind: ResourceKind): Page {
  const { items, metadata } = isFields(answer) ? answer : {}
  const { resourceVersion, continue: next } = isFields(metadata) ? metadata : {}
  if (!(Array.isArray(items) || items === null) || typeof resourceVersion !== 'string') throw unreadable
  const implied = { apiVersion: apiVersionOf(kind), kind: kind.kind }
  return {
    // Go writes an empty list of some kinds as null.
    items: (items ?? []).flatMap((item: unknown) => received(item, implied) ?? []),
    resourceVersion,
    ...(typeof next === 'string' && next !== '' ? { continue: next } : {}),
  }
}

function readObject(answer: unknown): KubeObject {
  if (!isFields(answer) || typeof answer['kind'] !== 'string') throw unreadable
  return answer as KubeObject
}

const unreadable = new KubeError(0, 'Unreadable', 'the API server sent something that is no object')
