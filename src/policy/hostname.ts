/**
 * Gateway API hostname matching: exact, `*.suffix` for one or more further labels (never the apex), or empty for any.
 * Both sides lower case; the request's without port and trailing dot.
 */
export function hostMatches(pattern: string, host: string): boolean {
  if (pattern === '') return true
  if (!pattern.startsWith('*.')) return pattern === host
  const suffix = pattern.slice(1)
  return host.length > suffix.length && host.endsWith(suffix)
}

/** What is common to a listener's and a route's hostname, or undefined where they do not meet. Empty means any. */
export function intersectHostname(one: string, other: string): string | undefined {
  if (one === '' || one === other) return other
  if (other === '') return one
  if (hostMatches(one, other.startsWith('*.') ? `x${other.slice(1)}` : other)) return other
  if (hostMatches(other, one.startsWith('*.') ? `x${one.slice(1)}` : one)) return one
  return undefined
}

/** The more of a host a pattern that matches it names, the nearer it is; an exact one is nearest of all. */
export const nearness = (pattern: string): number => (pattern.startsWith('*.') ? pattern.length : pattern.length * 1000)
