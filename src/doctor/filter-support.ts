import { kinOf } from './controllers.ts'
import { clipped, diagnosis, fixedBy } from './diagnosis.ts'
import type { Diagnosis, Fix } from './diagnosis.ts'
import type { Reach } from './reach.ts'
import type { RuleSite, Scene } from './scene.ts'
import { vendorFix } from './vendor-objects.ts'

/** Whether the gateways that serve the rule honour the filter at all: once for each controller. */
export function filterSupport(site: RuleSite, scene: Scene): readonly Diagnosis[] {
  const { filter } = site
  if (filter === undefined) return []
  const asked = new Map(site.reach.map((one) => [one.controllerName, one]))
  return [...asked.values()].flatMap((reach) => {
    const found = reach.controller === undefined ? unlisted(site, reach, scene) : ignored(site, reach, scene)
    return found === undefined ? [] : [found]
  })
}

function ignored(site: RuleSite, { controller, controllerName, id }: Reach, scene: Scene): Diagnosis | undefined {
  const { filter, route, key } = site
  if (filter === undefined || controller === undefined || controller.filter === 'honoured') return undefined
  const { name, instead, guide } = controller
  const effect = controller.filter === 'ignored' ? 'it may serve the rule unchecked' : 'the rule does not work there'
  const say = `${name} (Gateway ${id}) does not know the ExternalAuth filter: ${effect}`
  const mend = `use ${instead}${guide === '' ? '' : ` (deploy/gateways/${guide})`} and take the filter out`
  const gateways = site.reach.filter((one) => one.controllerName === controllerName).map((one) => one.id)
  return diagnosis(
    route.manifest,
    {
      code: 'controller-ignores-filter',
      severity: 'error',
      path: filter.path,
      say,
      mend,
      gateways,
      ...fixedBy(vendorFix([name], site, scene)),
    },
    key,
  )
}

/**
 * Of a controller that is not known, its GatewayClass may tell. The feature's name is not settled (GEP-1494 has two), and a class
 * that lists no features tells nothing.
 */
function unlisted(
  site: RuleSite,
  { gatewayClass, controllerName = '', id }: Reach,
  scene: Scene,
): Diagnosis | undefined {
  const features = gatewayClass?.object.status.supportedFeatures ?? []
  const { filter, route, key } = site
  if (filter === undefined || gatewayClass === undefined || features.length === 0) return undefined
  if (features.some((name) => /^HTTPRoute(ExternalAuth|ExtAuth)/.test(name))) return undefined
  const { name } = gatewayClass.manifest
  const say = `GatewayClass ${name} of Gateway ${id} does not list HTTPRouteExternalAuth among its supportedFeatures`
  const said = { code: 'filter-not-supported', severity: 'warning', path: filter.path, say } as const
  return diagnosis(route.manifest, { ...said, ...insteadOf(controllerName, site, scene) }, key)
}

/** What to do where it is not known whether the filter is honoured; the vendor's own way, where its product has one. */
function insteadOf(
  controllerName: string,
  site: RuleSite,
  scene: Scene,
): { readonly mend: string; readonly fix?: Fix } {
  const mend = 'make sure that a request without a credential is refused there'
  const kin = kinOf(controllerName)
  const fix = kin && vendorFix([kin.name], site, scene)
  return fix === undefined ? { mend } : { mend: `${mend}, or use ${kin?.instead}`, fix }
}

/** What the controllers themselves said of a route with our filter: it may be served all the same (R11). */
export function routeAcceptance(ofRoute: readonly RuleSite[]): readonly Diagnosis[] {
  const { route } = ofRoute.find(({ filter }) => filter !== undefined) ?? {}
  if (route === undefined) return []
  const { manifest, object } = route
  return object.status.parents.slice(0, 64).flatMap(({ parentRef, controllerName, conditions }, index) => {
    const bad = conditions.find(
      ({ type, status }) =>
        (['Accepted', 'ResolvedRefs'].includes(type) && status === 'False') ||
        (type === 'PartiallyInvalid' && status === 'True'),
    )
    if (bad === undefined) return []
    const path = ['status', 'parents', index]
    const say = `${clipped(controllerName)} says ${clipped(bad.type)}: ${clipped(bad.status)} (${clipped(bad.reason)}) of the route at ${clipped(parentRef.name)}`
    const mend = "read the condition's message"
    return [diagnosis(manifest, { code: 'route-not-accepted', severity: 'warning', path, say, mend })]
  })
}
