import { z } from 'zod'
import type { ClusterObject } from '../cluster/objects.ts'
import { clipped, diagnosis } from './diagnosis.ts'
import type { Diagnosis } from './diagnosis.ts'
import type { RuleSite, Scene } from './scene.ts'

type Mesh = ClusterObject<'XMesh'>

const shape = z.looseObject({
  status: z.looseObject({ supportedFeatures: z.array(z.looseObject({ name: z.string() })) }),
})

/** Whether the mesh that serves a route of a Service says that it honours the filter: as of GatewayClasses, one that lists nothing tells nothing. */
export function meshSupport(site: RuleSite, { meshes }: Scene): readonly Diagnosis[] {
  const { filter, route, key } = site
  const service = route.object.spec.parentRefs.find(({ group, kind }) => group === '' && kind === 'Service')
  if (filter === undefined || service === undefined) return []
  const mesh = serving(site, meshes).find(silent)
  if (mesh === undefined) return []
  const name = `${service.namespace ?? route.manifest.namespace}/${service.name}`
  const say = `XMesh ${clipped(mesh.manifest.name)}, which serves Service ${clipped(name)}, does not list HTTPRouteExternalAuth among its supportedFeatures`
  const mend = 'make sure that a request without a credential is refused there'
  const said = { code: 'filter-not-supported', severity: 'warning', path: filter.path, say, mend } as const
  return [diagnosis(route.manifest, said, key)]
}

/** The meshes whose controllers took the route; all where none has answered yet. */
function serving({ route }: RuleSite, meshes: readonly Mesh[]): readonly Mesh[] {
  const controllers = new Set(
    route.object.status.parents.flatMap(({ parentRef, controllerName }) =>
      parentRef.group === '' && parentRef.kind === 'Service' ? [controllerName] : [],
    ),
  )
  return controllers.size === 0 ? meshes : meshes.filter(({ object }) => controllers.has(object.spec.controllerName))
}

function silent({ object }: Mesh): boolean {
  const read = shape.safeParse(object)
  const features = read.success ? read.data.status.supportedFeatures : []
  return features.length > 0 && !features.some(({ name }) => /^(Mesh)?HTTPRoute(ExternalAuth|ExtAuth)/.test(name))
}
