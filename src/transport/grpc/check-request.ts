import type { DenyReason } from '../../model/decision.ts'
import { authRequest } from '../../model/request.ts'
import type { AuthRequest, Claim } from '../../model/request.ts'
import type { HeaderMap } from '../../model/header.ts'
import { checkClaim } from './check-claim.ts'
import type { IdentityTrust, WireIdentity } from './check-claim.ts'
import { checkHeaders } from './check-headers.ts'
import type { WireHeaders } from './check-headers.ts'
import { authorizationService, method } from './definitions.ts'

/** The part of `envoy.service.auth.v3.CheckRequest` that is read; nothing absent is filled in by the decoder. */
export interface WireCheck {
  readonly attributes?: WireIdentity & {
    readonly source?: { readonly address?: { readonly socket_address?: { readonly address?: string } } }
    readonly request?: { readonly http?: WireHttp }
  }
}

interface WireHttp extends WireHeaders {
  readonly method?: string
  readonly path?: string
  readonly host?: string
  readonly scheme?: string
}

const { requestDeserialize } = method(authorizationService, 'Check')

/** Reads the bytes of a check. Whatever they are, there is a request to judge: one that cannot be read has a fault. */
export function readCheck(bytes: Buffer, trust: IdentityTrust): AuthRequest {
  try {
    return fromWire(requestDeserialize(bytes), trust)
  } catch {
    return unreadable // the decoder throws on truncated, endless or too deeply nested bytes
  }
}

function fromWire({ attributes }: WireCheck, trust: IdentityTrust): AuthRequest {
  const http = attributes?.request?.http
  if (attributes === undefined || http === undefined) return unreadable
  const claim = checkClaim(attributes, trust)
  const headers = checkHeaders(http)
  const contradictory = claim === undefined || headers === undefined
  return authRequest({
    ...requestLine(http),
    via: 'grpc',
    claim: claim ?? bad,
    headers: headers ?? nothing,
    source: attributes.source?.address?.socket_address?.address,
    fault: contradictory ? 'contradictory-headers' : partialBody(headers),
  })
}

/** From the fields of the check, never from the pseudo-headers in its map. */
const requestLine = ({ method = '', path = '', host = '', scheme }: WireHttp) => ({
  method,
  target: path,
  authority: host,
  scheme,
})

/** Envoy takes a client's own header of this name off the check, and says `false` where it sends the whole body. */
function partialBody(headers: HeaderMap): DenyReason | undefined {
  const said = headers.get('x-envoy-auth-partial-body')?.[0]
  return said === undefined || said === 'false' ? undefined : 'partial-body'
}

const bad: Claim = { kind: 'bad' }
const nothing: HeaderMap = new Map()

const unreadable = authRequest({
  via: 'grpc',
  claim: bad,
  method: '',
  authority: '',
  target: '',
  headers: nothing,
  fault: 'malformed-request',
})
