import type { z } from 'zod'
import type { Manifest } from '../policy/manifest.ts'
import type { OurService } from '../policy/gateway-api.ts'
import { clusterKinds } from './shapes.ts'

export type ClusterKind = keyof typeof clusterKinds

/** An object of a kind with the fields that are looked at, and the manifest that it came from. */
export interface ClusterObject<K extends ClusterKind> {
  readonly manifest: Manifest
  readonly object: z.output<(typeof clusterKinds)[K]>
}

/** Everything that was listed, by kind. Objects that do not have the shape of their kind are left out. */
export interface World {
  readonly of: <K extends ClusterKind>(kind: K) => readonly ClusterObject<K>[]
  /** AuthPolicies and data objects are not parsed here: `policy/` knows them. */
  readonly manifests: readonly Manifest[]
}

// An object that did not change is not read again: the source keeps its identity.
const parsed = new WeakMap<object, unknown>()

function parsedOnce<K extends ClusterKind>(kind: K, manifest: Manifest): ClusterObject<K> | undefined {
  if (!parsed.has(manifest)) {
    const result = clusterKinds[kind].safeParse(manifest.object)
    parsed.set(manifest, result.success ? { manifest, object: result.data } : undefined)
  }
  return parsed.get(manifest) as ClusterObject<K> | undefined
}

/** Reads a world from manifests, whatever source they came from; each kind is parsed when it is first asked for. */
export function worldOf(manifests: readonly Manifest[]): World {
  const read = new Map<ClusterKind, readonly unknown[]>()
  return {
    manifests,
    of: <K extends ClusterKind>(kind: K) => {
      const known = read.get(kind)
      if (known !== undefined) return known as readonly ClusterObject<K>[]
      const objects = manifests
        .filter((manifest) => manifest.kind === kind)
        .flatMap((manifest) => parsedOnce(kind, manifest) ?? [])
      read.set(kind, objects)
      return objects
    },
  }
}

/** Reads what a world will be asked for, some objects at a time: each is read once, and thousands of new ones take a while. */
export function* readInSteps({ manifests }: World): Generator<undefined, void> {
  for (const [at, manifest] of manifests.entries()) {
    if (at % 20 === 0) yield
    if (isKind(manifest.kind)) parsedOnce(manifest.kind, manifest)
  }
}

const isKind = (kind: string): kind is ClusterKind => Object.hasOwn(clusterKinds, kind)

export type { OurService }

/** True where an ExternalAuth filter of a route in this namespace asks our Service. */
export const asksUs = (
  ref: {
    readonly group: string
    readonly kind: string
    readonly name: string
    readonly namespace?: string | undefined
  },
  routeNamespace: string,
  us: Pick<OurService, 'namespace' | 'name'>,
): boolean =>
  ref.group === '' &&
  ref.kind === 'Service' &&
  ref.name === us.name &&
  (ref.namespace ?? routeNamespace) === us.namespace
