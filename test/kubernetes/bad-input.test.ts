import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { crdYaml } from '../../src/command/crd.ts'
import { writtenAncestors } from '../../src/registration/written-ancestors.ts'
import { apiServer, describeOnKubernetes } from '../support/api-server.ts'
import type { ApiServer } from '../support/api-server.ts'
import { clusterGatehouse, clusterPorts } from '../support/cluster-gatehouse.ts'
import type { ClusterGatehouse } from '../support/cluster-gatehouse.ts'
import { ada, authServiceAt, gatewayAt, labels, policy, route, site, staff } from '../support/cluster-manifests.ts'
import { authPolicyDefinition, bindingOf, serviceAccountToken } from '../support/kube-objects.ts'
import { until } from '../support/program.ts'
import { registered } from '../support/registered.ts'
import type { Registered } from '../support/registered.ts'
import { acceptance, gateway, namespace, policy as pay, route as cart, service } from '../support/registered-world.ts'
import { send } from '../support/send.ts'

/*
 * What a cluster may hold and do that it should not: objects of strange shape and size, credentials that are taken back, clocks
 * that are wrong. None of it stops Gatehouse, makes it let anybody in, or goes unnamed.
 */

const megabyte = 1_000_000

const anyPolicy = {
  ...authPolicyDefinition,
  spec: {
    ...authPolicyDefinition.spec,
    versions: authPolicyDefinition.spec.versions.map((one) => ({ ...one, subresources: { status: {} } })),
  },
}

await describeOnKubernetes('objects of strange shape, and a credential that is taken back', () => {
  let api: ApiServer
  let gate: ClusterGatehouse
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bad-'))
  const tokenFile = join(folder, 'token')
  const kubeconfig = join(folder, 'kubeconfig')
  const refused: string[] = []

  beforeAll(async () => {
    api = await apiServer({ crds: 'v1.7.0' })
    const ports = await clusterPorts()
    const rules = ['one', 'two'].map((name) => ({
      name,
      path: `/${name}`,
      ask: { port: ports.http, path: `/v1/check/good/site/${name}/-` },
    }))
    await api.apply(
      // A definition that takes anything, as one of an older or newer version may.
      anyPolicy,
      ...gatewayAt(8080),
      authServiceAt(ports),
      ...site('good', 8081),
      route('good', 'site', 'good.test', rules),
      namespace('bad'),
      { ...bindingOf('cluster-admin', 'good', 'gatehouse'), metadata: { name: 'gatehouse-test' } },
    )
    await create(policy('good', 'site', 'site', 'one', staff))
    writeFileSync(tokenFile, await serviceAccountToken(api, 'good', 'gatehouse'))
    const cluster = { server: api.server, 'certificate-authority-data': Buffer.from(api.ca).toString('base64') }
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster }],
      users: [{ name: 'gatehouse', user: { 'auth-provider': { name: 'tokenFile', config: { tokenFile } } } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'gatehouse' } }],
      'current-context': 'test',
    }
    writeFileSync(kubeconfig, stringify(config))
    gate = await clusterGatehouse({ kubeconfig, service: 'default/auth-service', ports })
    await until(async () => (await answers())[0] === 200, gate.output)
  }, 240_000)

  afterAll(async () => {
    await gate?.stop()
    await api?.stop()
    rmSync(folder, { recursive: true, force: true })
  }, 60_000)

  /** Puts an object there as it is; what the API server refuses is no matter of ours, and is noted. */
  async function create(object: Parameters<ApiServer['path']>[0] & { readonly metadata: { readonly name: string } }) {
    const { apiVersion, kind, metadata } = object
    await until(
      async () => {
        const { namespace: at, name } = { namespace: '', ...metadata }
        const path = await api.path({ apiVersion, kind, metadata: { namespace: at } })
        const { status } = await api.request('POST', path, object)
        if (status >= 400 && status !== 404 && status !== 409) refused.push(`${kind} ${name} ${status}`)
        return status !== 404
      },
      () => 'the definition is not served',
    )
  }
  /** What a gateway hears for the good rule: with ada's password, and without. */
  const answers = async (): Promise<readonly number[]> => {
    const asked = { port: gate.ports.http, path: '/v1/check/good/site/one/-/one', host: 'good.test' }
    return [(await send({ ...asked, headers: [ada] })).status, (await send(asked)).status]
  }
  const strange = (name: string, spec: unknown) => ({
    apiVersion: 'gatehouse.dev/v1alpha1',
    kind: 'AuthPolicy',
    metadata: { namespace: 'bad', name },
    ...(spec === undefined ? {} : { spec }),
  })
  const target = { group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: 'wide' }
  const specs: Readonly<Record<string, unknown>> = {
    'no-spec': undefined,
    'null-spec': null,
    'text-spec': 'authentication',
    'list-spec': [],
    'null-fields': { targetRefs: null, authentication: null, authorization: null, response: null, guest: null },
    'null-members': { targetRefs: [null], authentication: [null, { basic: null }], authorization: [null] },
    'long-strings': {
      targetRefs: [target],
      authentication: [{ basic: { realm: 'x'.repeat(megabyte), usersRef: { name: 'users', key: 'k' } } }],
    },
    'long-cel': { targetRefs: [target], guest: { subject: 'x' }, authorization: [{ cel: '('.repeat(megabyte) }] },
    'long-keys': { ['x'.repeat(megabyte)]: 1, targetRefs: [target] },
    'many-targets': { targetRefs: Array.from({ length: 10_000 }, () => target), guest: { subject: 'x' } },
    'many-rules': {
      targetRefs: [target],
      guest: { subject: 'x' },
      authorization: Array.from({ length: 10_000 }, (_, at) => ({ cel: `request.path == '/${at}'` })),
    },
    'many-keys': {
      targetRefs: [target],
      ...Object.fromEntries(Array.from({ length: 10_000 }, (_, at) => [`key-${at}`, 1])),
    },
    deep: { targetRefs: [target], guest: nested(90) },
    prototypes: parse('{ targetRefs: [{ __proto__: { name: x } }], constructor: { prototype: 1 }, toString: 2 }'),
  }

  it(
    'strange AuthPolicies are named in their status with bounded words, and leave the others alone',
    { timeout: 90_000 },
    async () => {
      for (const [name, spec] of Object.entries(specs)) await create(strange(name, spec))
      const before = await memory(gate)
      for (const name of Object.keys(specs)) {
        if (refused.some((one) => one.includes(` ${name} `))) continue
        const path = await api.path(strange(name, undefined))
        let said = ''
        await until(
          async () => {
            const ancestors = writtenAncestors((await api.request('GET', path)).body)
            const conditions = ancestors.flatMap((one) => one.conditions)
            said = conditions.map(({ type, status, message }) => `${type}=${status} ${message}`).join('\n')
            return conditions.some(({ type, status }) => type === 'Accepted' && status === 'False')
          },
          () => `${name}: ${said.slice(0, 500)}\n${gate.output().slice(-2000)}`,
          20_000,
        )
        expect(said.length).toBeLessThan(20_000)
      }
      expect(await answers()).toEqual([200, 403])
      expect((await memory(gate)) - before).toBeLessThan(400)
      for (const line of gate.output().split('\n')) expect(line.length).toBeLessThan(20_000)
      // The API server itself keeps little from us.
      expect(refused.length).toBeLessThan(Object.keys(specs).length / 3)
    },
  )

  it(
    'the widest routes, Gateways and data that the API takes are read, and the good rule answers on',
    { timeout: 90_000 },
    async () => {
      const value = (at: number) => `/${at}/${'x'.repeat(1000)}`
      const wide = (name: string) => ({
        ...route('bad', name, 'wide.test', []),
        spec: {
          parentRefs: [{ name: 'your-gateway-here', namespace: 'default' }],
          hostnames: Array.from({ length: 16 }, (_, at) => `h${at}.wide.test`),
          rules: Array.from({ length: 2 }, (_, rule) => ({
            matches: Array.from({ length: 64 }, (__, at) => ({
              path: { type: 'PathPrefix', value: value(rule * 64 + at) },
              headers: Array.from({ length: 16 }, (___, header) => ({ name: `x-${header}`, value: 'v'.repeat(500) })),
            })),
            backendRefs: [{ name: 'site', port: 80 }],
          })),
        },
      })
      const listeners = Array.from({ length: 64 }, (_, at) => ({ name: `l${at}`, port: 1000 + at, protocol: 'HTTP' }))
      const data = (kind: 'Secret' | 'ConfigMap', name: string, more: object) =>
        create({ apiVersion: 'v1', kind, metadata: { namespace: 'bad', name, labels }, ...more } as never)
      for (const name of ['wide', 'wider', 'widest']) await create(wide(name))
      await create({ ...gateway('wide', 'bad'), spec: { gatewayClassName: 'any', listeners } } as never)
      await data('Secret', 'huge', { data: { key: Buffer.alloc(megabyte * 0.7, 65).toString('base64') } })
      await data('Secret', 'empty', { data: null })
      await data('ConfigMap', 'huge', { data: { key: 'x'.repeat(megabyte) } })
      await data('ConfigMap', 'binary', {
        binaryData: { key: Buffer.alloc(1000).toString('base64') },
        data: { '': 'x' },
      })
      await create(policy('good', 'two', 'site', 'two', staff))
      const two = { port: gate.ports.http, path: '/v1/check/good/site/two/-/two', host: 'good.test', headers: [ada] }
      await until(async () => (await send(two)).status === 200, gate.output, 10_000)
      expect(await answers()).toEqual([200, 403])
      expect(await gate.ready()).toBe(true)
    },
  )

  it(
    'REL-12 a token that is not taken any more is told once, tried again ever more rarely, and decisions go on',
    { timeout: 120_000 },
    async () => {
      const from = gate.output().length
      const said = (): readonly string[] =>
        gate
          .output()
          .slice(from)
          .split('\n')
          .filter((line) => /Unauthorized|401/.test(line) && !line.startsWith('{'))
      await api.request('DELETE', '/api/v1/namespaces/good/serviceaccounts/gatehouse')
      await until(() => said().length > 0, gate.output, 40_000)
      // Watches that are open still tell of it, and its status cannot be written however often that is tried.
      const three = policy('good', 'three', 'site', 'three', staff)
      await create(three)
      await until(() => said().some((line) => line.includes('cannot be written')), gate.output, 20_000)
      // Each change makes a round, and in most rounds what failed only waits for its turn.
      for (let change = 0; change < 20; change += 1) {
        const body = { metadata: { annotations: { change: `${change}` } } }
        await api.request('PATCH', await api.path(three), body, 'application/merge-patch+json')
        await new Promise((done) => setTimeout(done, 400))
      }
      expect(await answers()).toEqual([200, 403])
      expect(await gate.ready()).toBe(true)
      // One sentence for the Lease, one for what is written.
      const sentences = said().map((line) => line.replace(/^.*?(?=The Lease|AuthPolicy)/, ''))
      expect(sentences.toSorted()).toEqual([
        expect.stringMatching(/^AuthPolicy .* cannot be written: Unauthorized/),
        expect.stringMatching(/^The Lease .* cannot be renewed: Unauthorized/),
      ])
      writeFileSync(tokenFile, await serviceAccountToken(api, 'good', 'gatehouse'))
      await api.request('DELETE', await api.path(policy('good', 'two', 'site', 'two', staff)))
      const two = { port: gate.ports.http, path: '/v1/check/good/site/two/-/two', host: 'good.test', headers: [ada] }
      await until(async () => (await send(two)).status === 403, gate.output, 60_000)
      expect(await answers()).toEqual([200, 403])
    },
  )
})

await describeOnKubernetes('clocks that are wrong', () => {
  let api: ApiServer
  let replicas: Registered[] = []

  beforeAll(async () => {
    api = await apiServer({ crds: 'v1.7.0' })
    await api.apply(crdYaml(), namespace('gatehouse'), namespace('shop'), service(), gateway(), cart())
    const path = '/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/cart/status'
    await api.request('PATCH', path, acceptance(), 'application/merge-patch+json')
  }, 240_000)
  afterAll(() => api?.stop())
  afterEach(async () => {
    await Promise.all(replicas.map((one) => one.close()))
    replicas = []
  })

  describe.each([
    ['an hour behind', -3_600_000],
    ['a day ahead', 24 * 3_600_000],
  ] as const)('one %s', (_, skew) => {
    it(
      'neither takes the Lease from the other, nor is it taken from it, nor are statuses written over and over',
      { timeout: 60_000 },
      async () => {
        const said = (): string => replicas.flatMap(({ warnings, writes }) => [...warnings, ...writes]).join('\n')
        const one = await registered(api, { identity: 'one', skew })
        replicas.push(one)
        await until(one.lease.held, said)
        const two = await registered(api, { identity: 'two' })
        replicas.push(two)
        await api.apply(pay())
        const path = '/apis/gatehouse.dev/v1alpha1/namespaces/shop/authpolicies/pay'
        const enforced = async (): Promise<string> => {
          const [first] = writtenAncestors((await api.request('GET', path)).body)
          return first?.conditions.find(({ type }) => type === 'Enforced')?.status ?? ''
        }
        await until(async () => (await enforced()) === 'Unknown', said)
        // Longer than the Lease lasts.
        for (let at = 0; at < 45; at += 1) {
          expect([one.lease.held(), two.lease.held()]).toEqual([true, false])
          await new Promise((done) => setTimeout(done, 100))
        }
        two.evidence.seen('shop/cart/pay', Date.now())
        await until(async () => (await enforced()) === 'True', said, 12_000)
        const writes = one.writes.length
        await one.close()
        await until(two.lease.held, said)
        await new Promise((done) => setTimeout(done, 1500))
        // The other one inherits what was proved, whatever time it was proved at.
        expect(await enforced()).toBe('True')
        expect(writes).toBeLessThanOrEqual(4)
        expect(two.writes.filter((text) => text.startsWith('apply status'))).toEqual([])
        await api.request('DELETE', path)
      },
    )
  })
})

function nested(depth: number): unknown {
  return depth === 0 ? 'x' : { more: nested(depth - 1) }
}

/** Resident MiB. */
async function memory({ metrics }: ClusterGatehouse): Promise<number> {
  const line = (await metrics()).split('\n').find((one) => one.startsWith('process_resident_memory_bytes'))
  return Number(line?.split(' ')[1] ?? 0) / 1024 / 1024
}
