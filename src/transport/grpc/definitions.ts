import { fileURLToPath } from 'node:url'
import { loadSync } from '@grpc/proto-loader'
import type { MethodDefinition, PackageDefinition } from '@grpc/proto-loader'

/** The vendored protos: beside `src/` in a clone, beside `dist/` in the package. */
const folder = fileURLToPath(new URL('../../../protos', import.meta.url))

/** Everything that is spoken here, as reflection shows it. Loading takes long, so whoever can do without does not import this file. */
export const definitions: PackageDefinition = loadSync(
  ['envoy/service/auth/v3/external_auth.proto', 'grpc/health/v1/health.proto'],
  { includeDirs: [folder], keepCase: true, longs: String },
)

/** One method of a service, as the protos define it. Throws where they do not: the vendored copy is broken then. */
export function method(service: string, name: string): MethodDefinition<object, object> {
  const found = definitions[service]
  if (found === undefined || 'format' in found) throw new Error(`protos/ defines no service ${service}`)
  const definition = found[name]
  if (definition === undefined) throw new Error(`protos/ defines no method ${service}/${name}`)
  return definition
}
