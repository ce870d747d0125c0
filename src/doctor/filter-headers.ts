import { headerNameFault } from '../model/header.ts'
import type { Path, ProblemCode, Severity } from '../model/result.ts'
import { diagnosis, listed } from './diagnosis.ts'
import type { Diagnosis } from './diagnosis.ts'
import { alwaysSent, mendFilter } from './mended-filter.ts'
import type { RuleNeeds } from './rule-needs.ts'
import type { OurFilter, RuleSite, Scene } from './scene.ts'

/** What the filter copies of our answer into the request. Only HTTP has a list; over gRPC the answer itself says it. */
export function responseHeaders(site: RuleSite, scene: Scene): readonly Diagnosis[] {
  const { filter, needs } = site
  if (filter?.auth.protocol !== 'HTTP') return []
  const told = teller(site, filter, scene, ['http', 'allowedResponseHeaders'])
  const own = filter.auth.http?.allowedResponseHeaders ?? []
  if (own.length === 0) {
    const say =
      'allowedResponseHeaders is empty: gateways then copy content-length too, and the backend takes the body for a second, unchecked request'
    return [told('empty-response-headers', 'error', say, 'list the headers that the policy sets')]
  }
  const names = new Set(own.map((name) => name.toLowerCase()))
  const unsafe = [...names].filter((name) => headerNameFault(name) !== undefined)
  const missing = (needs?.injects ?? []).filter((name) => !names.has(name.toLowerCase()))
  const found: Diagnosis[] = []
  if (unsafe.length > 0) {
    const say = `allowedResponseHeaders lists ${listed(unsafe)}, which would frame or re-route the request`
    found.push(told('unsafe-response-header', 'error', say, 'take it off the list'))
  }
  if (missing.length > 0) {
    const say = `policy ${needs?.policy} sets ${listed(missing)}, which the filter does not pass on: the client's own reaches the backend`
    found.push(told('missing-response-header', 'error', say, 'add it to allowedResponseHeaders'))
  }
  return found
}

/** What the filter sends us of the request: what the policy reads, and what matching has to see. */
export function requestHeaders(site: RuleSite, scene: Scene): readonly Diagnosis[] {
  const { filter, needs } = site
  if (filter === undefined) return []
  const unread = unsent(filter, needs?.reads ?? [])
  const unmatched = unsent(filter, matchedHeaders(site, filter)).filter((name) => !unread.includes(name))
  if (unread.length === 0 && unmatched.length === 0) return []
  const told = teller(site, filter, scene, [filter.auth.protocol === 'HTTP' ? 'http' : 'grpc', 'allowedHeaders'])
  const found: Diagnosis[] = []
  if (needs !== undefined && unread.length > 0) found.push(unreadable(needs, unread, told))
  if (unmatched.length > 0) {
    const say = `the rule matches by ${listed(unmatched)}, which the gateway does not send: without http.path the rule cannot be told`
    found.push(told('missing-request-header', 'error', say, 'add it to allowedHeaders, or set http.path'))
  }
  return found
}

function unreadable({ policy, reads, guest }: RuleNeeds, unread: readonly string[], told: Tell): Diagnosis {
  const blind = unread.length === reads.length
  const effect = guest ? ': everybody comes in as its guest' : ': nobody can come in'
  const say = `policy ${policy} reads ${listed(unread)}, which the gateway does not send${blind ? effect : ''}`
  return told('missing-request-header', blind ? 'error' : 'warning', say, 'add it to allowedHeaders')
}

type Tell = (code: ProblemCode, severity: Severity, say: string, mend: string) => Diagnosis

/** Findings about one list of the filter; all of them are mended by the same filter. */
const teller =
  (site: RuleSite, filter: OurFilter, scene: Scene, list: Path): Tell =>
  (code, severity, say, mend) => {
    const path = [...filter.path, 'externalAuth', ...list]
    const fix = mendFilter(site, filter, scene)
    return diagnosis(site.route.manifest, { code, severity, path, say, mend, fix }, site.key)
  }

/** Those of the lower-case names that do not reach us. */
function unsent({ auth }: OurFilter, names: readonly string[]): readonly string[] {
  const http = auth.protocol === 'HTTP'
  const sent = (http ? auth.http : auth.grpc)?.allowedHeaders ?? []
  // An empty list means all headers over gRPC.
  if (!http && sent.length === 0) return []
  const wanted = http ? names.filter((name) => !alwaysSent.has(name)) : names
  if (wanted.length === 0) return []
  const lower = new Set(sent.map((name) => name.toLowerCase()))
  return wanted.filter((name) => !lower.has(name))
}

/** A check that names its rule needs no matching. */
const matchedHeaders = ({ rule }: RuleSite, { auth }: OurFilter): readonly string[] =>
  auth.http?.path === undefined
    ? [...new Set(rule.matches.flatMap(({ headers }) => headers.map(({ name }) => name.toLowerCase())))]
    : []
