import { afterAll, beforeAll, expect, it } from 'vitest'
import { crdYaml } from '../../src/command/crd.ts'
import { parseLabelSelector } from '../../src/registration/label-selector.ts'
import { writtenAncestors } from '../../src/registration/written-ancestors.ts'
import { apiServer, describeOnKubernetes, gatewayApiVersions } from '../support/api-server.ts'
import type { ApiServer } from '../support/api-server.ts'
import type { KubeObject } from '../support/kube-client.ts'
import { until } from '../support/program.ts'
import { registered } from '../support/registered.ts'
import type { Registered } from '../support/registered.ts'
import { gatewayGroup, namespace, policy, route, service } from '../support/registered-world.ts'

const group = `/apis/${gatewayGroup}`
const merge = 'application/merge-patch+json'
const admitted = { access: 'gatehouse' }
const selector = parseLabelSelector('access=gatehouse')
const admits = selector.ok ? selector.value : () => false

/** A Gateway that serves every namespace, and whether it takes routes that name none. */
const edge = (name: string, defaultScope?: 'All' | 'None') => ({
  apiVersion: `${gatewayGroup}/v1`,
  kind: 'Gateway',
  metadata: { namespace: 'infra', name },
  spec: {
    gatewayClassName: 'any',
    ...(defaultScope === undefined ? {} : { defaultScope }),
    listeners: [{ name: 'web', port: 80, protocol: 'HTTP', allowedRoutes: { namespaces: { from: 'All' } } }],
  },
})

/** The route of the other registration tests, reached in another way than by naming its Gateway. */
function reached(at: string, way: object) {
  const { parentRefs: _, ...spec } = route('cart', at).spec
  return { ...route('cart', at), spec: { ...spec, ...way } }
}

const meshed = { group: '', kind: 'Service', namespace: 'books', name: 'cart', port: 8080 }

const backend = (at: string) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { namespace: at, name: 'cart' },
  spec: { ports: [{ name: 'http', port: 8080 }] },
})

const mesh = {
  apiVersion: 'gateway.networking.x-k8s.io/v1alpha1',
  kind: 'XMesh',
  metadata: { name: 'mesh' },
  spec: { controllerName: 'example.com/mesh' },
}

type Standing = readonly (readonly [ancestor: string, enforced: string])[]

const byName = (all: Standing): Standing => all.toSorted(([one], [other]) => (one < other ? -1 : 1))

for (const crds of gatewayApiVersions) {
  await describeOnKubernetes(`parents that a route does not name as Gateways, beside the Gateway API ${crds}`, () => {
    let api: ApiServer
    let replica: Registered
    const grants = `${group}/${crds === 'v1.4.1' ? 'v1beta1' : 'v1'}/namespaces/gatehouse/referencegrants`
    const said = (): string => [...replica.warnings, ...replica.writes].join('\n')

    const granted = (expected: readonly string[]): Promise<void> => {
      let last: readonly string[] = []
      return until(
        async () => {
          const { body } = await api.request<{ readonly items: readonly KubeObject[] }>('GET', grants)
          last = body.items.map(({ metadata }) => metadata.name).toSorted()
          return JSON.stringify(last) === JSON.stringify(expected)
        },
        () => `there are ${last.join(', ')}; ${said()}`,
      )
    }
    /** Each ancestor of a namespace's policy with the reason of its `Enforced`. */
    const stands = (at: string, expected: Standing): Promise<void> => {
      let last: Standing = []
      return until(
        async () => {
          const { body } = await api.request('GET', `/apis/gatehouse.dev/v1alpha1/namespaces/${at}/authpolicies/pay`)
          last = writtenAncestors(body).map(({ ancestorRef: { kind, namespace: place, name }, conditions }) => [
            `${kind} ${place ?? ''}/${name}`,
            conditions.find(({ type }) => type === 'Enforced')?.reason ?? '',
          ])
          return JSON.stringify(byName(last)) === JSON.stringify(byName(expected))
        },
        () => `it stands ${JSON.stringify(last)}; ${said()}`,
        12_000,
      )
    }
    /** What the controllers of these parents write when they take the route. */
    const taken = async (at: string, ...parentRefs: readonly object[]): Promise<void> => {
      const conditions = ['Accepted', 'ResolvedRefs'].map((type) => ({
        type,
        status: 'True',
        reason: type,
        message: '',
        lastTransitionTime: '2026-11-01T00:00:00Z',
      }))
      const parents = parentRefs.map((parentRef) => ({ parentRef, controllerName: 'example.com/any', conditions }))
      const { status, body } = await api.request(
        'PATCH',
        `${group}/v1/namespaces/${at}/httproutes/cart/status`,
        { status: { parents } },
        merge,
      )
      expect(status, JSON.stringify(body)).toBe(200)
    }
    const remove = async (object: object): Promise<void> => {
      const { status } = await api.request('DELETE', await api.path(object as KubeObject))
      expect(status).toBe(200)
    }

    beforeAll(async () => {
      api = await apiServer({ crds })
      await api.apply(crdYaml(), namespace('gatehouse'), namespace('infra'), service(), edge('named'))
      replica = await registered(api, { options: { admits } })
    }, 240_000)
    afterAll(async () => {
      await replica.close()
      await api.stop()
    })

    it('default Gateways: status by each of them, and a grant for the namespace of the route', async () => {
      await api.apply(namespace('shop', admitted), edge('one', 'All'), edge('none', 'None'))
      await api.apply(reached('shop', { useDefaultGateways: 'All' }), policy('pay', 'shop'))
      await granted(['gatehouse-routes-shop'])
      await stands('shop', [['Gateway infra/one', 'RouteNotAccepted']])
      const one = { group: gatewayGroup, kind: 'Gateway', namespace: 'infra', name: 'one' }
      await taken('shop', one)
      await stands('shop', [['Gateway infra/one', 'NoCheckSeen']])
      replica.evidence.seen('shop/cart/pay', Date.now())
      await stands('shop', [['Gateway infra/one', 'Enforced']])

      // A second one comes, and the first is one no longer.
      await api.apply(edge('two', 'All'))
      await stands('shop', [
        ['Gateway infra/one', 'Enforced'],
        ['Gateway infra/two', 'RouteNotAccepted'],
      ])
      await api.apply(edge('one', 'None'))
      await stands('shop', [['Gateway infra/two', 'RouteNotAccepted']])
      await taken('shop', { ...one, name: 'two' })
      // What was seen before it took the route tells nothing of it.
      await stands('shop', [['Gateway infra/two', 'NoCheckSeen']])
      replica.evidence.seen('shop/cart/pay', Date.now())
      await stands('shop', [['Gateway infra/two', 'Enforced']])
      // It goes with the route, though nothing ever named a Gateway.
      await remove(route('cart', 'shop'))
      await granted([])
      await stands('shop', [['HTTPRoute shop/cart', 'TargetNotFound']])
    }, 60_000)

    it('a Service: status by it, and grants for the namespaces of the routes, of its owner and of a consumer', async () => {
      await api.apply(
        namespace('books', admitted),
        namespace('till', admitted),
        namespace('out'),
        mesh,
        backend('books'),
      )
      for (const at of ['books', 'till', 'out']) {
        await api.apply(reached(at, { parentRefs: [meshed] }), policy('pay', at))
      }
      await granted(['gatehouse-routes-books', 'gatehouse-routes-till'])
      const { body } = await api.request('GET', `${grants}/gatehouse-routes-till`)
      expect(body['spec']).toEqual({
        from: [{ group: gatewayGroup, kind: 'HTTPRoute', namespace: 'till' }],
        to: [{ group: '', kind: 'Service', name: 'gatehouse' }],
      })
      for (const at of ['books', 'till']) {
        await stands(at, [['Service books/cart', 'RouteNotAccepted']])
        await taken(at, meshed)
        await stands(at, [['Service books/cart', 'NoCheckSeen']])
      }
      replica.evidence.seen('till/cart/pay', Date.now())
      await stands('till', [['Service books/cart', 'Enforced']])
      await stands('books', [['Service books/cart', 'NoCheckSeen']])

      // A Gateway beside it: what one of the two sent is no evidence for the other.
      const named = { group: gatewayGroup, kind: 'Gateway', namespace: 'infra', name: 'named' }
      await api.apply(reached('till', { parentRefs: [meshed, named] }))
      await taken('till', meshed, named)
      await stands('till', [
        ['Gateway infra/named', 'NoCheckSeen'],
        ['Service books/cart', 'NoCheckSeen'],
      ])
      replica.evidence.seen('till/cart/pay', Date.now())
      await stands('till', [
        ['Gateway infra/named', 'GatewayNotTold'],
        ['Service books/cart', 'GatewayNotTold'],
      ])
      await remove(route('cart', 'till'))
      await granted(['gatehouse-routes-books'])
    }, 60_000)

    it('a default Gateway and a Service of one route: both', async () => {
      await api.apply(namespace('both', admitted), edge('three', 'All'), backend('books'))
      await api.apply(reached('both', { parentRefs: [meshed], useDefaultGateways: 'All' }), policy('pay', 'both'))
      await stands('both', [
        ['Gateway infra/three', 'RouteNotAccepted'],
        ['Gateway infra/two', 'RouteNotAccepted'],
        ['Service books/cart', 'RouteNotAccepted'],
      ])
      expect(replica.warnings).toEqual([])
    }, 60_000)
  })
}
