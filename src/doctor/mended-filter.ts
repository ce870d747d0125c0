import { headerNameFault } from '../model/header.ts'
import { checkPath, showRoute } from '../model/route.ts'
import type { RouteKey } from '../model/route.ts'
import { edit } from './diagnosis.ts'
import type { Fix } from './diagnosis.ts'
import { wantedHeaders } from './rule-needs.ts'
import { controllersOf, usualPorts } from './scene.ts'
import type { ExternalAuth, OurFilter, RuleSite, Scene } from './scene.ts'

/** Sent over HTTP whatever `allowedHeaders` says (GEP-1494). */
export const alwaysSent: ReadonlySet<string> = new Set(['host', 'method', 'path', 'content-length', 'authorization'])

/**
 * Stands in `allowedResponseHeaders` where a policy sets no header: the list must not be empty, since gateways take an empty one
 * for "everything", `content-length` included (GATEWAYS.md §G.1).
 */
export const placeholderHeader = 'x-gatehouse'

/** True where a gateway of the rule calls exactly `http.path` instead of putting the request's path behind it. */
export const callsPath = ({ reach }: Pick<RuleSite, 'reach'>): boolean =>
  reach.some(({ controller }) => controller?.path === 'called')

/** The `http.path` that the filter of a rule has to carry for the gateways that serve it. */
export const pathOf = (key: RouteKey, reach: RuleSite['reach']): string =>
  // NGINX Gateway Fabric calls it as it stands and tells the request in `Path` and `Method`.
  callsPath({ reach }) ? `/v1/ngf/${showRoute(key)}` : checkPath(key)

/** Puts the filter that is right in every respect in the place of the rule's own, so that one paste mends all of it. */
export function mendFilter(site: RuleSite, filter: OurFilter, given: Pick<Scene, 'us'>): Fix {
  return edit(filter.path, mendedFilter(site, filter, given))
}

/** The filter that the rule should have. Its own headers and, where it works, its protocol are kept. */
export function mendedFilter(
  site: RuleSite,
  filter: Pick<OurFilter, 'auth'> | undefined,
  given: Pick<Scene, 'us'>,
): object {
  const auth = filter?.auth
  const spoken = controllersOf(site).every(({ protocols }) => protocols.includes('GRPC'))
  const externalAuth =
    auth?.protocol === 'GRPC' && spoken
      ? { protocol: 'GRPC', backendRef: backendRef(auth, given, 'grpc'), grpc: grpcBlock(site, auth) }
      : { protocol: 'HTTP', backendRef: backendRef(auth, given, 'http'), http: httpBlock(site, auth) }
  return { type: 'ExternalAuth', externalAuth }
}

function grpcBlock({ needs }: RuleSite, auth: ExternalAuth): object {
  const own = auth.grpc?.allowedHeaders ?? []
  // An empty list means all headers; one that is not names every header that is sent.
  return own.length === 0 ? {} : { allowedHeaders: united(own, wantedHeaders(needs, 'GRPC')) }
}

function httpBlock(site: RuleSite, auth: ExternalAuth | undefined): object {
  const { allowedHeaders = [], allowedResponseHeaders = [] } = auth?.http ?? {}
  const reads = wantedHeaders(site.needs, 'HTTP').filter((name) => !alwaysSent.has(name))
  const sent = united(allowedHeaders, reads)
  return {
    path: pathOf(site.key, site.reach),
    ...(sent.length === 0 ? {} : { allowedHeaders: sent }),
    allowedResponseHeaders: responseHeaders(allowedResponseHeaders, site),
  }
}

function responseHeaders(own: readonly string[], { needs }: RuleSite): readonly string[] {
  const safe = own.filter((name) => headerNameFault(name) === undefined)
  const all = united(safe, needs?.injects ?? [])
  return all.length === 0 ? [placeholderHeader] : all
}

function backendRef(auth: ExternalAuth | undefined, { us }: Pick<Scene, 'us'>, port: 'grpc' | 'http'): object {
  const { name = 'gatehouse', namespace } = us ?? auth?.backendRef ?? { namespace: 'gatehouse' }
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    port: (us?.ports ?? usualPorts)[port],
  }
}

/** Both lists, each name once whatever its case. */
const united = (own: readonly string[], more: readonly string[]): readonly string[] => [
  ...new Map([...more, ...own].map((name) => [name.toLowerCase(), name])).values(),
]
