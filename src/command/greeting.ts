import type { Address, Addresses, State } from '../gatehouse.ts'
import { checkPath, showRoute } from '../model/route.ts'
import type { Manifest } from '../policy/manifest.ts'
import type { Rule } from '../policy/snapshot.ts'

/** What `serve` prints once it is ready: where it listens, what it protects, and three lines to paste. */
export function greeting(directory: string, addresses: Addresses, state: State): readonly string[] {
  return [
    '',
    `Gatehouse is serving ${directory}`,
    '',
    ...listeners(addresses),
    '',
    ...rules(state),
    '',
    ...tryOut(addresses, state),
  ]
}

const show = ({ host, port }: Address): string => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)

/** A wildcard address is no place to send a request to. */
const reach = ({ host, port }: Address): string =>
  show({ host: host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host, port })

function listeners({ grpc, http, matching, admin }: Addresses): readonly string[] {
  const rows: readonly (readonly [string, Address | undefined, string])[] = [
    ['gRPC', grpc, 'Envoy ext_authz'],
    ['HTTP', http, '/v1/check/NAMESPACE/ROUTE/RULE/-… and /v1/DIALECT/NAMESPACE/ROUTE/RULE'],
    ['matching', matching, 'any path, matched against the HTTPRoutes'],
    ['admin', admin, '/healthz /readyz /metrics'],
  ]
  return rows.map(([name, address, serves]) =>
    `  ${name.padEnd(9)} ${(address === undefined ? 'off' : show(address)).padEnd(21)} ${address === undefined ? '' : serves}`.trimEnd(),
  )
}

const mostRules = 40

function rules({ snapshot }: State): readonly string[] {
  if (snapshot.rules.length === 0) return ['No rules yet: every check is refused until a policy names one.']
  const shown = snapshot.rules.slice(0, mostRules).map((rule) => `  ${showRoute(rule.key).padEnd(32)} ${summary(rule)}`)
  const more = snapshot.rules.length - shown.length
  return ['Rules:', ...shown, ...(more > 0 ? [`  … and ${more} more`] : [])]
}

function summary({ policy, refusal }: Rule): string {
  if (policy === undefined) return `refuses everything: ${refusal ?? 'no-policy'}`
  const methods = policy.authenticators.map(({ name, kind }) => (name === kind ? kind : `${name} (${kind})`))
  const guest = policy.guest === undefined ? [] : [`guest "${policy.guest.subject}"`]
  return `${[...methods, ...guest].join(', ')}${policy.mode === 'Shadow' ? ' [Shadow: refuses nobody]' : ''}`
}

/** The first so many that are any: thousands are not looked at for three lines. */
function first<T, U>(most: number, all: readonly T[], take: (one: T) => U | undefined): readonly U[] {
  const found: U[] = []
  for (const one of all) {
    const taken = found.length < most ? take(one) : undefined
    if (taken !== undefined) found.push(taken)
  }
  return found
}

function hintOf({ kind, object }: Manifest): string | undefined {
  const metadata = kind === 'AuthPolicy' ? memberOf(object, 'metadata') : undefined
  const hint = memberOf(memberOf(metadata, 'annotations'), 'gatehouse.dev/try')
  return typeof hint === 'string' && hint.length <= 4096 ? hint : undefined
}

const memberOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined

/** Curl lines that can be pasted as they are: two from the policies' own `gatehouse.dev/try` annotations, then plain ones, three in all. */
function tryOut({ http, tls }: Addresses, { manifests, snapshot }: State): readonly string[] {
  const plain = first(3, snapshot.rules, (rule) => (canBeAsked(rule) ? rule : undefined))
  if (http === undefined || plain.length === 0) return []
  const base = `${tls === undefined ? 'http' : 'https'}://${reach(http)}`
  const line = (rule: Rule, hint: string): string => {
    const options = [...secured(tls), hint, ...hostOf(rule)].filter((option) => option !== '')
    return `  ${['curl -i', ...options].join(' ')} ${base}${checkPath(rule.key)}/`
  }
  const annotated = first(2, manifests, (manifest) => {
    const hint = hintOf(manifest)
    if (hint === undefined) return undefined
    const id = `${manifest.namespace}/${manifest.name}`
    const rule = snapshot.rules.find((one) => one.policy?.name === id && canBeAsked(one))
    return rule && line(rule, hint)
  })
  return [tryHeading(tls), ...[...annotated, ...plain.map((rule) => line(rule, ''))].slice(0, 3)]
}

/** Only what a check by path is ever answered for: the key's own cross-checks would refuse the others. */
const canBeAsked = ({ key, hostnames, checkPath: own }: Rule): boolean =>
  hostnames.length > 0 && (own === undefined || own === checkPath(key))

/** The host has to be one that the rule serves. */
function hostOf({ hostnames: [first = ''] }: Rule): readonly string[] {
  return /^[\w.*-]+$/.test(first) ? [`-H 'Host: ${first.replace(/^\*/, 'www')}'`] : []
}

/** Whatever the certificate is for, it is not for the address in these lines. */
function secured(tls: Addresses['tls']): readonly string[] {
  if (tls === undefined) return []
  return tls.clientCa === undefined ? ['-k'] : ['-k', '--cert client.pem --key client.key']
}

function tryHeading(tls: Addresses['tls']): string {
  if (tls === undefined) return 'Try:'
  const clients = tls.clientCa === undefined ? '' : `; client.pem has to be of the authority in ${tls.clientCa}`
  return `Try (-k takes any certificate; to have it checked, ask for its own name with --cacert${clients}):`
}
