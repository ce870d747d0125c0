import { fault } from '../model/result.ts'
import type { Finding } from '../model/result.ts'
import type { PolicyCandidate, TargetRef } from './candidate.ts'
import { gatewayGroup } from './document.ts'
import { suggestion } from './parse.ts'
import type { Topology } from './topology.ts'

/** Why a target does not exist, or undefined: each of a policy's targets is asked for on its own. */
export function targetFault(
  { manifest: { namespace } }: PolicyCandidate,
  target: TargetRef,
  index: number,
  topology: Topology,
): Finding | undefined {
  const missing = (what: string, at: string, known: readonly string[]): Finding => {
    const given = at === 'name' ? target.name : (target.sectionName ?? '')
    return fault('unknown-target', ['spec', 'targetRefs', index, at], what, suggestion(given, known))
  }
  const name = `${namespace}/${target.name}`
  const section = target.sectionName
  if (target.kind === 'HTTPRoute') {
    // Without a manifest the key alone is the identity.
    const names = topology.routes.get(name)?.rules.flatMap((rule) => rule.name ?? [])
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
