import type { OurService, World } from '../cluster/objects.ts'
import { fault, weakness } from '../model/result.ts'
import type { Problem } from '../model/result.ts'

export interface Listed {
  /** Namespaces that are looked into (`--namespace`); all where absent. */
  readonly namespaces: readonly string[] | undefined
  /** What could not be listed. */
  readonly problems: readonly Problem[]
}

/**
 * Our own Service, where it is not among what was listed: a slip in `--service`, or `--namespace` without its namespace. Nothing is
 * registered beside a Service that nobody sees, and filters are ours by its name.
 */
export function missingService(world: World, us: OurService, { namespaces, problems }: Listed): readonly Problem[] {
  const services = world.of('Service').map(({ manifest }) => `${manifest.namespace}/${manifest.name}`)
  const name = `${us.namespace}/${us.name}`
  if (services.includes(name)) return []
  const object = `Service ${name}`
  if (namespaces !== undefined && !namespaces.includes(us.namespace)) {
    const say = `namespace ${us.namespace} of our Service is not looked into: no ReferenceGrant and no BackendTLSPolicy is kept for it`
    return [{ ...weakness('missing-service', [], say, `add ${us.namespace} to --namespace`), object }]
  }
  // Who may not list Services is told that already.
  if (services.length === 0 && problems.some(({ code }) => hiding.has(code))) return []
  const known = new Set(services)
  const meant = askedServices(world).filter((one) => known.has(one))
  const say = `there is no Service ${name}, which --service takes for ours: filters that ask another one are not ours, and nothing is registered`
  const mend =
    meant.length === 0
      ? 'create it, or name the Service that filters ask by --service'
      : `name the Service that filters ask, e.g. --service=${meant[0]}`
  return [{ ...fault('missing-service', [], say, mend), object }]
}

const hiding: ReadonlySet<Problem['code']> = new Set(['missing-permission', 'api-unreachable', 'missing-crd'])

/** Every Service that an ExternalAuth filter asks, those that are asked most first. */
function askedServices(world: World): readonly string[] {
  const asked = world.of('HTTPRoute').flatMap(({ manifest, object }) =>
    object.spec.rules
      .flatMap(({ filters }) => filters.flatMap(({ externalAuth }) => externalAuth?.backendRef ?? []))
      .filter(({ group, kind }) => group === '' && kind === 'Service')
      .map(({ namespace, name }) => `${namespace ?? manifest.namespace}/${name}`),
  )
  return [...Map.groupBy(asked, (name) => name)]
    .toSorted(([, one], [, other]) => other.length - one.length)
    .map(([name]) => name)
}
