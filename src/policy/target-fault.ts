import { z } from 'zod'
import { fault } from '../model/result.ts'
import type { Finding } from '../model/result.ts'
import type { PolicyCandidate, TargetRef } from './candidate.ts'
import { gatewayGroup } from './document.ts'
import type { Manifest } from './manifest.ts'
import { suggestion } from './parse.ts'
import type { Gateway } from './gateway.ts'
import type { HttpRoute } from './gateway-api.ts'

/** What the targets of policies are looked for in: all of it is of their own namespace. */
export interface Targets {
  /** By `namespace/name`. */
  readonly routes: ReadonlyMap<string, HttpRoute>
  /** HTTPRoutes that cannot be used: what their rules are called may be legible all the same. */
  readonly unreadable: readonly Manifest[]
  readonly gateways: readonly Gateway[]
  /** Gateways, `namespace/name`, that routes of any namespace name as their parents. */
  readonly gatewaysNamed: readonly string[]
}

/** Why a target does not exist, or undefined: each of a policy's targets is asked for on its own. */
export function targetFault(
  { manifest: { namespace } }: PolicyCandidate,
  target: TargetRef,
  index: number,
  { routes, unreadable, gateways, gatewaysNamed: referred }: Targets,
): Finding | undefined {
  const missing = (what: string, at: string, known: readonly string[]): Finding => {
    const given = at === 'name' ? target.name : (target.sectionName ?? '')
    return fault('unknown-target', ['spec', 'targetRefs', index, at], what, suggestion(given, known))
  }
  const name = `${namespace}/${target.name}`
  const section = target.sectionName
  if (target.kind === 'HTTPRoute') {
    // Without a manifest the key alone is the identity.
    const names = routes.get(name)?.rules.flatMap((rule) => rule.name ?? []) ?? ruleNames(name, unreadable)
    if (names === undefined || section === undefined || names.includes(section)) return undefined
    return missing(`HTTPRoute ${name} has no rule named "${section}"`, 'sectionName', names)
  }
  const gateway = gateways.find(({ manifest }) => manifest.name === target.name)
  if (gateway !== undefined) {
    const listeners = gateway.listeners.map((listener) => listener.name)
    if (section === undefined || listeners.includes(section)) return undefined
    return missing(`Gateway ${name} has no listener "${section}"`, 'sectionName', listeners)
  }
  if (referred.includes(name)) return undefined
  const known = gateways.map(({ manifest }) => manifest.name)
  const elsewhere = referred.flatMap((one) => (one.startsWith(`${namespace}/`) ? one.slice(namespace.length + 1) : []))
  return missing(`there is no Gateway ${name}, nor a route with such a parent`, 'name', [
    ...new Set([...known, ...elsewhere]),
  ])
}

const named = z.looseObject({
  spec: z.looseObject({ rules: z.array(z.looseObject({ name: z.string().optional() })) }),
})

/** Names of the rules of a route that cannot be used; undefined where those cannot be read either. */
function ruleNames(name: string, unreadable: readonly Manifest[]): readonly string[] | undefined {
  const found = unreadable.find((one) => `${one.namespace}/${one.name}` === name)
  if (found === undefined) return undefined
  const read = named.safeParse(found.object)
  return read.success ? read.data.spec.rules.flatMap((rule) => rule.name ?? []) : undefined
}

/** The Gateways, `namespace/name`, that routes name as their parents, each once. */
export const gatewaysNamed = (routes: readonly HttpRoute[]): readonly string[] => [
  ...new Set(
    routes.flatMap(({ manifest, parentRefs }) =>
      parentRefs
        .filter(({ kind, group }) => kind === 'Gateway' && group === gatewayGroup)
        .map((ref) => `${ref.namespace ?? manifest.namespace}/${ref.name}`),
    ),
  ),
]
