import type { AuthRequest } from '../model/request.ts'
import { checkPath } from '../model/route.ts'
import { hostMatches } from '../policy/hostname.ts'
import type { Resolution, Rule, Snapshot } from '../policy/snapshot.ts'

/** Finds the one rule that a request belongs to. A claimed key is cross-checked, never believed, and never falls back. */
export function resolve(snapshot: Snapshot | undefined, request: AuthRequest): Resolution {
  if (snapshot === undefined) return { kind: 'refused', reason: 'not-ready' }
  const { claim } = request
  switch (claim.kind) {
    case 'bad':
      return { kind: 'refused', reason: 'bad-key' }
    case 'match':
      return snapshot.match(request)
    case 'key': {
      const rule = snapshot.rule(claim.key)
      return rule === undefined ? { kind: 'refused', reason: 'unknown-rule' } : crossChecked(rule, request)
    }
  }
}

/**
 * A key is configuration that a route's owner wrote, and may be another rule's: where the HTTPRoute is known the host has to
 * be one of its hosts, a check that came by path has to be the one that its filter asks for, and where filters of other rules
 * carry the key too, the request has to be this rule's by the Gateway API's precedence (GATEWAYS.md R4).
 */
function crossChecked(rule: Rule, request: AuthRequest): Resolution {
  if (rule.policy === undefined) return { kind: 'refused', reason: rule.refusal ?? 'no-policy', rule }
  // A host that cannot be read has a better reason of its own: the request's fault.
  const hostFits = request.fault !== undefined || rule.hostnames.some((pattern) => hostMatches(pattern, request.host))
  const fits = hostFits && senderFits(rule, request) && rule.contested?.(request) !== true
  return fits ? { kind: 'rule', rule } : { kind: 'refused', reason: 'identity-mismatch', rule }
}

/** Whether this kind of check can come for the rule. */
function senderFits(rule: Rule, { via }: AuthRequest): boolean {
  if (via === 'check') return rule.checkPath === undefined || rule.checkPath === checkPath(rule.key)
  return via !== 'ngf' || rule.acceptedBy === undefined || rule.acceptedBy.has(nginxGatewayFabric)
}

/** The one controller that overwrites the `Path` and `Method` headers which the dialect believes (GATEWAYS.md R6). */
const nginxGatewayFabric = 'gateway.nginx.org/nginx-gateway-controller'
