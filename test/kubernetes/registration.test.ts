import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { crdYaml } from '../../src/command/crd.ts'
import { KubeError } from '../../src/kubernetes/kube-error.ts'
import type { KubeClient } from '../../src/kubernetes/client.ts'
import { parseLabelSelector } from '../../src/registration/label-selector.ts'
import { writtenAncestors } from '../../src/registration/written-ancestors.ts'
import { apiServer, describeOnKubernetes } from '../support/api-server.ts'
import type { ApiServer, GatewayApiVersion } from '../support/api-server.ts'
import { authority } from '../support/certificates.ts'
import type { KubeObject } from '../support/kube-client.ts'
import { until } from '../support/program.ts'
import { registered } from '../support/registered.ts'
import type { Registered, RegisteredOptions } from '../support/registered.ts'
import { acceptance, gateway, namespace, policy, route, service } from '../support/registered-world.ts'

const group = '/apis/gateway.networking.k8s.io'
const merge = 'application/merge-patch+json'
const admitted = { access: 'gatehouse' }

const selector = parseLabelSelector('access=gatehouse')
const admits = selector.ok ? selector.value : () => false

const versions: readonly (readonly [GatewayApiVersion, string])[] = [
  ['v1.4.1', 'v1beta1'],
  ['v1.7.0', 'v1'],
]

for (const [crds, grantVersion] of versions) {
  await describeOnKubernetes(`registration beside the Gateway API ${crds}`, () => {
    let api: ApiServer
    let replicas: Registered[] = []
    const grants = `${group}/${grantVersion}/namespaces/gatehouse/referencegrants`
    const begin = async (options: RegisteredOptions = {}): Promise<Registered> => {
      const replica = await registered(api, options)
      replicas.push(replica)
      return replica
    }
    const names = async (path: string): Promise<readonly string[]> => {
      const { body } = await api.request<{ readonly items: readonly KubeObject[] }>('GET', path)
      return body.items.map(({ metadata }) => metadata.name).toSorted()
    }
    const said = (): string => replicas.flatMap(({ warnings, writes }) => [...warnings, ...writes]).join('\n')
    const stand = (path: string, expected: readonly string[], millis?: number): Promise<void> => {
      let last: readonly string[] = []
      return until(
        async () => JSON.stringify((last = await names(path))) === JSON.stringify(expected),
        () => `there are ${last.join(', ')}; ${said()}`,
        millis,
      )
    }
    const quiet = (): Promise<void> => new Promise((done) => setTimeout(done, 2500))

    beforeAll(async () => {
      api = await apiServer({ crds })
      await api.apply(crdYaml(), namespace('gatehouse'), namespace('shop', admitted), service(), gateway(), route())
    }, 240_000)
    afterAll(() => api?.stop())
    afterEach(async () => {
      await Promise.all(replicas.map((one) => one.close()))
      replicas = []
    })

    it('keeps one ReferenceGrant for each admitted namespace as long as a route there asks us', async () => {
      const replica = await begin({ options: { admits } })
      await stand(grants, ['gatehouse-routes-shop'])
      const { body } = await api.request('GET', `${grants}/gatehouse-routes-shop`)
      expect(body).toMatchObject({
        metadata: {
          labels: { 'app.kubernetes.io/managed-by': 'gatehouse', 'app.kubernetes.io/name': 'gatehouse' },
          ownerReferences: [{ kind: 'Service', name: 'gatehouse' }],
          managedFields: [{ manager: 'gatehouse', operation: 'Apply' }],
        },
        spec: {
          from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: 'shop' }],
          to: [{ group: '', kind: 'Service', name: 'gatehouse' }],
        },
      })
      await api.apply(namespace('team'), route('cart', 'team'))
      await quiet()
      expect(await names(grants)).toEqual(['gatehouse-routes-shop'])
      // Let in by its label, then shut out again.
      await api.apply(namespace('team', admitted))
      await stand(grants, ['gatehouse-routes-shop', 'gatehouse-routes-team'])
      await api.apply(namespace('team'))
      await stand(grants, ['gatehouse-routes-shop'])
      // The last route of a namespace.
      await api.apply(namespace('team', admitted), route('second', 'team'))
      await stand(grants, ['gatehouse-routes-shop', 'gatehouse-routes-team'])
      await api.request('DELETE', `${group}/v1/namespaces/team/httproutes/cart`)
      await quiet()
      expect(await names(grants)).toEqual(['gatehouse-routes-shop', 'gatehouse-routes-team'])
      await api.request('DELETE', `${group}/v1/namespaces/team/httproutes/second`)
      await stand(grants, ['gatehouse-routes-shop'])
      expect(replica.warnings).toEqual([])
    }, 60_000)

    it('writes nothing when nothing changed, and mends what somebody bent or took away', async () => {
      const replica = await begin({ options: { admits } })
      await stand(grants, ['gatehouse-routes-shop'])
      await quiet()
      const writes = replica.writes.length
      await api.apply({ ...namespace('bystander'), metadata: { name: 'bystander', labels: { some: 'thing' } } })
      await quiet()
      expect(replica.writes.slice(writes)).toEqual([])
      const elsewhere = [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: 'elsewhere' }]
      await api.request('PATCH', `${grants}/gatehouse-routes-shop`, { spec: { from: elsewhere } }, merge)
      await until(
        async () =>
          JSON.stringify(await api.request('GET', `${grants}/gatehouse-routes-shop`)).includes('"namespace":"shop"'),
        said,
      )
      await api.request('DELETE', `${grants}/gatehouse-routes-shop`)
      await stand(grants, ['gatehouse-routes-shop'])
    }, 60_000)

    it('leaves objects of others alone, whatever they are called, and says so', async () => {
      const theirs = {
        apiVersion: `gateway.networking.k8s.io/${grantVersion}`,
        kind: 'ReferenceGrant',
        metadata: { namespace: 'gatehouse', name: 'gatehouse-routes-taken' },
        spec: {
          from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: 'somewhere' }],
          to: [{ group: '', kind: 'Service', name: 'other' }],
        },
      }
      const labelled = {
        ...theirs,
        metadata: { ...theirs.metadata, name: 'labelled', labels: { 'app.kubernetes.io/managed-by': 'gatehouse' } },
      }
      const map = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { namespace: 'gatehouse', name: 'gatehouse-ca' },
        data: { a: 'b' },
      }
      await api.apply(theirs, labelled, map, namespace('taken', admitted), route('cart', 'taken'))
      const { ca } = authority()
      const replica = await begin({ options: { admits }, tls: () => ({ ca, hostname: 'gatehouse.gatehouse.svc' }) })
      await until(() => replica.warnings.length >= 2, said)
      await quiet()
      for (const object of [theirs, labelled, map]) {
        const { body } = await api.request('GET', await api.path(object))
        expect(body).toMatchObject(object)
        expect(JSON.stringify(body.metadata['managedFields'])).not.toContain('"manager":"gatehouse"')
      }
      expect(replica.warnings.toSorted()).toEqual([
        'There is a ConfigMap gatehouse/gatehouse-ca that Gatehouse did not make; it is left alone, and ours is missing.',
        'There is a ReferenceGrant gatehouse/gatehouse-routes-taken that Gatehouse did not make; it is left alone, and ours is missing.',
      ])
      await api.request('DELETE', await api.path(map))
      await api.request('DELETE', `${group}/v1/namespaces/taken/httproutes/cart`)
      await api.request('DELETE', `${grants}/gatehouse-routes-taken`)
      await api.request('DELETE', `${grants}/labelled`)
    }, 60_000)

    it('keeps a BackendTLSPolicy and its authority for our Service as long as that serves TLS', async () => {
      const policies = `${group}/v1/namespaces/gatehouse/backendtlspolicies`
      const map = '/api/v1/namespaces/gatehouse/configmaps/gatehouse-ca'
      const holds = (ca: string | undefined): Promise<void> =>
        until(
          async () => (await api.request<{ data?: Record<string, string> }>('GET', map)).body.data?.['ca.crt'] === ca,
          said,
        )
      for (const { ca } of [authority(), authority()]) {
        const replica = await begin({ tls: () => ({ ca, hostname: 'gatehouse.gatehouse.svc' }) })
        await stand(policies, ['gatehouse'])
        await holds(ca)
        await replica.close()
      }
      const { body } = await api.request('GET', `${policies}/gatehouse`)
      expect(body['spec']).toMatchObject({
        targetRefs: [
          { group: '', kind: 'Service', name: 'gatehouse', sectionName: 'grpc' },
          { group: '', kind: 'Service', name: 'gatehouse', sectionName: 'http' },
        ],
        validation: {
          caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'gatehouse-ca' }],
          hostname: 'gatehouse.gatehouse.svc',
        },
      })
      await begin()
      await stand(policies, [])
      await holds(undefined)
    }, 60_000)

    it('REL-28 one of two replicas writes; when it is cut off the other one does, and both go on deciding', async () => {
      const cut = { off: false }
      const one = await begin({ identity: 'one', options: { admits }, through: cutting(cut) })
      await until(one.lease.held, said)
      const two = await begin({ identity: 'two', options: { admits } })
      await api.request('PATCH', `${group}/v1/namespaces/shop/httproutes/cart/status`, acceptance(), merge)
      const path = '/apis/gatehouse.dev/v1alpha1/namespaces/shop/authpolicies/pay'
      await api.request('DELETE', path)
      await api.apply(policy())
      const enforced = async (): Promise<string> => {
        const [first] = writtenAncestors((await api.request('GET', path)).body)
        return first?.conditions.find(({ type }) => type === 'Enforced')?.reason ?? ''
      }
      await until(async () => (await enforced()) === 'NoCheckSeen', said)
      expect(two.writes).toEqual([])
      expect(two.lease.held()).toBe(false)
      // Its Event is written after the status.
      await until(() => one.writes.includes('create Event'), said)
      cut.off = true
      const lost = performance.now()
      const before = one.writes.length
      await until(() => !one.lease.held(), said)
      await until(two.lease.held, said)
      // Never two at once: the first let go well before the second could take over.
      expect(performance.now() - lost).toBeGreaterThan(1000)
      two.evidence.seen('shop/cart/pay', Date.now())
      one.evidence.seen('shop/cart/pay', Date.now())
      await until(async () => (await enforced()) === 'Enforced', said)
      expect(one.writes.slice(before)).toEqual([])
      const decides = (replica: Registered) =>
        replica.compilation()?.snapshot.rules.map(({ key, policy: by }) => `${key.route}/${key.rule} ${by?.name}`)
      expect(decides(one)).toEqual(decides(two))
      expect(decides(one)).toContain('cart/pay shop/pay')
      cut.off = false
      await quiet()
      expect([one.lease.held(), two.lease.held()]).toEqual([false, true])
      // Given back, so that the other one need not wait for its end.
      await two.close()
      await until(one.lease.held, said, 1500)
      await api.request('DELETE', path)
    }, 60_000)

    it('a check that the other replica saw counts: gateways may keep to one of them', async () => {
      const one = await begin({ identity: 'one' })
      await until(one.lease.held, said)
      const two = await begin({ identity: 'two' })
      await api.request('PATCH', `${group}/v1/namespaces/shop/httproutes/cart/status`, acceptance(), merge)
      const path = '/apis/gatehouse.dev/v1alpha1/namespaces/shop/authpolicies/pay'
      await api.request('DELETE', path)
      await api.apply(policy())
      const enforced = async (): Promise<string> => {
        const [first] = writtenAncestors((await api.request('GET', path)).body)
        return first?.conditions.find(({ type }) => type === 'Enforced')?.reason ?? ''
      }
      await until(async () => (await enforced()) === 'NoCheckSeen', said)
      two.evidence.seen('shop/cart/pay', Date.now())
      await until(async () => (await enforced()) === 'Enforced', said, 12_000)
      expect(two.writes).toEqual(['apply Lease gatehouse/gatehouse-seen-two'])
      await quiet()
      expect(two.writes.length).toBe(1)
      await two.close()
      expect(await names('/apis/coordination.k8s.io/v1/namespaces/gatehouse/leases')).toEqual(['gatehouse'])
      await api.request('DELETE', path)
    }, 60_000)

    it('what a replica saw and cannot say is said later, and its trouble is told once', async () => {
      const one = await begin({ identity: 'one' })
      await until(one.lease.held, said)
      const cut = { off: false }
      const two = await begin({ identity: 'two', through: cutting(cut) })
      const path = '/apis/gatehouse.dev/v1alpha1/namespaces/shop/authpolicies/pay'
      await api.apply(policy())
      const enforced = async (): Promise<string> => {
        const [first] = writtenAncestors((await api.request('GET', path)).body)
        return first?.conditions.find(({ type }) => type === 'Enforced')?.reason ?? ''
      }
      await until(async () => (await enforced()) === 'NoCheckSeen', said)
      cut.off = true
      two.evidence.seen('shop/cart/pay', Date.now())
      // Each change makes a round, and in most of them it is not time to say it again.
      for (let change = 0; change < 20; change += 1) {
        await api.request('PATCH', path, { metadata: { annotations: { change: `${change}` } } }, merge)
        await new Promise((done) => setTimeout(done, 400))
      }
      expect(two.writes.length).toBeGreaterThan(1)
      expect(two.warnings.toSorted()).toEqual([
        expect.stringMatching(/^Lease gatehouse\/gatehouse-seen-two cannot be written: /),
        expect.stringMatching(/^The Lease gatehouse\/gatehouse cannot be renewed: /),
      ])
      cut.off = false
      await until(async () => (await enforced()) === 'Enforced', said, 20_000)
      expect(two.warnings.length).toBe(2)
      await api.request('DELETE', path)
    }, 60_000)

    it('DEP-19 goes with its Service: the garbage collector leaves nothing', async () => {
      const { ca } = authority()
      const replica = await begin({ options: { admits }, tls: () => ({ ca, hostname: 'gatehouse.gatehouse.svc' }) })
      await stand(grants, ['gatehouse-routes-shop'])
      await stand(`${group}/v1/namespaces/gatehouse/backendtlspolicies`, ['gatehouse'])
      await until(async () => (await names('/api/v1/namespaces/gatehouse/configmaps')).includes('gatehouse-ca'), said)
      await stand('/apis/coordination.k8s.io/v1/namespaces/gatehouse/leases', ['gatehouse'])
      await quiet()
      await replica.close()
      replicas = []
      await api.request('DELETE', '/api/v1/namespaces/gatehouse/services/gatehouse')
      await stand(grants, [], 20_000)
      await stand(`${group}/v1/namespaces/gatehouse/backendtlspolicies`, [], 20_000)
      await until(async () => !(await names('/api/v1/namespaces/gatehouse/configmaps')).includes('gatehouse-ca'), said)
      await stand('/apis/coordination.k8s.io/v1/namespaces/gatehouse/leases', [], 20_000)
      await api.apply(service())
    }, 60_000)

    it('lives through the deletion of a namespace with routes and policies in it', async () => {
      const replica = await begin({ options: { admits } })
      await api.apply(
        namespace('gone', admitted),
        gateway('edge', 'gone'),
        route('cart', 'gone'),
        policy('pay', 'gone'),
      )
      await stand(grants, ['gatehouse-routes-gone', 'gatehouse-routes-shop'])
      await api.request('DELETE', '/api/v1/namespaces/gone')
      await stand(grants, ['gatehouse-routes-shop'], 20_000)
      await until(async () => (await api.request('GET', '/api/v1/namespaces/gone')).status === 404, said, 20_000)
      expect(replica.warnings).toEqual([])
    }, 60_000)
  })
}

/** A client whose calls fail while it is cut off, as when the network is. */
const cutting =
  (cut: { off: boolean }) =>
  (client: KubeClient): KubeClient => {
    const through = <Arguments extends unknown[], Answer>(call: (...given: Arguments) => Promise<Answer>) =>
      cut.off
        ? () => Promise.reject(new KubeError(0, 'ECONNREFUSED', 'no answer from the API server (ECONNREFUSED)'))
        : call
    return {
      ...client,
      get: (...given) => through(client.get)(...given),
      apply: (...given) => through(client.apply)(...given),
      create: (...given) => through(client.create)(...given),
      update: (...given) => through(client.update)(...given),
      remove: (...given) => through(client.remove)(...given),
    }
  }
