import { isIP } from 'node:net'
import { boundedMemo } from '../../model/bounded-memo.ts'
import type { DenyReason } from '../../model/decision.ts'
import type { HeaderFacts } from '../../model/header-facts.ts'
import type { HeaderMap } from '../../model/header.ts'
import { authRequest } from '../../model/request.ts'
import type { AuthRequest, Claim } from '../../model/request.ts'
import { plainAddress } from '../trusted-sources.ts'

/** What a codec reads from a check. */
export interface CheckParts {
  /** Undefined where two sources name different rules. */
  readonly claim: Claim | undefined
  /** From the fields of the check, never from the pseudo-headers in its map. */
  readonly method: string | undefined
  readonly path: string | undefined
  readonly host: string | undefined
  readonly scheme: string | undefined
  /** Undefined where two encodings of them differ. */
  readonly headers: HeaderMap | undefined
  readonly facts?: HeaderFacts | undefined
  readonly source: string | undefined
  /** Address of who sent the check. */
  readonly caller: string | undefined
}

/** The request that a check asks about. */
export function checkedRequest(read: CheckParts): AuthRequest {
  const { claim, headers } = read
  const contradictory = claim === undefined || headers === undefined
  return authRequest({
    via: 'grpc',
    claim: claim ?? bad,
    method: read.method ?? '',
    scheme: read.scheme,
    target: read.path ?? '',
    authority: read.host ?? '',
    headers: headers ?? nothing,
    facts: read.facts,
    source: read.source === undefined || read.source.length > 64 ? undefined : addressIn(read.source),
    caller: read.caller,
    fault: contradictory ? 'contradictory-headers' : partialBody(headers),
  })
}

/** The address of a client; anything else is nobody's, and would be a text without end in the log and in counters. */
const addressIn = boundedMemo(4096, (text) => {
  const plain = plainAddress(text)
  return isIP(plain) === 0 ? undefined : plain
})

/** Envoy takes a client's own header of this name off the check, and says `false` where it sends the whole body. */
function partialBody(headers: HeaderMap): DenyReason | undefined {
  const said = headers.get('x-envoy-auth-partial-body')?.[0]
  return said === undefined || said === 'false' ? undefined : 'partial-body'
}

const bad: Claim = { kind: 'bad' }
const nothing: HeaderMap = new Map()

const without = (fault: DenyReason): AuthRequest =>
  authRequest({ via: 'grpc', claim: bad, method: '', authority: '', target: '', headers: nothing, fault })

/** Stands for bytes that are no check. */
export const unreadable = without('malformed-request')

/** Stands for more bytes than a check may have. */
export const oversized = without('too-large')
