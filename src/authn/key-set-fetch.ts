import { metadataUrls } from './endpoint-discovery.ts'
import type { HttpClient } from './http-client.ts'
import { keySetLimits, readKeySet } from './jwk-set.ts'
import type { KeySet } from './jwk-set.ts'
import type { JwksLocation } from './jwks-store.ts'
import { isJsonObject, parseStrictJson } from './strict-json.ts'

/** One attempt to get keys over the network. */
export interface KeySetRequest {
  readonly http: HttpClient
  /** Milliseconds for each document. */
  readonly timeout: number
  readonly signal: AbortSignal
}

/**
 * Gets an issuer's key set, or undefined for anything but a set with a usable key: an error page or an empty set never
 * takes the place of the last good one (CVE-2026-31837).
 */
export async function fetchKeySet(location: JwksLocation, request: KeySetRequest): Promise<KeySet | undefined> {
  const uri = location.kind === 'uri' ? location.uri : await discoverUri(location.issuer, request)
  const body = uri === undefined ? undefined : await get(uri, 'application/jwk-set+json, application/json', request)
  const set = body === undefined ? undefined : readKeySet(body, 'published')
  return set === undefined || set.keys.length === 0 ? undefined : set
}

/** `jwks_uri` out of the metadata, whose `issuer` must be the configured one to the letter (RFC 8414 §3.3). */
async function discoverUri(issuer: string, request: KeySetRequest): Promise<string | undefined> {
  for (const url of metadataUrls(issuer)) {
    const body = await get(url, 'application/json', request)
    const document = body === undefined ? undefined : parseStrictJson(body, { maxBytes: keySetLimits.maxBytes })
    if (!isJsonObject(document)) continue
    const uri = document['jwks_uri']
    const good = document['issuer'] === issuer && typeof uri === 'string' && request.http.refuse(uri) === undefined
    return good ? uri : undefined
  }
  return undefined
}

async function get(url: string, accept: string, { http, timeout, signal }: KeySetRequest): Promise<string | undefined> {
  const ask = { url, method: 'GET', headers: { accept }, maxBytes: keySetLimits.maxBytes, timeout, signal } as const
  const answer = await http.exchange(ask).catch(() => undefined)
  return answer?.status === 200 ? answer.body : undefined
}
