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

/** The keys known at a place, and the places below it at which there is something to look for. */
interface Place {
  expected: readonly string[] | undefined
  readonly below: Map<string, Place>
}

const placesOf = (known: Known): Place => {
  const root: Place = { expected: undefined, below: new Map() }
  for (const [path, expected] of Object.entries(known)) {
    const steps = path === '' ? [] : path.replaceAll('[]', '.[]').split('.')
    steps.reduce((place, step) => {
      const next = place.below.get(step) ?? { expected: undefined, below: new Map() }
      place.below.set(step, next)
      return next
    }, root).expected = expected
  }
  return root
}

const places = new Map(Object.entries(knownKeys).map(([kind, known]) => [kind, placesOf({ metadata, ...known })]))

/**
 * Keys of an object that are nearly one that is read: without `matches`, a rule is for every path, and without `namespace` an object is
 * in another one. A key that resembles none may belong to a newer API, and is let be.
 */
export const misspeltKeys = memo(({ kind, object: read }: Manifest): readonly Finding[] =>
  within(read, [], places.get(kind)),
)

function within(value: unknown, path: Path, place: Place | undefined): readonly Finding[] {
  if (place === undefined || typeof value !== 'object' || value === null) return none
  if (Array.isArray(value)) {
    const each = place.below.get('[]')
    return each === undefined ? none : value.flatMap((item, index) => within(item, [...path, index], each))
  }
  const { expected, below } = place
  return Object.entries(value).flatMap(([key, inner]) => {
    const mend = expected === undefined || expected.includes(key) ? undefined : suggestion(key, expected)
    const here = mend?.startsWith('did you mean') === true ? [wrong([...path, key], key, mend)] : none
    const under = below.get(key)
    return under === undefined ? here : [...here, ...within(inner, [...path, key], under)]
  })
}

const none: readonly Finding[] = []

const wrong = (path: Path, key: string, mend: string): Finding =>
  fault('unknown-key', path, `there is no key "${key}" here`, mend)
