import type { OurService, World } from '../cluster/objects.ts'
import type { Owner, OwnObject } from './desired.ts'
import { ownObject } from './own-object.ts'

export interface BackendTlsOptions {
  /** API version of BackendTLSPolicy that the server has. */
  readonly apiVersion: string
  /** PEM of the authority that signed our certificate. */
  readonly ca: string
  /** Name in our certificate: what gateways send as SNI and check. */
  readonly hostname: string
}

// ConfigMaps are listed by this label only: without it we would not see what becomes of ours.
const listed = { 'gatehouse.dev/credentials': 'true' }

/** Tells gateways that our Service serves TLS, under which name, and by whose authority (GATEWAYS.md §A.4). */
export function backendTls(
  world: World,
  us: OurService,
  owner: Owner,
  { apiVersion, ca, hostname }: BackendTlsOptions,
): readonly OwnObject[] {
  const name = `${us.name}-ca`
  const target = { group: '', kind: 'Service', name: us.name }
  const ports = tlsPortNames(world, us)
  return [
    ownObject(us, owner, { apiVersion: 'v1', kind: 'ConfigMap', name }, { data: { 'ca.crt': ca } }, listed),
    ownObject(
      us,
      owner,
      { apiVersion, kind: 'BackendTLSPolicy', name: us.name },
      {
        spec: {
          targetRefs: ports.length === 0 ? [target] : ports.map((sectionName) => ({ ...target, sectionName })),
          validation: { caCertificateRefs: [{ group: '', kind: 'ConfigMap', name }], hostname },
        },
      },
    ),
  ]
}

/** Names of the ports that serve checks: one for metrics on the same Service speaks plainly. */
function tlsPortNames(world: World, us: OurService): readonly string[] {
  const service = world
    .of('Service')
    .find(({ manifest }) => manifest.namespace === us.namespace && manifest.name === us.name)
  const ours = new Set<number>(Object.values(us.ports))
  const ports = service?.object.spec.ports.filter(({ port }) => ours.has(port)) ?? []
  return ports.map(({ name }) => name).filter((name) => name !== '')
}
