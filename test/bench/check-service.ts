import { fileURLToPath } from 'node:url'
import { loadSync } from '@grpc/proto-loader'
import type { MethodDefinition, Options } from '@grpc/proto-loader'

const folder = fileURLToPath(new URL('../../protos', import.meta.url))

/** `envoy.service.auth.v3.Authorization/Check` as the vendored protos define it, with a codec of proto-loader's. */
export function checkMethod(options: Options = { keepCase: true, longs: String }): MethodDefinition<object, object> {
  const file = 'envoy/service/auth/v3/external_auth.proto'
  const service = loadSync(file, { ...options, includeDirs: [folder] })['envoy.service.auth.v3.Authorization']
  const method = service === undefined || 'format' in service ? undefined : service['Check']
  if (method === undefined) throw new Error(`protos/${file} defines no Authorization/Check`)
  return method
}

/** The part of a CheckResponse that is looked at, in the names of the protos. */
export interface CheckReply {
  readonly status?: { readonly code?: number }
  readonly ok_response?: { readonly headers?: readonly HeaderOption[] }
  readonly denied_response?: { readonly status?: { readonly code?: number | string } }
}

interface HeaderOption {
  readonly header?: { readonly key?: string; readonly value?: string }
}
