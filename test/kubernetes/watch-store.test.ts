import { Readable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backOff } from '../../src/kubernetes/back-off.ts'
import { readEvents } from '../../src/kubernetes/event-stream.ts'
import type { WatchEvent } from '../../src/kubernetes/event-stream.ts'
import { KubeError, networkError, statusError } from '../../src/kubernetes/kube-error.ts'
import { received } from '../../src/kubernetes/kube-object.ts'
import type { KubeObject } from '../../src/kubernetes/kube-object.ts'
import { createObjectStore } from '../../src/kubernetes/object-store.ts'
import type { ObjectStore } from '../../src/kubernetes/object-store.ts'
import { compareVersions } from '../../src/kubernetes/resource-version.ts'
import { resourceOf, resourcePath, resources } from '../../src/kubernetes/resources.ts'

const service = (name: string, uid: string, version: number, more: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { namespace: 'shop', name, uid, resourceVersion: String(version) },
  ...more,
})

/** Name, uid and version of all that it holds. */
const holds = (store: ObjectStore): readonly string[] =>
  [...store.manifests()]
    .map(({ object }) => object as KubeObject)
    .map(({ metadata: { name, uid, resourceVersion } }) => `${name} ${uid} ${resourceVersion}`)
    .sort()

describe('the objects of one kind', () => {
  it('keep their manifest as long as they are the same', () => {
    const store = createObjectStore()
    expect(store.replace([service('a', '1', 10), service('b', '2', 11)], '12')).toBe(true)
    const [a, b] = store.manifests()
    expect(store.take({ kind: 'modified', object: service('b', '2', 13) })).toBe(true)
    expect(store.replace([service('a', '1', 10), service('b', '2', 13)], '14')).toBe(false)
    const [again, other] = store.manifests()
    expect(again).toBe(a)
    expect(other).not.toBe(b)
  })

  it('REL-14 delete and create under the same name: the old object goes, the new one stays, and a late delete hits nobody', () => {
    const store = createObjectStore()
    store.replace([service('a', 'old', 10)], '10')
    store.take({ kind: 'deleted', object: service('a', 'old', 11) })
    store.take({ kind: 'added', object: service('a', 'new', 12) })
    store.take({ kind: 'deleted', object: service('a', 'old', 11) })
    expect(holds(store)).toEqual(['a new 12'])
    // Even one that claims to be recent: it is about another object.
    expect(store.take({ kind: 'deleted', object: service('a', 'old', 99) })).toBe(false)
    expect(holds(store)).toEqual(['a new 12'])
  })

  it('REL-14 an event from before the list changes nothing', () => {
    const store = createObjectStore()
    store.replace([service('a', '1', 10)], '20')
    expect(store.take({ kind: 'modified', object: service('a', '1', 9) })).toBe(false)
    expect(store.take({ kind: 'added', object: service('gone', '2', 15) })).toBe(false)
    expect(holds(store)).toEqual(['a 1 10'])
  })

  it('REL-14 a server that was set back to a backup is believed: same number, other content', () => {
    const store = createObjectStore()
    store.replace([service('a', '1', 10, { spec: { type: 'ClusterIP' } })], '50')
    expect(store.replace([service('a', '1', 10, { spec: { type: 'NodePort' } })], '40')).toBe(true)
    expect([...store.manifests()].map(({ object }) => (object as KubeObject)['spec'])).toEqual([{ type: 'NodePort' }])
    expect(store.resourceVersion()).toBe('40')
  })

  it('REL-14 ends where the API server does, whatever is told twice, late or never', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ name: fc.constantFrom('a', 'b', 'c', 'd'), remove: fc.boolean() }), { maxLength: 60 }),
        fc.integer({ min: 0, max: 60 }),
        fc.infiniteStream(fc.nat()),
        fc.infiniteStream(fc.constantFrom('pass', 'twice', 'late', 'bookmark', 'relist')),
        (steps, listAfter, numbers, noises) => {
          const { events, lists } = history(steps)
          const store = createObjectStore()
          const start = Math.min(listAfter, events.length)
          const list = (at: number): void => void store.replace(lists[at]?.objects ?? [], lists[at]?.version ?? '1')
          list(start)
          for (let at = start; at < events.length; at += 1) {
            const noise = noises.next().value
            const back = events[numbers.next().value % (at + 1)]
            if (noise === 'late' && back !== undefined && back !== events[at]) store.take(back)
            const event = events[at]
            if (event !== undefined) store.take(event)
            if (noise === 'twice' && event !== undefined) store.take(event)
            if (noise === 'bookmark') store.take({ kind: 'bookmark', resourceVersion: lists[at + 1]?.version ?? '' })
            if (noise === 'relist') list(at + 1)
          }
          const last = lists.at(-1)
          const wanted = (last?.objects ?? []).map(
            ({ metadata: { name, uid, resourceVersion } }) => `${name} ${uid} ${resourceVersion}`,
          )
          expect(holds(store)).toEqual(wanted.sort())
        },
      ),
      { numRuns: 500 },
    )
  })
})

interface Moment {
  readonly objects: readonly KubeObject[]
  readonly version: string
}

/** What an API server would tell of these steps, and what a list would show before the first and after each. */
function history(steps: readonly { readonly name: string; readonly remove: boolean }[]): {
  readonly events: readonly WatchEvent[]
  readonly lists: readonly Moment[]
} {
  const objects = new Map<string, KubeObject>()
  const events: WatchEvent[] = []
  const lists: Moment[] = [{ objects: [], version: '1' }]
  let version = 1
  for (const { name, remove } of steps) {
    version += 1
    const known = objects.get(name)
    if (remove && known !== undefined) {
      objects.delete(name)
      events.push({ kind: 'deleted', object: service(name, known.metadata.uid ?? '', version) })
    } else {
      const object = service(name, known?.metadata.uid ?? `uid-${version}`, version)
      objects.set(name, object)
      events.push({ kind: known === undefined ? 'added' : 'modified', object })
    }
    lists.push({ objects: [...objects.values()], version: String(version) })
  }
  return { events, lists }
}

describe('what a watch sends', () => {
  const read = async (...chunks: readonly string[]): Promise<readonly string[]> => {
    const told: string[] = []
    const body = Readable.from(chunks.map((chunk) => Buffer.from(chunk)))
    await readEvents(body, { apiVersion: 'v1', kind: 'Service' }, (event) =>
      told.push(
        event.kind === 'bookmark' ? `bookmark ${event.resourceVersion}` : `${event.kind} ${event.object.metadata.name}`,
      ),
    )
    return told
  }
  const line = (type: string, object: object): string => `${JSON.stringify({ type, object })}\n`

  it('is cut into events, wherever the packets were cut', async () => {
    const text =
      line('ADDED', service('ä', '1', 1)) +
      line('MODIFIED', service('ä', '1', 2)) +
      line('BOOKMARK', { metadata: { resourceVersion: '7' } }) +
      line('DELETED', service('ä', '1', 8))
    const whole = ['added ä', 'modified ä', 'bookmark 7', 'deleted ä']
    expect(await read(text)).toEqual(whole)
    const bytes = Buffer.from(text)
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length)), async (cuts) => {
        const places = [0, ...cuts.toSorted((one, other) => one - other), bytes.length]
        const told: string[] = []
        const parts = places.slice(1).map((end, at) => bytes.subarray(places[at], end))
        await readEvents(Readable.from(parts), { apiVersion: 'v1', kind: 'Service' }, ({ kind }) => told.push(kind))
        expect(told).toEqual(['added', 'modified', 'bookmark', 'deleted'])
      }),
      { numRuns: 50 },
    )
  })

  it('leaves out an event whose end never came', async () => {
    const half = line('ADDED', service('b', '2', 2)).slice(0, -10)
    expect(await read(line('ADDED', service('a', '1', 1)), half)).toEqual(['added a'])
  })

  it.each([
    ['no JSON', 'Bad Gateway\n', 410],
    ['an event of another type', line('RENAMED', service('a', '1', 1)), 410],
    ['an object without a name', line('ADDED', { metadata: {} }), 410],
    ['an object without a version', line('ADDED', { metadata: { name: 'a' } }), 410],
    ['null', 'null\n', 410],
    ['a bookmark of nothing', line('BOOKMARK', {}), 410],
    ['an ERROR event', line('ERROR', { code: 410, reason: 'Expired', message: 'too old' }), 410],
    ['an ERROR event of the server', line('ERROR', { code: 500, reason: 'InternalError' }), 500],
  ])('asks for a new list, or tells the error: %s', async (_, text, status) => {
    await expect(read(text)).rejects.toMatchObject({ name: 'KubeError', status })
  })

  it('never holds more than an event can be', async () => {
    const endless = (async function* () {
      for (;;) yield Buffer.alloc(1024 * 1024, 'x')
    })()
    await expect(readEvents(endless, { apiVersion: 'v1', kind: 'Service' }, () => undefined)).rejects.toMatchObject({
      reason: 'TooLarge',
    })
  })
})

describe('an object on arrival', () => {
  const implied = { apiVersion: 'v1', kind: 'Secret' }
  it('loses what nobody reads, and gets the kind that lists leave out', () => {
    const object = received(
      {
        metadata: {
          name: 'a',
          uid: '1',
          managedFields: [{ manager: 'kubectl' }],
          annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{"data":…}', kept: 'yes' },
        },
        data: { key: 'dmFsdWU=' },
      },
      implied,
    )
    expect(object).toEqual({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'a', uid: '1', annotations: { kept: 'yes' } },
      data: { key: 'dmFsdWU=' },
    })
  })

  it.each([[null], ['text'], [[]], [{}], [{ metadata: null }], [{ metadata: { name: 7 } }]])('is none: %j', (value) => {
    expect(received(value, implied)).toBeUndefined()
  })
})

describe('resource versions', () => {
  it.each([
    ['9', '10', -1],
    ['10', '9', 1],
    ['18446744073709551615', '18446744073709551614', 1],
    ['7', '7', 0],
    ['opaque', '7', 1],
    ['7', 'opaque', 1],
  ])('%s against %s', (one, other, sign) => {
    expect(Math.sign(compareVersions(one, other))).toBe(sign)
  })
})

describe('errors', () => {
  it('carry what the server said, and how long to stay away', () => {
    const body = { code: 429, reason: 'TooManyRequests', message: 'slow down', details: { retryAfterSeconds: 2 } }
    expect(statusError(429, body)).toMatchObject({ status: 429, reason: 'TooManyRequests', retryAfterMillis: 2000 })
    expect(statusError(429, body, '5')).toMatchObject({ retryAfterMillis: 5000 })
    expect(statusError(503, undefined, '86400')).toMatchObject({ reason: 'HTTP 503', retryAfterMillis: 60_000 })
    expect(statusError(503, undefined, 'soon').retryAfterMillis).toBeUndefined()
  })

  it('name a network failure by its code only', () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:443'), { code: 'ECONNREFUSED' })
    expect(networkError(refused)).toMatchObject({ status: 0, reason: 'ECONNREFUSED' })
    expect(networkError(new TypeError('fetch failed', { cause: refused })).reason).toBe('ECONNREFUSED')
    expect(networkError('nonsense')).toBeInstanceOf(KubeError)
  })
})

describe('back-off', () => {
  it('doubles to its limit, with jitter between half and all', () => {
    const pace = { first: 200, most: 3000 }
    expect([1, 2, 3, 4, 5, 60].map((failures) => backOff(pace, failures, () => 1))).toEqual([
      200, 400, 800, 1600, 3000, 3000,
    ])
    expect(backOff(pace, 3, () => 0)).toBe(400)
  })
})

describe('paths of the API', () => {
  it.each([
    [resourcePath(resources.Secret), '/api/v1/secrets'],
    [resourcePath(resources.Secret, { namespace: 'shop', name: 'a' }), '/api/v1/namespaces/shop/secrets/a'],
    [
      resourcePath(resources.HTTPRoute, { namespace: 'shop', name: 'a', subresource: 'status' }),
      '/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/a/status',
    ],
    [resourcePath(resources.Namespace, { namespace: 'shop', name: 'shop' }), '/api/v1/namespaces/shop'],
    [resourcePath(resources.Secret, { namespace: '../x', name: 'a/b' }), '/api/v1/namespaces/..%2Fx/secrets/a%2Fb'],
  ])('%s', (path, wanted) => expect(path).toBe(wanted))

  it('follow the version that an object is written in', () => {
    const grant = { apiVersion: 'gateway.networking.k8s.io/v1beta1', kind: 'ReferenceGrant' }
    expect(resourceOf(grant)).toMatchObject({ plural: 'referencegrants', versions: ['v1beta1'] })
    expect(resourceOf({ apiVersion: 'v1', kind: 'Service' })).toMatchObject({ group: '', versions: ['v1'] })
    expect(resourceOf({ apiVersion: 'apps/v1', kind: 'Service' })).toBeUndefined()
  })
})
