import type { HttpRouteRule } from './scene.ts'

type Match = HttpRouteRule['matches'][number]

/** A match in a form that can be looked up: equal texts are equal matches. */
export interface MatchForm {
  /** `p/shop` for a prefix, `e/shop` for an exact path, `r` and the pattern for a regular expression. */
  readonly path: string
  /** Method, headers and query parameters, each as one text. */
  readonly constraints: readonly string[]
}

// The API's own limit for a path; what is longer is in no cluster.
const longest = 1024
const mostConstraints = 48

/** The form of a match; undefined for one that no API server would take. */
export function matchForm({ path, method, headers, queryParams }: Match): MatchForm | undefined {
  const constraints = [
    ...(method === undefined ? [] : [`method ${method}`]),
    ...headers
      .slice(0, mostConstraints)
      .map(({ type, name, value }) => `header ${type} ${name.toLowerCase()} ${value}`),
    ...queryParams.slice(0, mostConstraints).map(({ type, name, value }) => `query ${type} ${name} ${value}`),
  ]
  const tooLong = path.value.length > longest || constraints.some((text) => text.length > 8 * longest)
  if (tooLong || constraints.length > mostConstraints) return undefined
  return { path: pathForm(path), constraints: [...new Set(constraints)].toSorted() }
}

/** What a rule without matches matches: everything. */
export const everything: MatchForm = { path: 'p', constraints: [] }

function pathForm({ type, value }: Match['path']): string {
  if (type === 'Exact') return `e${value}`
  if (type === 'PathPrefix') return `p${value.replace(/\/+$/, '')}`
  return /^\^?\/?\.\*\$?$/.test(value) ? 'p' : `r${value}`
}

/** The paths that match wherever this one does, itself first, then from the narrowest to the broadest. */
export function broaderPaths(path: string): readonly string[] {
  const [kind, value] = [path[0], path.slice(1)]
  if (kind === 'r') return [path, 'p']
  const steps: string[] = kind === 'e' ? [path] : []
  for (let prefix = value.replace(/\/+$/, ''); prefix !== ''; prefix = prefix.slice(0, prefix.lastIndexOf('/'))) {
    steps.push(`p${prefix}`)
    if (!prefix.includes('/')) break
  }
  return [...steps, 'p']
}

/** Sets of constraints that hold wherever these do: all subsets of a few, and of many only the plainest. */
export function broaderConstraints(constraints: readonly string[]): readonly string[] {
  const subsets =
    constraints.length > 4
      ? [[], ...constraints.map((one) => [one]), constraints]
      : constraints.reduce<readonly (readonly string[])[]>(
          (all, one) => [...all, ...all.map((subset) => [...subset, one])],
          [[]],
        )
  return subsets.map(signature)
}

/** One text for a set of constraints. */
export const signature = (constraints: readonly string[]): string => constraints.join('\n')

/** The host itself and every pattern that covers it. */
export function broaderHosts(host: string): readonly string[] {
  if (host === '' || host.length > 253) return [host]
  const labels = host.replace(/^\*\./, '').split('.')
  const first = host.startsWith('*.') ? 0 : 1
  return [...new Set([host, ...labels.slice(first).map((_, at) => `*.${labels.slice(at + first).join('.')}`), ''])]
}
