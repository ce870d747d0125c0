import type { Manifest } from '../policy/manifest.ts'
import type { WatchEvent } from './event-stream.ts'
import type { KubeObject } from './kube-object.ts'
import { compareVersions } from './resource-version.ts'

/** The objects of one collection as they last were, and up to where in its history that is. */
export interface ObjectStore {
  /** Takes a whole list; true where it differs from what was known. */
  readonly replace: (items: readonly KubeObject[], resourceVersion: string) => boolean
  /** Takes one event; true where it changed something. */
  readonly take: (event: WatchEvent) => boolean
  /** Forgets everything; true where there was something. */
  readonly clear: () => boolean
  /** Where a watch has to go on; empty before the first list. */
  readonly resourceVersion: () => string
  readonly size: () => number
  /** One and the same manifest for an object as long as the object is the same. */
  readonly manifests: () => IterableIterator<Manifest>
}

/**
 * A list is the truth of its moment. Events are told in the order of their resource versions, so that one at or below the last
 * is an old one once more, whatever it says (REL-14).
 */
export function createObjectStore(): ObjectStore {
  let objects = new Map<string, KubeManifest>()
  let last = ''

  const forget = (object: KubeObject): boolean => {
    const known = objects.get(keyOf(object))
    // A later object of the same name is another object.
    if (known === undefined || known.object.metadata.uid !== object.metadata.uid) return false
    return objects.delete(keyOf(object))
  }

  return {
    replace: (items, resourceVersion) => {
      // A server that was set back (etcd restored from a backup) may give old numbers to new content.
      const rewound = last !== '' && compareVersions(resourceVersion, last) < 0
      const next = new Map<string, KubeManifest>()
      let changed = false
      for (const object of items) {
        const known = rewound ? undefined : objects.get(keyOf(object))
        const same = known !== undefined && isSame(known.object, object)
        next.set(keyOf(object), same ? known : manifestOf(object))
        changed ||= !same
      }
      changed ||= next.size !== objects.size
      objects = next
      last = resourceVersion
      return changed
    },
    take: (event) => {
      const version = event.kind === 'bookmark' ? event.resourceVersion : event.object.metadata.resourceVersion
      if (version === undefined || (last !== '' && compareVersions(version, last) <= 0)) return false
      last = version
      if (event.kind === 'bookmark') return false
      if (event.kind === 'deleted') return forget(event.object)
      objects.set(keyOf(event.object), manifestOf(event.object))
      return true
    },
    clear: () => {
      const had = objects.size > 0
      objects = new Map()
      last = ''
      return had
    },
    resourceVersion: () => last,
    size: () => objects.size,
    manifests: () => objects.values(),
  }
}

type KubeManifest = Manifest & { readonly object: KubeObject }

const keyOf = ({ metadata: { namespace = '', name } }: KubeObject): string => `${namespace}/${name}`

const isSame = (one: KubeObject, other: KubeObject): boolean =>
  one.metadata.uid === other.metadata.uid &&
  one.metadata.resourceVersion === other.metadata.resourceVersion &&
  one.apiVersion === other.apiVersion

const noLine = (): undefined => undefined

/** Objects of the cluster have no namespace: theirs is empty. */
const manifestOf = (object: KubeObject): KubeManifest => ({
  apiVersion: object.apiVersion,
  kind: object.kind,
  namespace: object.metadata.namespace ?? '',
  name: object.metadata.name,
  object,
  line: noLine,
})
