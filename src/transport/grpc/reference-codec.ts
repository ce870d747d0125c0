import type { Decision } from '../../model/decision.ts'
import type { AuthRequest } from '../../model/request.ts'
import { agreedClaim, extensionsClaim, metadataClaim } from './check-claim.ts'
import type { Sender, Struct } from './check-claim.ts'
import { checkHeaders } from './check-headers.ts'
import type { WireHeader } from './check-headers.ts'
import { encoded } from './check-response.ts'
import { checkedRequest, unreadable } from './checked-request.ts'
import type { Codec } from './codec.ts'
import { method } from './definitions.ts'
import { scan } from './reference-scan.ts'
import { authorizationService } from './service-names.ts'
import { fromRaw, fromWire } from './wire-text.ts'

/** The part of `envoy.service.auth.v3.CheckRequest` that is read; nothing absent is filled in by the decoder. */
interface WireCheck {
  readonly attributes?: WireAttributes
}

interface WireAttributes {
  readonly source?: { readonly address?: { readonly socket_address?: { readonly address?: string } } }
  readonly request?: { readonly http?: WireHttp }
  readonly context_extensions?: Readonly<Record<string, string>>
  readonly route_metadata_context?: { readonly filter_metadata?: Readonly<Record<string, Struct>> }
}

interface WireHttp {
  readonly method?: string
  readonly path?: string
  readonly host?: string
  readonly scheme?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly header_map?: { readonly headers?: readonly WireHeaderValue[] }
}

interface WireHeaderValue {
  readonly key?: string
  readonly value?: string
  readonly raw_value?: Uint8Array
}

const { requestDeserialize, responseSerialize } = method(authorizationService, 'Check')

/** Reads and writes by `@grpc/proto-loader` and the vendored protos: slower, and there to be compared with. */
export const referenceCodec: Codec = {
  read(bytes: Buffer, sender: Sender): AuthRequest {
    try {
      scan(bytes, 'envoy.service.auth.v3.CheckRequest')
      return asked(requestDeserialize(bytes), sender)
    } catch {
      return unreadable
    }
  },
  write: (decision: Decision): Buffer => encoded(decision, responseSerialize),
  direct: false,
}

function asked({ attributes }: WireCheck, { envoyGatewayMetadata, caller }: Sender): AuthRequest {
  const http = attributes?.request?.http
  if (attributes === undefined || http === undefined) return unreadable
  const extensions = extensionsClaim(attributes.context_extensions)
  return checkedRequest({
    claim: envoyGatewayMetadata
      ? agreedClaim(extensions, metadataClaim(attributes.route_metadata_context?.filter_metadata))
      : extensions,
    method: http.method,
    path: http.path,
    host: http.host,
    scheme: http.scheme,
    source: attributes.source?.address?.socket_address?.address,
    caller,
    headers: checkHeaders(joined(http), (http.header_map?.headers ?? []).map(rawHeader)),
  })
}

const joined = ({ headers = {} }: WireHttp): readonly WireHeader[] =>
  Object.entries(headers).map(([name, value]) => [name, fromWire(value)])

const rawHeader = ({ key = '', value = '', raw_value: raw }: WireHeaderValue): WireHeader => [
  key,
  raw !== undefined && raw.length > 0 ? fromRaw(raw) : fromWire(value),
]
