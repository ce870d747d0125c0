import { z } from 'zod'
import { fault } from '../model/result.ts'
import type { Finding } from '../model/result.ts'
import type { PolicyCandidate, TargetRef } from './candidate.ts'
import { gatewayGroup } from './document.ts'
import type { Manifest } from './manifest.ts'
import { suggestion } from './parse.ts'
import type { Topology } from './topology.ts'

/** What targets can be. */
export interface Targets {
  readonly topology: Topology
  /** HTTPRoutes that cannot be used: what their rules are called may be legible all the same. */
  readonly unreadable: readonly Manifest[]
}

/** Why a target does not exist, or undefined: each of a policy's targets is asked for on its own. */
export function targetFault(
  { manifest: { namespace } }: PolicyCandidate,
  target: TargetRef,
  index: number,
  { topology, unreadable }: Targets,
): Finding | undefined {
  const missing = (what: string, at: string, known: readonly string[]): Finding => {
    const given = at === 'name' ? target.name : (target.sectionName ?? '')
    return fault('unknown-target', ['spec', 'targetRefs', index, at], what, suggestion(given, known))
  }
  const name = `${namespace}/${target.name}`
  const section = target.sectionName
  if (target.kind === 'HTTPRoute') {
    // Without a manifest the key alone is the identity.
    const names = topology.routes.get(name)?.rules.flatMap((rule) => rule.name ?? []) ?? ruleNames(name, unreadable)
    if (names === undefined || section === undefined || names.includes(section)) return undefined
    return missing(`HTTPRoute ${name} has no rule named "${section}"`, 'sectionName', names)
  }
  const listeners = topology.gateways.get(name)?.listeners.map((listener) => listener.name)
  if (listeners !== undefined) {
    if (section === undefined || listeners.includes(section)) return undefined
    return missing(`Gateway ${name} has no listener "${section}"`, 'sectionName', listeners)
  }
  const names = parentNames(namespace, topology)
  return names.includes(target.name)
    ? undefined
    : missing(`there is no Gateway ${name}, nor a route with such a parent`, 'name', names)
}

const named = z.looseObject({
  spec: z.looseObject({ rules: z.array(z.looseObject({ name: z.string().optional() })) }),
})

/** Names of the rules of a route that cannot be used; undefined where those cannot be read either. */
function ruleNames(name: string, unreadable: readonly Manifest[]): readonly string[] | undefined {
  const found = unreadable.find((one) => `${one.namespace}/${one.name}` === name)
  const read = named.safeParse(found?.object)
  return read.success ? read.data.spec.rules.flatMap((rule) => rule.name ?? []) : undefined
}

/** Gateways of the namespace that are known, or that a route names as its parent. */
function parentNames(namespace: string, { gateways, routes }: Topology): readonly string[] {
  const known = [...gateways.values()].filter(({ manifest }) => manifest.namespace === namespace)
  const referred = [...routes.values()].flatMap(({ manifest, parentRefs }) =>
    parentRefs.filter(
      (ref) =>
        ref.kind === 'Gateway' && ref.group === gatewayGroup && (ref.namespace ?? manifest.namespace) === namespace,
    ),
  )
  return [...new Set([...known.map(({ manifest }) => manifest.name), ...referred.map(({ name }) => name)])]
}
