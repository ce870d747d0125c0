import { z } from 'zod'
import type { Address, Addresses, State } from '../gatehouse.ts'
import { showRoute } from '../model/route.ts'
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

const hinted = z.object({
  metadata: z.object({ annotations: z.object({ 'gatehouse.dev/try': z.string().max(4096) }) }),
  spec: z.object({
    targetRefs: z
      .array(z.object({ kind: z.literal('HTTPRoute'), name: z.string(), sectionName: z.string().optional() }))
      .min(1),
  }),
})

/** Curl lines from the policies' own `gatehouse.dev/try` annotations, then plain ones, three in all. */
function tryOut({ http }: Addresses, { manifests, snapshot }: State): readonly string[] {
  if (http === undefined || snapshot.rules.length === 0) return []
  const line = (key: string, options: string): string =>
    `  curl -i ${options === '' ? '' : `${options} `}http://${reach(http)}/v1/check/${key}/-/`
  const annotated = manifests.flatMap((manifest) => {
    const hint = manifest.kind === 'AuthPolicy' ? hinted.safeParse(manifest.object) : undefined
    const target = hint?.success === true ? hint.data.spec.targetRefs[0] : undefined
    if (hint?.success !== true || target === undefined) return []
    const key = { namespace: manifest.namespace, route: target.name, rule: target.sectionName ?? '_' }
    return [line(showRoute(key), hint.data.metadata.annotations['gatehouse.dev/try'])]
  })
  const plain = snapshot.rules.map(({ key }) => line(showRoute(key), ''))
  return ['Try:', ...annotated.slice(0, 2), ...plain].slice(0, 4)
}
