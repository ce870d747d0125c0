/**
 * Identity of one HTTPRoute rule: what a policy is in force for.
 * `rule` is the rule's name (GEP-995), or `_` for all rules of the route that have none.
 */
export interface RouteKey {
  readonly namespace: string
  readonly route: string
  readonly rule: string
}

/** Name that stands for the rules of a route that have no name of their own. */
export const unnamedRule = '_'

/** `namespace/route/rule`. No part can contain a slash, so the text is unambiguous and serves as a map key. */
export const showRoute = (key: RouteKey): string => `${key.namespace}/${key.route}/${key.rule}`

// RFC 1123 labels joined by dots: what Kubernetes takes as an object name and Gateway API as a SectionName.
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

/** A route key of three well-formed names, or undefined: strangers' strings never become keys unexamined. */
export function routeKey(namespace: string, route: string, rule: string): RouteKey | undefined {
  const named = (name: string, limit: number) => name.length <= limit && subdomain.test(name)
  const ruleNamed = rule === unnamedRule || named(rule, 253)
  return named(namespace, 63) && named(route, 253) && ruleNamed ? { namespace, route, rule } : undefined
}

/** The `http.path` that an ExternalAuth filter has to carry for a rule: what a client cannot write (GATEWAYS.md §1). */
export const checkPath = (key: RouteKey): string => `/v1/check/${showRoute(key)}/-`
