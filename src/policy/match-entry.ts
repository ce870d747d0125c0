import type { AuthRequest, Via } from '../model/request.ts'
import { queryPairs } from '../model/target.ts'
import { carriesOurs } from './gateway-api.ts'
import type { ExternalAuth, HttpRoute, HttpRouteMatch, OurService } from './gateway-api.ts'
import { compileRegex } from './regex.ts'
import type { Site } from './rule-book.ts'
import type { Rule } from './snapshot.ts'

/** Whether something matches; `unknown` where gateways differ about it, or do not send us what it looks at. */
export type Fit = 'yes' | 'no' | 'unknown'

/** One match of one rule, prepared. */
export interface Entry {
  readonly rule: Rule
  readonly route: { readonly created: number | undefined; readonly name: string; readonly position: number }
  /** True where the rule's filter makes the gateway ask us in this way. */
  readonly asks: (via: Via) => boolean
  readonly path: { readonly kind: 'exact' | 'prefix' | 'regex'; readonly length: number }
  readonly method: string | undefined
  readonly headers: number
  readonly queries: number
  /** Method, headers and query. */
  readonly test: (request: AuthRequest) => Fit
}

/** A match of a rule and what is made of it. */
export interface Matched {
  readonly match: HttpRouteMatch
  readonly entry: Entry
}

/** Every match of a site's rules. */
export function entries({ rule, site }: Site, us: OurService | undefined): readonly Matched[] {
  const { route } = site
  if (route === undefined) return []
  const name = `${route.manifest.namespace}/${route.manifest.name}`
  return site.rules.flatMap((one) => {
    const { externalAuth } = one
    const allowed = externalAuth === undefined ? new Set<string>() : externalAuth.allowedHeaders
    const position = route.rules.indexOf(one)
    return one.matches.map((match) => ({
      match,
      entry: {
        rule,
        route: { created: route.created, name, position },
        asks: externalAuth === undefined ? () => false : asking(externalAuth, route, us),
        path: pathOf(match),
        method: match.method,
        headers: match.headers.length,
        queries: match.queryParams.length,
        test: tester(match, allowed),
      },
    }))
  })
}

/** In a cluster the filter has to ask our Service, and on the port that this kind of check comes in by. */
function asking(filter: ExternalAuth, route: HttpRoute, us: OurService | undefined): Entry['asks'] {
  if (us === undefined) return () => true
  if (!carriesOurs(filter, route, us)) return () => false
  return (via) => filter.backend?.port === (via === 'grpc' ? us.ports.grpc : us.ports.matching)
}

/** Whether a path, raw, fits the path of one match. */
export function pathTest({ path: { type, value } }: HttpRouteMatch): (path: string) => Fit {
  if (type !== 'PathPrefix') return valueTest(type, value)
  const prefix = trimmed(value)
  return (path) => (path === prefix || path.startsWith(`${prefix}/`) || prefix === '' ? 'yes' : 'no')
}

/** `/shop/` and `/shop` are one prefix; `/` is the empty one. */
export const trimmed = (prefix: string): string => prefix.replace(/\/+$/, '')

function pathOf({ path: { type, value } }: HttpRouteMatch): Entry['path'] {
  switch (type) {
    case 'Exact':
      return { kind: 'exact', length: value.length }
    case 'PathPrefix':
      return { kind: 'prefix', length: trimmed(value).length }
    case 'RegularExpression':
      return { kind: 'regex', length: value.length }
  }
}

/** Method, headers and query of one match. A repeated header or parameter is `unknown`: gateways differ about it. */
function tester(match: HttpRouteMatch, allowed: ReadonlySet<string> | undefined): (request: AuthRequest) => Fit {
  const headers = match.headers.map(({ name, type, value }) => {
    const fits = valueTest(type, value)
    const lower = name.toLowerCase()
    const sent = allowed === undefined || allowed.has(lower)
    return ({ headers: given }: AuthRequest): Fit => {
      const values = given.get(lower)
      if (values === undefined) return sent ? 'no' : 'unknown'
      return values.length === 1 ? lineFit(fits, values[0] ?? '') : 'unknown'
    }
  })
  const queries = match.queryParams.map(({ name, type, value }) => {
    const fits = valueTest(type, value)
    return ({ target }: AuthRequest): Fit => {
      const decoded = queryPairs(target.query)
      if (decoded === undefined) return 'unknown'
      const one = queryFit(fits, name, decoded)
      return queryFit(fits, name, rawPairs(target.query)) === one ? one : 'unknown'
    }
  })
  const tests = [...headers, ...queries]
  return (request) => {
    if (match.method !== undefined && match.method !== request.method) return 'no'
    const fits = tests.map((test) => test(request))
    if (fits.includes('no')) return 'no'
    return fits.includes('unknown') ? 'unknown' : 'yes'
  }
}

/** Envoy sends repeated lines joined by a bare comma, and matches each line (1.39 on) or the joined text. */
function lineFit(fits: (given: string) => Fit, value: string): Fit {
  const whole = fits(value)
  const lines = value.split(/,(?![ \t])/)
  return lines.length === 1 || lines.every((line) => fits(line) === whole) ? whole : 'unknown'
}

type Pairs = readonly (readonly [string, string])[]

function queryFit(fits: (given: string) => Fit, name: string, pairs: Pairs): Fit {
  const values = pairs.filter(([key]) => key === name)
  if (values.length === 0) return 'no'
  return values.length === 1 ? fits(values[0]?.[1] ?? '') : 'unknown'
}

/** As Envoy reads them for routes: nothing is decoded. */
const rawPairs = (query = ''): Pairs =>
  query
    .split('&')
    .filter((part) => part !== '')
    .map((part) => {
      const equals = part.indexOf('=')
      return equals < 0 ? [part, ''] : [part.slice(0, equals), part.slice(equals + 1)]
    })

/** How a text fits; a pattern that cannot be used, or not in time, leaves it open. */
export function valueTest(type: 'Exact' | 'RegularExpression', value: string): (given: string) => Fit {
  switch (type) {
    case 'Exact':
      return (given) => (given === value ? 'yes' : 'no')
    case 'RegularExpression': {
      const regex = compileRegex(value)
      return regex.ok
        ? (given) => (given.length > regex.value.limit ? 'unknown' : regex.value(given) ? 'yes' : 'no')
        : () => 'unknown'
    }
  }
}
