import { createKeyedDigest } from '../../src/authn/keyed-digest.ts'
import type { Authenticator, Compiled, Method, MethodContext } from '../../src/authn/method.ts'
import type { Services } from '../../src/authn/services.ts'
import type { Clock } from '../../src/model/clock.ts'
import type { Result } from '../../src/model/result.ts'
import { silent } from '../../src/model/telemetry.ts'
import type { Counter, Telemetry } from '../../src/model/telemetry.ts'
import { indexDataObjects, parseDataObject } from '../../src/policy/data-objects.ts'
import { parse } from '../../src/policy/parse.ts'

/** A clock that stands still until it is moved. */
export interface TestClock extends Clock {
  readonly forward: (millis: number) => void
}

export function testClock(now = Date.parse('2026-11-24T12:00:00Z')): TestClock {
  let passed = 0
  return { now: () => now + passed, ticks: () => 1000 + passed, forward: (millis) => (passed += millis) }
}

/** Telemetry that remembers what was counted. */
export function counting(): Telemetry & { readonly counted: (event: Counter) => number } {
  const counts = new Map<Counter, number>()
  return {
    count: (event) => counts.set(event, (counts.get(event) ?? 0) + 1),
    level: () => undefined,
    counted: (event) => counts.get(event) ?? 0,
  }
}

/** Services of which a test gives those that it is about; the others complain when they are used. */
export function someServices(some: Partial<Services>): Services {
  const given: Partial<Services> = { clock: testClock(), telemetry: silent, digest: createKeyedDigest(), ...some }
  return new Proxy(given as Services, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name)
      if (value === undefined) throw new Error(`the test gave no ${String(name)}`)
      return value
    },
  })
}

/** A Secret or ConfigMap as `kubectl get -o json` gives it. */
export interface CoreObject {
  readonly apiVersion: 'v1'
  readonly kind: 'Secret' | 'ConfigMap'
  readonly metadata: { readonly name: string; readonly namespace: string }
}

/** A Secret of plain texts. */
export const secretObject = (name: string, stringData: Readonly<Record<string, string>>, metadata = {}): CoreObject =>
  ({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: 'shop', ...metadata }, stringData }) as CoreObject

export interface ContextGiven {
  readonly objects?: readonly CoreObject[]
  readonly services?: Partial<Services>
  readonly namespace?: string
  readonly onRelease?: (release: () => void) => void
}

/** What compiling a method's block in a policy gives it, over real manifests. */
export function methodContext({ objects = [], services = {}, ...rest }: ContextGiven = {}): MethodContext {
  const { namespace = 'shop', onRelease = () => undefined } = rest
  const manifests = objects.map((object) => ({ ...object, ...object.metadata, object, line: () => undefined }))
  const data = indexDataObjects(
    manifests.map((manifest) => {
      const read = parseDataObject(manifest)
      if (!read.ok) throw new Error(`${manifest.name}: ${read.findings.map(({ say }) => say).join('; ')}`)
      return read.value
    }),
  )
  return {
    namespace,
    owner: `${namespace}/policy/entry`,
    name: 'entry',
    read: (ref, defaultKey) => data.read(namespace, ref, defaultKey),
    select: (labels) => data.select(namespace, labels),
    object: (kind, name) => data.get(kind, namespace, name),
    services: someServices(services),
    onRelease,
  }
}

/** Validates a block as a policy would, and compiles it. */
export function compiled<T>(
  method: Method<T>,
  block: unknown,
  context: MethodContext,
): Result<Compiled<Authenticator>> {
  const read = parse(method.schema, block)
  return read.ok ? method.compile(read.value, context) : read
}

/** The authenticator of a block that has to be right. */
export function authenticatorOf<T>(method: Method<T>, block: unknown, context: MethodContext): Authenticator {
  const result = compiled(method, block, context)
  if (!result.ok) throw new Error(JSON.stringify(result.findings))
  return result.value.value
}
