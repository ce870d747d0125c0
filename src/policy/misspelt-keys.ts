import { memo } from '../model/memo.ts'
import { fault } from '../model/result.ts'
import type { Finding, Path } from '../model/result.ts'
import type { Manifest } from './manifest.ts'
import { suggestion } from './parse.ts'

/** Keys by where they stand; `[]` is any item of a list. */
type Known = Readonly<Record<string, readonly string[]>>

const metadata =
  `name generateName namespace labels annotations ownerReferences finalizers managedFields creationTimestamp
deletionTimestamp deletionGracePeriodSeconds generation resourceVersion uid selfLink`.split(/\s/)
const object = ['apiVersion', 'kind', 'metadata']

const listeners: Known = {
  'spec.listeners[]': ['name', 'hostname', 'port', 'protocol', 'tls', 'allowedRoutes'],
  'spec.listeners[].allowedRoutes': ['namespaces', 'kinds'],
  'spec.listeners[].allowedRoutes.namespaces': ['from', 'selector'],
}

/** The keys that decide whom an object is for, what it matches and whether it asks us. An AuthPolicy's others have a schema. */
const knownKeys: Readonly<Record<string, Known>> = {
  AuthPolicy: {},
  HTTPRoute: {
    '': [...object, 'spec', 'status'],
    spec: ['parentRefs', 'hostnames', 'rules', 'useDefaultGateways'],
    'spec.parentRefs[]': ['group', 'kind', 'namespace', 'name', 'sectionName', 'port'],
    'spec.rules[]': ['name', 'matches', 'filters', 'backendRefs', 'timeouts', 'retry', 'sessionPersistence'],
    'spec.rules[].matches[]': ['path', 'headers', 'queryParams', 'method'],
    'spec.rules[].filters[].externalAuth': ['protocol', 'backendRef', 'grpc', 'http', 'forwardBody'],
    'spec.rules[].filters[].externalAuth.http': ['path', 'allowedHeaders', 'allowedResponseHeaders'],
  },
  Gateway: {
    '': [...object, 'spec', 'status'],
    spec: ['gatewayClassName', 'listeners', 'addresses', 'infrastructure', 'allowedListeners', 'defaultScope', 'tls'],
    'spec.allowedListeners': ['namespaces'],
    'spec.allowedListeners.namespaces': ['from', 'selector'],
    ...listeners,
  },
  ListenerSet: {
    '': [...object, 'spec', 'status'],
    spec: ['parentRef', 'listeners'],
    'spec.parentRef': ['group', 'kind', 'namespace', 'name'],
    ...listeners,
  },
  Secret: { '': [...object, 'data', 'stringData', 'type', 'immutable'] },
  ConfigMap: { '': [...object, 'data', 'binaryData', 'immutable'] },
}

/**
 * Keys of an object that are nearly one that is read: without `matches`, a rule is for every path, and without `namespace` an object is
 * in another one. A key that resembles none may belong to a newer API, and is let be.
 */
export const misspeltKeys = memo(({ kind, object: read }: Manifest): readonly Finding[] => {
  const known = Object.hasOwn(knownKeys, kind) ? knownKeys[kind] : undefined
  return known === undefined ? [] : within(read, [], '', { metadata, ...known })
})

function within(value: unknown, path: Path, place: string, known: Known): readonly Finding[] {
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => within(item, [...path, index], `${place}[]`, known))
  }
  // No further down than there is something to look for.
  if (!isFields(value) || !Object.keys(known).some((one) => one.startsWith(place))) return []
  const expected = known[place]
  return Object.entries(value).flatMap(([key, inner]) => {
    const mend = expected === undefined || expected.includes(key) ? undefined : suggestion(key, expected)
    const here = mend?.startsWith('did you mean') === true ? [wrong([...path, key], key, mend)] : []
    return [...here, ...within(inner, [...path, key], place === '' ? key : `${place}.${key}`, known)]
  })
}

const wrong = (path: Path, key: string, mend: string): Finding =>
  fault('unknown-key', path, `there is no key "${key}" here`, mend)

const isFields = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
