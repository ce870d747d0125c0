import { diagnosis, fixedBy, ruleNamed, setting } from './diagnosis.ts'
import type { Diagnosis } from './diagnosis.ts'
import type { RuleSite, Scene } from './scene.ts'

// Pods of many clusters: an example that shows the form.
const example = '--trusted-proxies=127.0.0.0/8,::1/128,10.244.0.0/16'

/** What a gateway writes about the request, and why that has to be believed. */
export interface Told {
  readonly site: RuleSite
  readonly who: string
  readonly effect: string
}

/** The rules of a route of which gateways tell the request, or its scheme, in headers. */
export const toldInHeaders = (ofRoute: readonly RuleSite[]): readonly Told[] =>
  ofRoute.flatMap((site) => tellingOf(site) ?? [])

/** The one of these that is worth telling for all: who is refused everything says more than who is refused by some conditions. */
export const firstTold = (all: readonly Told[], { trust }: Scene): Told | undefined =>
  trust === 'others' ? undefined : (all.find(({ effect }) => effect === everything) ?? all[0])

/**
 * Such headers are believed from `--trusted-proxies` only, which by default is this very machine: said once for all gateways, at
 * the first rule that is asked about in such a way.
 */
export function trustedGateway({ site, who, effect }: Told, { trust, us }: Scene): Diagnosis {
  const { gateway } = site.reach.find(({ controller }) => controller?.tellsInHeaders === true) ?? {}
  const path = site.filter?.path ?? ['spec', 'rules', site.index, 'filters']
  const unless = trust === undefined ? ' unless Gatehouse serves with --trusted-proxies' : ''
  const at = gateway === undefined ? '' : ` (Gateway ${gateway.manifest.namespace}/${gateway.manifest.name})`
  const say = `${who}${at} tells requests such as those of ${ruleNamed(site.key)} in headers, which are believed from loopback addresses only: ${effect}${unless}`
  const mend = `serve with the addresses of the gateways, narrow ones, e.g. ${example}${trust === undefined ? '; give check the same flag' : ''}`
  const fix = fixedBy(setting(us, example))
  const severity = trust === undefined ? 'warning' : 'error'
  return diagnosis(site.route.manifest, { code: 'untrusted-gateway', severity, path, say, mend, ...fix }, site.key)
}

const everything = 'every check is refused as untrusted-source'

function tellingOf(site: RuleSite): Told | undefined {
  const { filter, needs } = site
  if (filter === undefined && needs === undefined) return undefined
  const who = tellerOf(site)
  if (who !== undefined) return { site, who, effect: everything }
  if (filter?.auth.protocol !== 'HTTP' || needs?.scheme !== true) return undefined
  const effect = `policy ${needs.policy}, which asks for the scheme, takes it for unknown`
  return { site, who: 'the gateway', effect }
}

/** Who tells the whole request in headers; who does not know our filter asks by one of its own. */
function tellerOf({ filter, reach, rule }: RuleSite): string | undefined {
  const controller = reach.map((one) => one.controller).find((one) => one?.tellsInHeaders === true)
  const own = rule.filters.some(({ type }) => type === 'ExtensionRef')
  const asks = controller?.filter === 'honoured' ? filter !== undefined : own
  if (controller !== undefined && asks) return controller.name
  const dialect = /^\/v1\/(ngf|nginx|traefik|caddy|haproxy)\//.exec(filter?.auth.http?.path ?? '')?.[1]
  return dialect === undefined ? undefined : `the gateway of dialect "${dialect}"`
}
