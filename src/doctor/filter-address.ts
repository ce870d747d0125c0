import { diagnosis, clipped } from './diagnosis.ts'
import type { Diagnosis, Said } from './diagnosis.ts'
import { callsPath, mendFilter, pathOf } from './mended-filter.ts'
import { controllersOf } from './scene.ts'
import type { OurFilter, RuleSite, Scene } from './scene.ts'

/** Which of our ports the filter asks, and in which protocol. */
export function portAndProtocol(site: RuleSite, scene: Scene): readonly Diagnosis[] {
  const { filter, route, key } = site
  if (filter === undefined) return []
  const said = protocolFault(site, filter) ?? portFault(filter, scene)
  return said === undefined
    ? []
    : [diagnosis(route.manifest, { ...said, severity: 'error', fix: mendFilter(site, filter, scene) }, key)]
}

type Fault = Pick<Said, 'code' | 'path' | 'say' | 'mend'>

function protocolFault(site: RuleSite, { auth, port, path: at }: OurFilter): Fault | undefined {
  const { protocol } = auth
  const path = [...at, 'externalAuth', 'protocol']
  const deaf = controllersOf(site).find(({ protocols }) => !protocols.some((one) => one === protocol))
  if (deaf !== undefined) {
    const say = `${deaf.name} does not take protocol ${clipped(protocol)} in this filter`
    return { code: 'wrong-protocol', path, say, mend: `write protocol: ${deaf.protocols.join(' or ')}` }
  }
  if (port === undefined || (port === 'grpc') === (protocol === 'GRPC')) return undefined
  const say = `port ${auth.backendRef.port} of our Service speaks ${port === 'grpc' ? 'gRPC' : 'HTTP'}, not ${clipped(protocol)}`
  return { code: 'wrong-protocol', path, say, mend: 'make the protocol and the port agree' }
}

function portFault({ auth, port, path: at }: OurFilter, { us }: Scene): Fault | undefined {
  if (us === undefined) return undefined
  const path = [...at, 'externalAuth', 'backendRef', 'port']
  const { http, grpc, matching } = us.ports
  const asked = auth.backendRef.port
  if (port === undefined) {
    const say = `Service ${us.namespace}/${us.name} does not serve checks at ${asked === undefined ? 'no port' : `port ${asked}`}`
    return {
      code: 'wrong-port',
      path,
      say,
      mend: `it serves HTTP at ${http}, gRPC at ${grpc}, and matching over HTTP at ${matching}`,
    }
  }
  if (port !== 'matching' || auth.http?.path === undefined) return undefined
  const say = `http.path names a rule, but port ${asked} takes requests as they are and matches them`
  return { code: 'wrong-port', path, say, mend: `ask port ${http}, or leave out http.path` }
}

/** Whether `http.path`, the one thing in the filter that a client cannot write, names this rule (GATEWAYS.md R1–R6). */
export function checkedPath(site: RuleSite, scene: Scene): readonly Diagnosis[] {
  const { filter, route, key } = site
  // An unknown or matching port with a path is a wrong port already.
  if (filter?.auth.protocol !== 'HTTP') return []
  const path = [...filter.path, 'externalAuth', 'http', 'path']
  const wanted = pathOf(site.key, site.reach)
  const written = filter.auth.http?.path
  if (written === wanted) return mixedGateways(site)
  const fix = mendFilter(site, filter, scene)
  if (written === undefined) {
    const needed = filter.port === 'http' || callsPath(site)
    const say = needed
      ? `the filter has no http.path, and ${callsPath(site) ? 'this gateway' : 'this port'} cannot tell the rule without it`
      : 'the filter has no http.path, so the rule is found by matching the request against all routes'
    const severity = needed ? 'error' : 'note'
    const mend = `write http.path: ${clipped(wanted, 600)} and ask the HTTP port`
    return [diagnosis(route.manifest, { code: 'missing-path', severity, path, say, mend, fix }, key)]
  }
  const say = `http.path ${clipped(written)} is not the key of this rule: its requests are refused, or judged by the policy of the rule that it names where the two cannot be told apart`
  const mend = `write ${clipped(wanted, 600)}`
  return [diagnosis(route.manifest, { code: 'foreign-path', severity: 'error', path, say, mend, fix }, key)]
}

/** One path cannot serve a gateway that calls it as it stands and one that puts the request's path behind it. */
function mixedGateways(site: RuleSite): readonly Diagnosis[] {
  const { route, filter, key } = site
  const appending = site.reach.find(
    ({ controllerName, controller }) => controllerName !== undefined && controller?.path !== 'called',
  )
  if (filter === undefined || !callsPath(site) || appending === undefined) return []
  const path = [...filter.path, 'externalAuth', 'http', 'path']
  const say = `the route is served by NGINX Gateway Fabric and through ${appending.id} by another controller, and they need different paths`
  const mend = 'write one HTTPRoute for each'
  return [diagnosis(route.manifest, { code: 'foreign-path', severity: 'error', path, say, mend }, key)]
}
