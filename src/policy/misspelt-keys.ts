import { memo } from '../model/memo.ts'
import { fault } from '../model/result.ts'
import type { Finding, Path } from '../model/result.ts'
import type { HttpRoute } from './gateway-api.ts'
import { suggestion } from './parse.ts'

/** The keys of an HTTPRoute that decide what it matches and whether it asks us, by where they stand; `[]` is any item of a list. */
const known: Readonly<Record<string, readonly string[]>> = {
  spec: ['parentRefs', 'hostnames', 'rules', 'useDefaultGateways'],
  'spec.rules[]': ['name', 'matches', 'filters', 'backendRefs', 'timeouts', 'retry', 'sessionPersistence'],
  'spec.rules[].matches[]': ['path', 'headers', 'queryParams', 'method'],
  'spec.rules[].filters[].externalAuth': ['protocol', 'backendRef', 'grpc', 'http', 'forwardBody'],
  'spec.rules[].filters[].externalAuth.http': ['path', 'allowedHeaders', 'allowedResponseHeaders'],
}

const places = Object.keys(known)

/**
 * Keys of a route that are nearly one that is read: without `matches`, a rule is for every path. A key that resembles none may belong to
 * a newer Gateway API, and is let be.
 */
export const misspeltKeys = memo((route: HttpRoute): readonly Finding[] => {
  const { object } = route.manifest
  return isFields(object) ? within(object['spec'], ['spec'], 'spec') : []
})

function within(value: unknown, path: Path, place: string): readonly Finding[] {
  if (Array.isArray(value)) return value.flatMap((item, index) => within(item, [...path, index], `${place}[]`))
  // No further down than there is something to look for.
  if (!isFields(value) || !places.some((one) => one.startsWith(place))) return []
  const expected = known[place]
  return Object.entries(value).flatMap(([key, inner]) => {
    const mend = expected === undefined || expected.includes(key) ? undefined : suggestion(key, expected)
    const here = mend?.startsWith('did you mean') === true ? [wrong([...path, key], key, mend)] : []
    return [...here, ...within(inner, [...path, key], `${place}.${key}`)]
  })
}

const wrong = (path: Path, key: string, mend: string): Finding =>
  fault('unknown-key', path, `there is no key "${key}" here`, mend)

const isFields = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
