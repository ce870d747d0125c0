import type { RegistrationOptions } from '../registration/reconcile.ts'
import type { KubeClient } from './client.ts'
import { apiVersionOf, resources } from './resources.ts'

/** In which version the server takes the kinds that registration writes; what it does not have is left out. */
export async function servedVersions(
  client: Pick<KubeClient, 'discover'>,
  signal: AbortSignal,
): Promise<RegistrationOptions['versions']> {
  const served = await client.discover(resources.ReferenceGrant.group, signal)
  const versionOf = (kind: 'ReferenceGrant' | 'BackendTLSPolicy'): string | undefined => {
    const row = resources[kind]
    const version = row.versions.find((one) => served.some((has) => has.kind === kind && has.version === one))
    return version === undefined ? undefined : apiVersionOf({ ...row, versions: [version] })
  }
  const ReferenceGrant = versionOf('ReferenceGrant')
  const BackendTLSPolicy = versionOf('BackendTLSPolicy')
  return {
    ...(ReferenceGrant === undefined ? {} : { ReferenceGrant }),
    ...(BackendTLSPolicy === undefined ? {} : { BackendTLSPolicy }),
  }
}
