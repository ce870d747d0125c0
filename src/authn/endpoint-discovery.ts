import type { HttpAnswer, HttpClient } from './http-client.ts'
import { isJsonObject, parseStrictJson } from './strict-json.ts'

/** Where one issuer's introspection endpoint is, as far as is known. */
export interface EndpointSource {
  /** The endpoint at once, or after the look-up that is under way; undefined while it cannot be found. */
  readonly current: () => string | undefined | Promise<string | undefined>
  readonly release: () => void
}

/** Endpoints of all issuers in use: looked up in the background, and the last good one kept. */
export interface EndpointDiscovery {
  /** Starts (or shares) the upkeep for an issuer; `release` when no policy uses it any more. */
  readonly acquire: (issuer: string) => EndpointSource
  readonly close: () => void
}

export interface DiscoveryTimes {
  /** Milliseconds between look-ups that succeed, ± 20 %. */
  readonly refresh: number
  /** Milliseconds after the first failure; doubled with each further one. */
  readonly backoff: number
  readonly longestBackoff: number
  /** For one document. */
  readonly timeout: number
}

const usual: DiscoveryTimes = { refresh: 300_000, backoff: 1000, longestBackoff: 20_000, timeout: 2000 }

interface Upkeep {
  users: number
  known: string | undefined
  pending: Promise<string | undefined> | undefined
  timer: NodeJS.Timeout | undefined
  failures: number
  readonly stop: AbortController
}

/** Made once for the process; close it once. */
export function createEndpointDiscovery(
  http: HttpClient,
  times: DiscoveryTimes = usual,
  random: () => number = Math.random,
): EndpointDiscovery {
  const upkeeps = new Map<string, Upkeep>()

  function lookUp(issuer: string, upkeep: Upkeep): void {
    upkeep.pending = discover(issuer, http, times.timeout, upkeep.stop.signal).then((found) => {
      upkeep.pending = undefined
      upkeep.known = found ?? upkeep.known // the last good one stays through an outage (SECURITY.md E9)
      upkeep.failures = found === undefined ? upkeep.failures + 1 : 0
      if (!upkeep.stop.signal.aborted) again(issuer, upkeep)
      return upkeep.known
    })
  }

  function again(issuer: string, upkeep: Upkeep): void {
    const pause = Math.min(times.backoff * 2 ** (upkeep.failures - 1), times.longestBackoff)
    const delay = (upkeep.failures > 0 ? pause : times.refresh) * (0.8 + 0.4 * random())
    upkeep.timer = setTimeout(() => lookUp(issuer, upkeep), delay).unref()
  }

  function end(issuer: string, upkeep: Upkeep): void {
    upkeep.stop.abort()
    clearTimeout(upkeep.timer)
    upkeeps.delete(issuer)
  }

  function begin(issuer: string): Upkeep {
    const stop = new AbortController()
    const upkeep: Upkeep = { users: 0, known: undefined, pending: undefined, timer: undefined, failures: 0, stop }
    upkeeps.set(issuer, upkeep)
    lookUp(issuer, upkeep)
    return upkeep
  }

  return {
    acquire: (issuer) => {
      const upkeep = upkeeps.get(issuer) ?? begin(issuer)
      upkeep.users += 1
      let held = true
      return {
        current: () => upkeep.known ?? upkeep.pending,
        release: () => {
          if (!held) return
          held = false
          upkeep.users -= 1
          if (upkeep.users === 0) end(issuer, upkeep)
        },
      }
    },
    close: () => {
      for (const [issuer, upkeep] of upkeeps) end(issuer, upkeep)
    },
  }
}

/** The addresses of an issuer's metadata: OpenID Connect Discovery §4 appends, RFC 8414 §3 inserts. */
export function metadataUrls(issuer: string): readonly string[] {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, '')
  return [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ]
}

async function discover(
  issuer: string,
  http: HttpClient,
  timeout: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  for (const url of metadataUrls(issuer)) {
    const answer = await http
      .exchange({ url, method: 'GET', headers: { accept: 'application/json' }, maxBytes: 262_144, timeout, signal })
      .catch(() => undefined)
    const endpoint = answer === undefined ? undefined : endpointIn(answer, issuer, http)
    if (endpoint !== undefined) return endpoint
  }
  return undefined
}

/**
 * The endpoint that the document names. Its issuer must be ours to the letter (RFC 8414 §3.3), and the endpoint must be of
 * the issuer's own origin: it gets our client's secret and every token (CVE-2026-41413).
 */
function endpointIn({ status, body }: HttpAnswer, issuer: string, http: HttpClient): string | undefined {
  const document = status === 200 ? parseStrictJson(body, { maxBytes: 262_144 }) : undefined
  if (!isJsonObject(document) || document['issuer'] !== issuer) return undefined
  const endpoint = document['introspection_endpoint']
  if (typeof endpoint !== 'string' || http.refuse(endpoint) !== undefined) return undefined
  return new URL(endpoint).origin === new URL(issuer).origin ? endpoint : undefined
}
