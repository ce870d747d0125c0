import { z } from 'zod'
import { ok, failed } from '../model/result.ts'
import type { Result } from '../model/result.ts'
import type { Manifest } from './manifest.ts'
import { parse } from './parse.ts'
import { acceptance, parentRef, showParent } from './route-status.ts'
import type { ParentRef, RouteStatus } from './route-status.ts'

/* The few fields of Gateway API objects that decisions depend on; everything else in them is the gateway's business. */

const valueMatch = z.looseObject({
  type: z.enum(['Exact', 'RegularExpression']).default('Exact'),
  name: z.string().min(1),
  value: z.string(),
})

const match = z.looseObject({
  path: z
    .looseObject({
      type: z.enum(['Exact', 'PathPrefix', 'RegularExpression']).default('PathPrefix'),
      value: z.string().default('/'),
    })
    .default({ type: 'PathPrefix', value: '/' }),
  method: z.string().optional(),
  headers: z.array(valueMatch).max(64).default([]),
  queryParams: z.array(valueMatch).max(64).default([]),
})

const filter = z.looseObject({
  type: z.string(),
  externalAuth: z
    .looseObject({
      protocol: z.enum(['HTTP', 'GRPC']),
      backendRef: z
        .looseObject({
          group: z.string().default(''),
          kind: z.string().default('Service'),
          namespace: z.string().optional(),
          name: z.string(),
          port: z.number().optional(),
        })
        .optional(),
      http: z
        .looseObject({
          path: z.string().optional(),
          allowedHeaders: z.array(z.string()).default([]),
          allowedResponseHeaders: z.array(z.string()).default([]),
        })
        .optional(),
      grpc: z.looseObject({ allowedHeaders: z.array(z.string()).default([]) }).optional(),
    })
    .optional(),
})

const rule = z.looseObject({
  name: z.string().optional(),
  matches: z.array(match).max(1024).default([]),
  filters: z.array(filter).default([]),
})

const httpRoute = z.looseObject({
  metadata: z.looseObject({ creationTimestamp: z.string().optional() }),
  spec: z.looseObject({
    parentRefs: z.array(parentRef).default([]),
    useDefaultGateways: z.string().optional(),
    hostnames: z.array(z.string()).default([]),
    rules: z.array(rule).max(10_000).default([]),
  }),
})

export type HttpRouteMatch = z.output<typeof match>

/** The ExternalAuth filter of a rule (GEP-1494), as far as it tells how the rule's checks look. */
export interface ExternalAuth {
  readonly protocol: 'HTTP' | 'GRPC'
  /** `http.path`; undefined where the filter has none. */
  readonly path: string | undefined
  /** Whom the gateway asks; undefined where the filter does not say. */
  readonly backend:
    | {
        readonly group: string
        readonly kind: string
        readonly namespace: string | undefined
        readonly name: string
        readonly port: number | undefined
      }
    | undefined
  /** Lower-case names that reach us, or undefined for all of them (gRPC with an empty list). */
  readonly allowedHeaders: ReadonlySet<string> | undefined
  /** True where the gateway may put the `content-length` of our answer on the client's request, copying every header or that one. */
  readonly copiesLength: boolean
}

export interface HttpRouteRule {
  readonly name: string | undefined
  readonly matches: readonly HttpRouteMatch[]
  readonly externalAuth: ExternalAuth | undefined
}

/** An HTTPRoute, reduced. */
export interface HttpRoute extends RouteStatus {
  readonly manifest: Manifest
  /** Milliseconds since the epoch, where the object says. */
  readonly created: number | undefined
  readonly hostnames: readonly string[]
  readonly parentRefs: readonly ParentRef[]
  /** It takes default Gateways besides those it names (GEP-3793). */
  readonly defaultGateways: boolean
  readonly rules: readonly HttpRouteRule[]
  /** What it names as its parents, or was accepted at, in the same form. */
  readonly parents: ReadonlySet<string>
}

// Always sent over HTTP whatever the list says (GEP-1494).
const alwaysSent = ['host', 'method', 'path', 'content-length', 'authorization']

export function parseHttpRoute(manifest: Manifest): Result<HttpRoute> {
  const read = parse(httpRoute, manifest.object)
  if (!read.ok) return failed(read.findings)
  const { metadata, spec } = read.value
  const accepted = acceptance(manifest)
  const named = spec.parentRefs.map((ref) => showParent(ref, manifest))
  return ok({
    manifest,
    created: timestamp(metadata.creationTimestamp),
    hostnames: spec.hostnames.map((name) => name.toLowerCase()),
    parentRefs: spec.parentRefs,
    defaultGateways: spec.useDefaultGateways === 'All',
    rules: spec.rules.map(({ name, matches, filters }) => ({
      name,
      // No matches at all means every path (httproute_types.go).
      matches: matches.length > 0 ? matches : [match.parse({})],
      externalAuth: externalAuth(filters),
    })),
    ...accepted,
    parents: new Set([...named, ...accepted.acceptedAt]),
  })
}

function externalAuth(filters: readonly z.output<typeof filter>[]): ExternalAuth | undefined {
  const found = filters.find((one) => one.type === 'ExternalAuth')?.externalAuth
  if (found === undefined) return undefined
  const listed = (found.http ?? found.grpc)?.allowedHeaders.map((name) => name.toLowerCase()) ?? []
  const everything = found.protocol === 'GRPC' && listed.length === 0
  return {
    protocol: found.protocol,
    path: found.http?.path,
    backend: found.backendRef && {
      ...found.backendRef,
      namespace: found.backendRef.namespace,
      port: found.backendRef.port,
    },
    allowedHeaders: everything ? undefined : new Set(found.protocol === 'HTTP' ? [...alwaysSent, ...listed] : listed),
    copiesLength: copiesLength(found),
  }
}

type Filter = NonNullable<z.output<typeof filter>['externalAuth']>

/** An empty list means every header (GEP-1494; GATEWAYS.md §G.1). */
function copiesLength({ protocol, http }: Filter): boolean {
  const copied = http?.allowedResponseHeaders ?? []
  return protocol === 'HTTP' && (copied.length === 0 || copied.some((name) => name.toLowerCase() === 'content-length'))
}

/** RFC 3339 text as milliseconds, or undefined. */
export function timestamp(text: string | undefined): number | undefined {
  const at = text === undefined ? Number.NaN : Date.parse(text)
  return Number.isNaN(at) ? undefined : at
}

/** Where Gatehouse itself is in the cluster: what filters have to point at. */
export interface OurService {
  readonly namespace: string
  readonly name: string
  /** Service ports by what they serve. */
  readonly ports: { readonly grpc: number; readonly http: number; readonly matching: number }
}

/** True where a filter of this route asks our Service. */
export function carriesOurs({ backend }: ExternalAuth, { manifest }: HttpRoute, us: OurService): boolean {
  if (backend === undefined) return false
  const namespace = backend.namespace ?? manifest.namespace
  return backend.group === '' && backend.kind === 'Service' && backend.name === us.name && namespace === us.namespace
}
