import { z } from 'zod'
import { asksUs } from '../cluster/objects.ts'
import type { ClusterObject, World } from '../cluster/objects.ts'
import { memo } from '../model/memo.ts'
import { checkPath } from '../model/route.ts'
import type { Path } from '../model/result.ts'
import { gatewayGroup } from '../policy/document.ts'
import type { Manifest } from '../policy/manifest.ts'
import { clipped, diagnosis, fixedBy } from './diagnosis.ts'
import type { Diagnosis } from './diagnosis.ts'
import { placeholderHeader } from './mended-filter.ts'
import { usualPorts } from './scene.ts'
import type { Scene } from './scene.ts'

type GrpcRoute = ClusterObject<'GRPCRoute'>

const backendRef = z.looseObject({
  group: z.string().default(''),
  kind: z.string().default('Service'),
  namespace: z.string().optional(),
  name: z.string(),
})
const rule = z.looseObject({
  name: z.string().optional(),
  matches: z
    .array(
      z.looseObject({
        method: z
          .looseObject({
            type: z.string().default('Exact'),
            service: z.string().optional(),
            method: z.string().optional(),
          })
          .optional(),
        headers: z.array(z.looseObject({})).optional(),
      }),
    )
    .default([]),
  filters: z
    .array(z.looseObject({ type: z.string(), externalAuth: z.looseObject({ backendRef }).optional() }))
    .default([]),
  backendRefs: z.array(z.looseObject({})).default([]),
})
const shape = z.looseObject({ spec: z.looseObject({ rules: z.array(rule) }) })
const policy = z.looseObject({
  spec: z.looseObject({ targetRefs: z.array(z.looseObject({ kind: z.string(), name: z.string() })) }),
})

type Rule = z.output<typeof rule>

/**
 * GRPCRoutes have no ExternalAuth filter (GEP-1494). They are worth a look where somebody counts on one: the filter stands in
 * the route, a policy is for its whole Gateway, or protected routes are beside it (at `protectedAt`).
 */
export function grpcRoutes(world: World, protectedAt: () => ReadonlySet<string>, scene: Scene): readonly Diagnosis[] {
  const routes = world.of('GRPCRoute')
  if (routes.length === 0) return []
  const gateways = { guarded: protectedAt(), covered: coveredGateways(world) }
  return routes.flatMap((route) => {
    const found = reasonFor(route, gateways, scene)
    if (found === undefined) return []
    const mend = 'protect it by an HTTPRoute that matches /package.Service/Method, in its place'
    const said = { code: 'unprotectable-route', severity: 'warning', ...found, mend } as const
    return [diagnosis(route.manifest, { ...said, ...fixedBy(inItsPlace(route, scene)) })]
  })
}

/** Policies for whole Gateways (`namespace/name`), by name. */
const coveredGateways = ({ manifests }: World): ReadonlyMap<string, string> =>
  new Map(manifests.flatMap((one) => (one.kind === 'AuthPolicy' ? coveredBy(one) : [])))

const coveredBy = memo(({ namespace, name, object }: Manifest): readonly (readonly [string, string])[] => {
  const read = policy.safeParse(object)
  const targets = read.success ? read.data.spec.targetRefs.slice(0, 64) : []
  return targets
    .filter(({ kind }) => kind === 'Gateway')
    .map((target) => [`${namespace}/${target.name}`, `${namespace}/${name}`] as const)
})

interface Gateways {
  readonly guarded: ReadonlySet<string>
  readonly covered: ReadonlyMap<string, string>
}

/** What somebody who looks at the cluster may take for protection, and where. */
function reasonFor(
  route: GrpcRoute,
  { guarded, covered }: Gateways,
  { us }: Scene,
): { readonly path: Path; readonly say: string } | undefined {
  const { namespace } = route.manifest
  for (const [index, { filters }] of rulesOf(route).entries()) {
    const position = filters.findIndex(
      ({ externalAuth }) =>
        externalAuth !== undefined && (us === undefined || asksUs(externalAuth.backendRef, namespace, us)),
    )
    const path = ['spec', 'rules', index, 'filters', position]
    if (position >= 0)
      return { path, say: 'gateways read ExternalAuth filters of HTTPRoutes only: this one checks nothing' }
  }
  const path = ['spec', 'parentRefs']
  const parents = route.object.spec.parentRefs.slice(0, 64).map((ref) => `${ref.namespace ?? namespace}/${ref.name}`)
  const under = parents.find((id) => covered.has(id))
  if (under !== undefined) {
    const say = `AuthPolicy ${clipped(covered.get(under) ?? '')} is for all of Gateway ${clipped(under)}, but a GRPCRoute cannot carry the ExternalAuth filter: it is served unchecked`
    return { path, say }
  }
  const beside = parents.find((id) => guarded.has(id))
  if (beside === undefined) return undefined
  const say = `a GRPCRoute cannot carry the ExternalAuth filter: Gateway ${clipped(beside)} serves it unchecked`
  return { path, say }
}

function rulesOf({ object }: GrpcRoute): readonly Rule[] {
  const read = shape.safeParse(object)
  return read.success ? read.data.spec.rules.slice(0, 64) : []
}

/** The HTTPRoute that takes the same requests, each rule with the filter; undefined where a match has no such form. */
function inItsPlace(route: GrpcRoute, scene: Scene) {
  const { namespace, name } = route.manifest
  const { parentRefs, hostnames } = route.object.spec
  const rules = rulesOf(route).map((one, index) => {
    const matches = one.matches.map(httpMatch)
    const called = one.name ?? `rule-${index + 1}`
    const filters = [
      ...one.filters.filter(({ type }) => type !== 'ExternalAuth'),
      filterOf({ namespace, route: name, rule: called }, scene),
    ]
    const whole = matches.every((match) => match !== undefined)
    return whole ? { name: called, matches, filters, backendRefs: one.backendRefs } : undefined
  })
  if (rules.length === 0 || rules.includes(undefined)) return undefined
  const object = {
    apiVersion: `${gatewayGroup}/v1`,
    kind: 'HTTPRoute',
    metadata: { namespace, name },
    spec: { parentRefs, ...(hostnames.length === 0 ? {} : { hostnames }), rules },
  }
  return { kind: 'apply', objects: [object] } as const
}

/** gRPC calls are POSTs of `/package.Service/Method` (gRPC over HTTP/2). */
function httpMatch({ method, headers }: Rule['matches'][number]): object | undefined {
  const { type = 'Exact', service, method: called } = method ?? {}
  if (type !== 'Exact' || (service === undefined && called !== undefined)) return undefined
  const path =
    called === undefined
      ? { type: 'PathPrefix', value: `/${service ?? ''}` }
      : { type: 'Exact', value: `/${service ?? ''}/${called}` }
  return { path, method: 'POST', ...(headers === undefined ? {} : { headers }) }
}

const filterOf = (key: Parameters<typeof checkPath>[0], { us }: Scene): object => ({
  type: 'ExternalAuth',
  externalAuth: {
    protocol: 'HTTP',
    backendRef: {
      name: us?.name ?? 'gatehouse',
      namespace: us?.namespace ?? 'gatehouse',
      port: (us?.ports ?? usualPorts).http,
    },
    http: { path: checkPath(key), allowedResponseHeaders: [placeholderHeader] },
  },
})
