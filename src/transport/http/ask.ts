import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import { boundedMemo } from '../../model/bounded-memo.ts'
import type { DenyReason } from '../../model/decision.ts'
import type { HeaderMap } from '../../model/header.ts'
import { plainAddress } from '../trusted-sources.ts'
import type { TrustedSources } from '../trusted-sources.ts'
import type { Ask } from './dialect.ts'
import { httpLimits } from './limits.ts'

/** A request as Node's parsers give it, of either version of HTTP. */
export type Incoming = IncomingMessage | Http2ServerRequest

/** The head of a request but for its first line. */
export interface Head {
  /** All fields but `Host`, repeats apart. */
  readonly headers: HeaderMap
  readonly hosts: readonly string[]
  /** `:authority` of HTTP/2. */
  readonly authority: string | undefined
}

/**
 * Goes through the fields of a request, once: `rawHeaders` and never `headers`, in which Node drops and joins repeats (SECURITY.md §2)
 * and which it makes when it is first asked for.
 */
export function headOf(incoming: Incoming): Head {
  const { rawHeaders: raw } = incoming
  const headers = new Map<string, string[]>()
  const hosts: string[] = []
  let authority: string | undefined
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = (raw[at] ?? '').toLowerCase()
    const value = raw[at + 1] ?? ''
    if (name === 'host') hosts.push(value)
    else if (name === ':authority') authority = value
    else if (!name.startsWith(':')) append(headers, name, value)
  }
  const crumbs = isSecond(incoming) ? headers.get('cookie') : undefined
  // HTTP/2 may split one Cookie field into several, which are one again outside of it (RFC 9113 §8.2.3).
  if (crumbs !== undefined) headers.set('cookie', [crumbs.join('; ')])
  return { headers, hosts, authority }
}

/** Not by the version: an HTTP/1.1 parser takes "HTTP/2.0" for one. */
const isSecond = (incoming: Incoming): incoming is Http2ServerRequest => 'stream' in incoming

/** Takes a request apart. */
export function readAsk(incoming: Incoming, { headers, hosts, authority }: Head, trusts: TrustedSources): Ask {
  const second = isSecond(incoming)
  const peer = incoming.socket.remoteAddress
  return {
    method: incoming.method ?? '',
    target: incoming.url ?? '',
    authority: authority ?? hosts[0] ?? '',
    headers,
    examined: !second,
    peer: peer === undefined ? undefined : peerAddress(peer),
    trusted: trusts(peer),
    fault: hostFault(hosts, authority) ?? framingFault(second ? '2' : incoming.httpVersion, headers),
  }
}

const peerAddress = boundedMemo(1024, plainAddress)

function append(headers: Map<string, string[]>, name: string, value: string): void {
  const values = headers.get(name)
  if (values === undefined) headers.set(name, [value])
  else values.push(value)
}

/** Two Host lines, or a Host that is not the `:authority`, would let two servers see two hosts (RFC 9112 §3.2). */
function hostFault(hosts: readonly string[], authority: string | undefined): DenyReason | undefined {
  const [host] = hosts
  return hosts.length > 1 || (host !== undefined && authority !== undefined && host !== authority)
    ? 'bad-host'
    : undefined
}

/**
 * What Node's parser lets through for a moment: versions that are none, codings that are not `chunked` (RFC 9112 §6.3). A body that
 * is too long is refused by what it says of itself; one that says nothing is cut off when it gets too long.
 */
function framingFault(version: string, headers: HeaderMap): DenyReason | undefined {
  const coding = headers.get('transfer-encoding')
  const chunked = coding === undefined || (coding.length === 1 && coding[0]?.toLowerCase() === 'chunked')
  if (!chunked || !versions.has(version)) return 'malformed-request'
  return Number(headers.get('content-length')?.[0] ?? 0) > httpLimits.bodyBytes ? 'too-large' : undefined
}

const versions: ReadonlySet<string> = new Set(['1.0', '1.1', '2'])
