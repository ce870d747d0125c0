import { createClusterAccess } from './cluster-access.ts'
import type { ClusterAccessOptions } from './cluster-access.ts'
import { exchange } from './exchange.ts'
import { isFields } from '../model/fields.ts'

/** An OpenAPI document, and its hash by the server's own index; both undefined where it has no such group version. */
export interface SchemaReading {
  readonly hash: string | undefined
  readonly document: unknown
}

/** Reads the schemas of one group version, as the server serves them. */
export interface SchemaReader {
  /** Undefined where they are still those of this hash: the document has a megabyte, the index a few lines. */
  readonly read: (known: string | undefined, signal: AbortSignal) => Promise<SchemaReading | undefined>
  readonly close: () => Promise<void>
}

/** Schemas lie outside the paths of resources, so this has a connection of its own. Every account may read them (system:discovery). */
export function createSchemaReader(
  options: ClusterAccessOptions,
  groupVersion = 'gateway.networking.k8s.io/v1',
): SchemaReader {
  const access = createClusterAccess(options)
  const get = (path: string, signal: AbortSignal) => exchange(access, { method: 'GET', path, signal })
  return {
    read: async (known, signal) => {
      const hash = hashOf(await get('/openapi/v3', signal), `apis/${groupVersion}`)
      if (hash === undefined) return { hash, document: undefined }
      return hash === known ? undefined : { hash, document: await get(`/openapi/v3/apis/${groupVersion}`, signal) }
    },
    close: access.close,
  }
}

/** The index names for each document a URL that has its hash in it. */
function hashOf(index: unknown, name: string): string | undefined {
  const { paths } = isFields(index) ? index : {}
  const row = isFields(paths) ? paths[name] : undefined
  const url = isFields(row) ? row['serverRelativeURL'] : undefined
  return typeof url === 'string' ? url : undefined
}
