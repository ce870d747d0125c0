import { headerNameFault } from '../model/header.ts'
import type { Path, ProblemCode, Severity } from '../model/result.ts'
import { diagnosis, listed } from './diagnosis.ts'
import type { Diagnosis } from './diagnosis.ts'
import { alwaysSent, mendFilter } from './mended-filter.ts'
import { lookedAt } from './rule-needs.ts'
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
      'allowedResponseHeaders is empty: gateways then copy content-length too, and one that does not take it off again when Gatehouse says so (Envoy does) makes the body a second, unchecked request'
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
  const { protocol } = filter.auth
  const unread = unsent(filter, needs?.reads ?? [])
  const unmatched = unsent(filter, matchedHeaders(site, filter)).filter((name) => !unread.includes(name))
  const told = teller(site, filter, scene, [protocol === 'HTTP' ? 'http' : 'grpc', 'allowedHeaders'])
  const found: Diagnosis[] = []
  if (needs !== undefined) {
    const named = [...unread, ...unmatched]
    const unseen = unsent(filter, lookedAt(needs, protocol)).filter((name) => !named.includes(name))
    if (unread.length > 0) found.push(unreadable(needs, unread, told))
    if (unseen.length > 0) found.push(invisible(needs, unseen, told))
    if (needs.looksAtOthers && !sendsAll(filter)) found.push(computed(needs, told))
  }
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

/** Conditions and header values then see no such header, and decide as if the client had sent none. */
function invisible({ policy }: RuleNeeds, unseen: readonly string[], told: Tell): Diagnosis {
  const say = `the expressions of policy ${policy} look at ${listed(unseen)}, which the gateway does not send: they decide as if the client had not sent it`
  return told('missing-request-header', 'warning', say, 'add it to allowedHeaders')
}

function computed({ policy }: RuleNeeds, told: Tell): Diagnosis {
  const say = `an expression of policy ${policy} computes a header's name or looks through all headers: it sees only those that the gateway sends`
  const mend =
    'write each name out, as in request.headers["x-tenant"], or list every header that is meant in allowedHeaders'
  return told('computed-request-header', 'warning', say, mend, 'no YAML')
}

type Tell = (code: ProblemCode, severity: Severity, say: string, mend: string, fix?: 'no YAML') => Diagnosis

/** Findings about one list of the filter; what YAML can mend is mended by the same filter. */
const teller =
  (site: RuleSite, filter: OurFilter, scene: Scene, list: Path): Tell =>
  (code, severity, say, mend, without) => {
    const path = [...filter.path, 'externalAuth', ...list]
    const fix = without === undefined ? { fix: mendFilter(site, filter, scene) } : {}
    return diagnosis(site.route.manifest, { code, severity, path, say, mend, ...fix }, site.key)
  }

/** An empty list means all headers over gRPC. */
const sendsAll = ({ auth }: Pick<OurFilter, 'auth'>): boolean =>
  auth.protocol !== 'HTTP' && (auth.grpc?.allowedHeaders ?? []).length === 0

/** Those of the lower-case names that do not reach us. */
function unsent({ auth }: OurFilter, names: readonly string[]): readonly string[] {
  if (sendsAll({ auth })) return []
  const http = auth.protocol === 'HTTP'
  const sent = (http ? auth.http : auth.grpc)?.allowedHeaders ?? []
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
