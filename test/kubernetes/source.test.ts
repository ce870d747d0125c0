import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KubeObject } from '../../src/kubernetes/kube-object.ts'
import { watchedKinds } from '../../src/kubernetes/resources.ts'
import { apiServer, describeOnKubernetes } from '../support/api-server.ts'
import type { ApiServer } from '../support/api-server.ts'
import {
  authPolicyDefinition,
  bindingOf,
  configMaps,
  readerRole,
  serviceAccountToken,
} from '../support/kube-objects.ts'
import { follow } from '../support/kube-source.ts'
import type { Following } from '../support/kube-source.ts'
import { until } from '../support/program.ts'

const namespace = (name: string) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })

const labelled = { 'gatehouse.dev/credentials': 'true' }

const secret = (name: string, labels: object, value = 'one', at = 'shop') => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { namespace: at, name, labels },
  stringData: { key: value },
})

const route = (name: string, at = 'shop') => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { namespace: at, name },
  spec: { parentRefs: [{ name: 'edge' }], rules: [{ name: 'all' }] },
})

const valueOf = (following: Following, name: string): string | undefined => {
  const found = following.of('Secret').find((one) => one.name === name)?.object as KubeObject | undefined
  const { key } = (found?.['data'] ?? {}) as { key?: string }
  return key === undefined ? undefined : Buffer.from(key, 'base64').toString()
}

await describeOnKubernetes('a cluster as a source', () => {
  let api: ApiServer
  const open: Following[] = []
  const following = (...args: Parameters<typeof follow>): Following => {
    const one = follow(...args)
    open.push(one)
    return one
  }

  beforeAll(async () => {
    api = await apiServer({ crds: 'v1.4.1' })
    await api.apply(namespace('shop'), namespace('bank'), namespace('crowd'))
  })
  afterAll(async () => {
    await Promise.all(open.map((one) => one.close()))
    await api.stop()
  })

  describe('the first state', () => {
    it('is whole: every kind that exists, and by name each that does not', async () => {
      await api.apply(route('cart'), secret('users', labelled))
      const it = following(api)
      await it.started
      expect(it.names('HTTPRoute')).toEqual(['shop/cart'])
      expect(it.names('Secret')).toEqual(['shop/users'])
      expect(it.names('Namespace')).toContain('/shop')
      expect(it.names('Service')).toContain('default/kubernetes')
      expect(it.latest().problems).toMatchObject([
        { code: 'missing-crd', severity: 'error', say: expect.stringContaining('AuthPolicy') as string },
        // ListenerSets came with a later version of the Gateway API than this one.
        { code: 'missing-crd', severity: 'note', say: expect.stringContaining('ListenerSet') as string },
      ])
      expect(it.latest().problems[0]?.mend).toContain('gatehouse crd')
    })

    it('has the kind and version that lists leave out, and nothing that nobody reads', async () => {
      await api.apply({
        apiVersion: 'gateway.networking.k8s.io/v1beta1',
        kind: 'ReferenceGrant',
        metadata: {
          namespace: 'shop',
          name: 'grant',
          annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}', mine: 'kept' },
        },
        spec: { from: [{ group: '', kind: 'Service', namespace: 'bank' }], to: [{ group: '', kind: 'Service' }] },
      })
      const it = following(api)
      await it.started
      const [grant] = it.of('ReferenceGrant')
      // Of v1.4.1 there is no other version.
      expect(grant).toMatchObject({ apiVersion: 'gateway.networking.k8s.io/v1beta1', kind: 'ReferenceGrant' })
      const metadata = (grant?.object as KubeObject | undefined)?.metadata
      expect(metadata?.annotations).toEqual({ mine: 'kept' })
      expect(metadata?.['managedFields']).toBeUndefined()
      expect(metadata?.uid).toMatch(/^[0-9a-f-]{36}$/)
    })

    it('of 1,500 objects, more than a page holds, shows each of them once', async () => {
      const made = configMaps('crowd', 1500)
      for (let at = 0; at < made.length; at += 50)
        await Promise.all(
          made.slice(at, at + 50).map((one) => api.request('POST', '/api/v1/namespaces/crowd/configmaps', one)),
        )
      const it = following(api, { namespaces: ['crowd'] })
      await it.started
      expect(it.names('ConfigMap')).toHaveLength(1500)
      expect(new Set(it.names('ConfigMap')).size).toBe(1500)
      await api.request('DELETE', '/api/v1/namespaces/crowd/configmaps')
      await it.sees((one) => one.names('ConfigMap').length === 0)
    })
  })

  describe('changes', () => {
    it('arrive within a second, and leave every other manifest the same object', async () => {
      const it = following(api)
      await it.started
      const [before] = it.of('Secret')
      await api.apply(route('fresh'))
      await it.sees((one) => one.names('HTTPRoute').includes('shop/fresh'), 1000)
      expect(it.of('Secret')[0]).toBe(before)
      await api.request('DELETE', await api.path(route('fresh')))
      await it.sees((one) => !one.names('HTTPRoute').includes('shop/fresh'), 1000)
    })

    it('REL-14 delete and create under one name at once end at the new object', async () => {
      const it = following(api)
      await it.started
      let uid: string | undefined
      for (let round = 0; round < 20; round += 1) {
        await api.request('DELETE', await api.path(route('phoenix')))
        const [made] = await api.apply(route('phoenix'))
        uid = made?.metadata.uid
      }
      const seen = (one: Following): string | undefined =>
        (one.of('HTTPRoute').find(({ name }) => name === 'phoenix')?.object as KubeObject | undefined)?.metadata.uid
      await it.sees((one) => seen(one) === uid)
      await new Promise((done) => setTimeout(done, 300))
      expect(seen(it)).toBe(uid)
    })

    it('3,000 quick edits end at the last one, told in few states', async () => {
      const it = following(api)
      await it.started
      const count = it.states.length
      const path = await api.path(secret('busy', labelled))
      await api.apply(secret('busy', labelled))
      const edit = (value: string) =>
        api.request('PATCH', path, { stringData: { key: value } }, 'application/merge-patch+json')
      const began = performance.now()
      for (let at = 0; at < 3000; at += 20)
        await Promise.all(Array.from({ length: 20 }, (_, more) => edit(`edit-${at + more}`)))
      await edit('last')
      await it.sees((one) => valueOf(one, 'busy') === 'last', 2000)
      const seconds = (performance.now() - began) / 1000
      // One state in 500 ms while it goes on, and a few around it.
      expect(it.states.length - count).toBeLessThan(2 * seconds + 6)
    }, 120_000)

    it('REL-26 a Secret rotated 100 times is never seen older than it was, and new within 5 s', async () => {
      await api.apply(secret('rotated', labelled, '0'))
      const it = following(api)
      await it.started
      for (let at = 1; at <= 100; at += 1) await api.apply(secret('rotated', labelled, String(at)))
      await it.sees((one) => valueOf(one, 'rotated') === '100')
      const values = it.states.flatMap((state) => {
        const found = state.manifests.find(({ name }) => name === 'rotated')?.object as KubeObject | undefined
        const { key = '' } = (found?.['data'] ?? {}) as { key?: string }
        return key === '' ? [] : [Number(Buffer.from(key, 'base64').toString())]
      })
      expect(values).toEqual(values.toSorted((one, other) => one - other))
    })
  })

  describe('what it reads', () => {
    it('CFG-21 only labelled Secrets and ConfigMaps, and none whose label is taken away', async () => {
      const it = following(api)
      await it.started
      await api.apply(
        secret('ours', labelled),
        secret('theirs', { app: 'x' }),
        secret('off', { 'gatehouse.dev/credentials': 'false' }),
      )
      await it.sees((one) => one.names('Secret').includes('shop/ours'))
      expect(it.names('Secret')).not.toContain('shop/theirs')
      expect(it.names('Secret')).not.toContain('shop/off')
      const path = await api.path(secret('ours', labelled))
      await api.request('PATCH', path, { metadata: { labels: null } }, 'application/merge-patch+json')
      await it.sees((one) => !one.names('Secret').includes('shop/ours'))
    })

    it('CFG-21 only what is in the namespaces that it was given', async () => {
      await api.apply(
        secret('mine', labelled, 'x', 'bank'),
        secret('yours', labelled),
        route('here', 'bank'),
        route('there'),
      )
      const it = following(api, { namespaces: ['bank'] })
      await it.started
      expect(it.names('Secret')).toEqual(['bank/mine'])
      expect(it.names('HTTPRoute')).toEqual(['bank/here'])
      await api.apply(route('later', 'bank'), route('elsewhere'))
      await it.sees((one) => one.names('HTTPRoute').includes('bank/later'))
      expect(it.names('HTTPRoute')).toEqual(['bank/here', 'bank/later'])
    })
  })

  describe('permissions', () => {
    it('that are missing are named while the rest works, and are used within 30 s of being given', async () => {
      const token = await serviceAccountToken(api, 'default', 'reader')
      const all = watchedKinds.filter(({ kind }) => kind !== 'AuthPolicy')
      const some = all.filter(({ kind }) => kind !== 'Secret')
      await api.apply(readerRole('reader', some), bindingOf('reader', 'default', 'reader'))
      const it = following({ ...api, token })
      await it.started
      expect(it.names('HTTPRoute')).toContain('shop/cart')
      expect(it.names('Secret')).toEqual([])
      const denied = it.latest().problems.find(({ code }) => code === 'missing-permission')
      // The one for AuthPolicy, which the cluster does not even have, says the same.
      expect(
        it
          .latest()
          .problems.map(({ say }) => say)
          .join(),
      ).toContain('may not list and watch Secret objects')
      expect(denied?.mend).toMatch(/get, list and watch/)
      await api.apply(readerRole('reader', all))
      const began = performance.now()
      await it.sees((one) => one.names('Secret').includes('shop/users'), 10_000)
      expect(performance.now() - began).toBeLessThan(5500)
      expect(
        it
          .latest()
          .problems.map(({ say }) => say)
          .join(),
      ).not.toContain('Secret')

      // REL-12: cut again, the last good state stays, also through a relist of everything else.
      await api.apply(readerRole('reader', some))
      await api.apply(secret('unseen', labelled))
      await api.apply(route('seen'))
      await it.sees((one) => one.names('HTTPRoute').includes('shop/seen'))
      expect(it.names('Secret')).toContain('shop/users')
    }, 40_000)

    it('of one namespace are enough for that namespace; what only the cluster has is named', async () => {
      const token = await serviceAccountToken(api, 'bank', 'teller')
      const kinds = watchedKinds.filter(({ namespaced }) => namespaced)
      const role = { ...readerRole('teller', kinds), kind: 'Role', metadata: { namespace: 'bank', name: 'teller' } }
      const binding = bindingOf('teller', 'bank', 'teller')
      await api.apply(secret('vault', labelled, 'x', 'bank'), role, {
        ...binding,
        kind: 'RoleBinding',
        metadata: { namespace: 'bank', name: 'teller' },
        roleRef: { ...binding.roleRef, kind: 'Role' },
      })
      const it = following({ ...api, token }, { namespaces: ['bank'] })
      await it.started
      expect(it.names('Secret')).toContain('bank/vault')
      const refused = it.latest().problems.filter(({ code }) => code === 'missing-permission')
      expect(refused.map(({ severity }) => severity)).toEqual(['warning', 'warning', 'warning'])
      expect(refused.map(({ mend }) => mend?.split(' ').at(-1))).toEqual([
        'gatewayclasses.gateway.networking.k8s.io',
        'namespaces',
        'xmeshes.gateway.networking.x-k8s.io',
      ])
    })
  })

  describe('definitions', () => {
    it('that come late are picked up, and their going takes their objects', async () => {
      const it = following(api, { pace: { probe: 1500 } })
      await it.started
      expect(it.latest().problems.map(({ code }) => code)).toContain('missing-crd')
      await api.apply(authPolicyDefinition)
      const policy = {
        apiVersion: 'gatehouse.dev/v1alpha1',
        kind: 'AuthPolicy',
        metadata: { namespace: 'shop', name: 'cart' },
        spec: {},
      }
      await until(
        async () =>
          (await api.request('POST', await api.path({ ...policy, metadata: { namespace: 'shop' } }), policy)).status ===
          201,
        () => 'no AuthPolicy could be made',
        10_000,
      )
      await it.sees((one) => one.names('AuthPolicy').includes('shop/cart'))
      const missing = (one: Following): boolean =>
        one.latest().problems.some(({ code, severity }) => code === 'missing-crd' && severity === 'error')
      expect(missing(it)).toBe(false)
      await api.request('DELETE', await api.path(authPolicyDefinition))
      await it.sees(missing, 15_000)
      expect(it.names('AuthPolicy')).toEqual([])
      expect(it.names('HTTPRoute')).toContain('shop/cart')
    }, 40_000)
  })

  describe('the client', () => {
    it('has 200 calls under way at once, and is not held to 20 a second', async () => {
      const { client } = following(api)
      const kind = watchedKinds.find((one) => one.kind === 'Namespace')
      if (kind === undefined) throw new Error('no Namespace')
      await client.get(kind, '', 'shop')
      const began = performance.now()
      const found = await Promise.all(Array.from({ length: 200 }, () => client.get(kind, '', 'shop')))
      const millis = performance.now() - began
      expect(found.map((one) => one?.metadata.name)).toEqual(Array.from({ length: 200 }, () => 'shop'))
      // 20 calls a second would take 9 s.
      expect(millis).toBeLessThan(3000)
    })

    it('applies, conflicts, replaces and removes as the server has it', async () => {
      const { client } = following(api)
      const map = (value: string) => ({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { namespace: 'shop', name: 'ours' },
        data: { key: value },
      })
      const kind = watchedKinds.find((one) => one.kind === 'ConfigMap')
      if (kind === undefined) throw new Error('no ConfigMap')
      const made = await client.apply(map('one'), { fieldManager: 'gatehouse' })
      await expect(client.apply(map('two'), { fieldManager: 'other' })).rejects.toMatchObject({ status: 409 })
      const forced = await client.apply(map('two'), { fieldManager: 'other', force: true })
      expect(forced['data']).toEqual({ key: 'two' })
      await expect(client.update(kind, { ...made, data: { key: 'three' } })).rejects.toMatchObject({ status: 409 })
      await client.update(kind, { ...forced, data: { key: 'three' } })
      await expect(client.remove(kind, 'shop', 'ours', { uid: 'another' })).rejects.toMatchObject({ status: 409 })
      await client.remove(kind, 'shop', 'ours', { uid: made.metadata.uid ?? '' })
      await client.remove(kind, 'shop', 'ours')
      expect(await client.get(kind, 'shop', 'ours')).toBeUndefined()
      await expect(client.apply({ ...map('x'), bad: 1 }, { fieldManager: 'gatehouse' })).rejects.toMatchObject({
        status: 500,
      })
    })

    it('tells what the server has of a group', async () => {
      const { client } = following(api)
      const grants = (await client.discover('gateway.networking.k8s.io')).filter(
        ({ kind }) => kind === 'ReferenceGrant',
      )
      expect(grants).toEqual([
        { version: 'v1beta1', kind: 'ReferenceGrant', plural: 'referencegrants', namespaced: true },
      ])
      expect(await client.discover('')).toContainEqual({
        version: 'v1',
        kind: 'Secret',
        plural: 'secrets',
        namespaced: true,
      })
      expect(await client.discover('nobody.example')).toEqual([])
    })
  })
})
