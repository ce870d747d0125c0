import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { valuesOf } from '../support/backend.ts'
import { ada, credential, labels, mark, policy, route, site, staff } from '../support/cluster-manifests.ts'
import { clusterStage, describeCluster } from '../support/cluster-stage.ts'
import type { ClusterStage } from '../support/cluster-stage.ts'
import type { KubeObject } from '../support/kube-client.ts'
import { freePorts, until } from '../support/program.ts'
import { send } from '../support/send.ts'

/*
 * What e2e.test.ts shows in a cluster with the definitions of an old version of the Gateway API, in one with the newest: the same
 * announcement's example, its status, and what only this version has, listeners that a ListenerSet adds to a Gateway.
 */

await describeCluster('a cluster with Gateway API v1.7.0, end to end', suite)

interface Told extends KubeObject {
  readonly status?: {
    readonly ancestors?: readonly {
      readonly ancestorRef: { readonly kind: string; readonly namespace?: string; readonly name: string }
      readonly conditions: readonly { readonly type: string; readonly status: string; readonly message: string }[]
    }[]
  }
}

function suite(): void {
  let stage: ClusterStage

  beforeAll(async () => {
    stage = await clusterStage({ crds: 'v1.7.0', flags: ['--grant-namespaces=gatehouse.dev/routes=yes'] })
  }, 240_000)

  afterAll(() => stage?.close(), 60_000)

  /** `Gateway default/edge Enforced=True`, for each condition of each ancestor. */
  async function told(object: KubeObject): Promise<readonly string[]> {
    const { status } = (await stage.api.request<Told>('GET', await stage.api.path(object))).body
    return (status?.ancestors ?? []).flatMap(({ ancestorRef: { kind, namespace = '', name }, conditions }) =>
      conditions.map((one) => `${kind} ${namespace}/${name} ${one.type}=${one.status}`),
    )
  }
  /** With requests meanwhile: those from before a change was looked at prove nothing of what it left. */
  async function tells(object: KubeObject, expected: string, request?: () => Promise<unknown>): Promise<void> {
    let last: readonly string[] = []
    await until(
      async () => {
        await request?.()
        return (last = await told(object)).includes(expected)
      },
      () => `${last.join('\n')}\n${stage.gate.output().slice(-2000)}`,
      10_000,
    )
  }

  it('follows every kind, ListenerSets among them, and misses no permission', () => {
    expect(stage.gate.output()).toContain('Gatehouse is serving the cluster')
    expect(stage.gate.output()).not.toMatch(/missing-crd|missing-permission|api-unreachable/)
  })

  describe("the announcement's require-auth, with the list that it lacks", () => {
    const root = credential('root', 'analytical-engine')

    beforeAll(async () => {
      const scenario = readFileSync(resolve(import.meta.dirname, '../../policies/require-auth/policy.yaml'), 'utf8')
      const [admins, credentials] = parseAllDocuments(scenario)
        .map((one) => one.toJS() as KubeObject)
        .slice(1)
      const rules = [{ path: '/admin', ask: { port: stage.ports.matching } }]
      const { spec } = route('default', 'require-auth', 'admin.test', rules)
      await stage.api.apply(
        { ...route('default', 'require-auth', 'admin.test', []), spec },
        {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { namespace: 'default', name: 'site' },
          spec: { ports: [{ port: 80, targetPort: stage.backend.port }] },
        },
        admins ?? {},
        { ...credentials, metadata: { ...credentials?.metadata, labels } },
      )
      await stage.gateway.caughtUp()
      await stage.becomes(200, { path: '/admin/users', host: 'admin.test', headers: [root] })
    })

    it('lets in who knows the password, body and all, and nobody else', async () => {
      const here = { path: '/admin/form', host: 'admin.test' }
      await stage.ask({ ...here, method: 'POST', body: 'two lamps', headers: [root, ['X-User', 'spoofed']] })
      expect(stage.backend.seen.at(-1)).toMatchObject({ url: '/admin/form', body: 'two lamps' })
      expect(valuesOf(stage.backend.seen.at(-1), 'x-user')).toEqual(['root'])
      expect(await stage.judged({ ...here, headers: [mark] })).toEqual([403, 'no-credential'])
      expect(await stage.judged({ ...here, headers: [mark, credential('root', 'guess')] })).toEqual([
        403,
        'bad-credential',
      ])
    })

    it('is shown as enforced', async () => {
      const admins = {
        apiVersion: 'gatehouse.dev/v1alpha1',
        kind: 'AuthPolicy',
        metadata: { namespace: 'default', name: 'admins' },
      }
      for (const one of ['Accepted', 'ResolvedRefs', 'Enforced'])
        await tells(admins, `Gateway default/your-gateway-here ${one}=True`, () =>
          stage.ask({ path: '/admin', host: 'admin.test', headers: [mark] }),
        )
    })
  })

  it('grants in the version that the server has', async () => {
    const { body } = await stage.api.request<{ readonly preferredVersion?: { readonly version: string } }>(
      'GET',
      '/apis/gateway.networking.k8s.io',
    )
    expect(body.preferredVersion?.version).toBe('v1')
    const admitted = {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'let-in', labels: { 'gatehouse.dev/routes': 'yes' } },
    }
    const rest = site('let-in', stage.backend.port).filter(
      ({ kind }) => kind !== 'ReferenceGrant' && kind !== 'Namespace',
    )
    await stage.api.apply(
      admitted,
      ...rest,
      route('let-in', 'site', 'let-in.test', [{ name: 'all', ask: { port: stage.ports.matching } }]),
      policy('let-in', 'site', 'site', 'all', staff),
    )
    await stage.becomes(200, { path: '/', host: 'let-in.test', headers: [ada] }, 10_000)
  })

  describe('a route of a ListenerSet', () => {
    const host = 'cart.set.test'
    const own = policy('team', 'cart', 'cart', 'pay', staff)
    let port = 0
    const ask = (path: string, headers: readonly (readonly [string, string])[], at = host) =>
      send({ port, path, host: at, headers })
    const set = () => ({
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'ListenerSet',
      metadata: { namespace: 'team', name: 'more' },
      spec: {
        parentRef: { namespace: 'default', name: 'your-gateway-here' },
        listeners: [{ name: 'extra', protocol: 'HTTP', port, hostname: '*.set.test' }],
      },
    })
    const takes = async (from: 'All' | 'None'): Promise<void> => {
      const path = '/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways/your-gateway-here'
      const change = { spec: { allowedListeners: { namespaces: { from } } } }
      expect((await stage.api.request('PATCH', path, change, 'application/merge-patch+json')).status).toBe(200)
      await stage.gateway.caughtUp()
    }
    const becomes = (status: number, at = host): Promise<void> => {
      let got = 0
      return until(
        async () =>
          (got = await ask('/pay', [ada], at).then(
            (one) => one.status,
            () => 0,
          )) === status,
        () => `it stays ${got}, not ${status}: ${stage.gate.output().slice(-1500)}`,
        10_000,
      )
    }

    beforeAll(async () => {
      ;[port = 0] = await freePorts(1)
      const cart = route('team', 'cart', host, [
        { name: 'pay', path: '/pay', ask: { port: stage.ports.http, path: '/v1/check/team/cart/pay/-' } },
        { name: 'matched', path: '/matched', ask: { port: stage.ports.matching } },
      ])
      const parentRefs = [{ group: 'gateway.networking.k8s.io', kind: 'ListenerSet', name: 'more' }]
      await stage.api.apply(
        ...site('team', stage.backend.port),
        set(),
        { ...cart, spec: { ...cart.spec, parentRefs, hostnames: [host, 'cart.elsewhere.test'] } },
        own,
        policy('team', 'rest', 'cart', 'matched', staff),
      )
      await takes('All')
      await becomes(200)
    })

    it.each(['/pay', '/matched'])('is checked like any other: %s', async (path) => {
      expect((await ask(path, [ada])).status).toBe(200)
      expect((await ask(path, [mark])).status).toBe(403)
    })

    it('is known to be served under the hosts of the set only', async () => {
      const key = '/v1/check/team/cart/pay/-/pay'
      const direct = (at: string) => stage.judged({ port: stage.ports.http, path: key, host: at, headers: [mark, ada] })
      expect(await direct(host)).toEqual([200, 'allow'])
      expect(await direct('cart.elsewhere.test')).toEqual([403, 'identity-mismatch'])
    })

    it('has its status told of the Gateway that the set belongs to', async () => {
      await tells(own, 'Gateway default/your-gateway-here Enforced=True', () => ask('/pay', [mark]))
      expect((await told(own)).filter((one) => !one.startsWith('Gateway default/your-gateway-here'))).toEqual([])
    })

    it('comes under a policy of the Gateway that overrides', async () => {
      const gateway = { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'your-gateway-here' }
      const over = {
        ...policy('default', 'over', '', undefined, {}),
        spec: {
          targetRefs: [gateway],
          strategy: 'Overrides',
          guest: { subject: 'nobody' },
          authorization: [{ cel: "request.method == 'PURGE'" }],
        },
      }
      await stage.api.apply(over)
      await becomes(403)
      await tells(own, 'Gateway default/your-gateway-here Enforced=False')
      await stage.remove(over)
      await becomes(200)
    })

    it('is refused under its hosts once the Gateway does not take the set any more', async () => {
      const key = { port: stage.ports.http, path: '/v1/check/team/cart/pay/-/pay', host, headers: [mark, ada] }
      await takes('None')
      await until(
        async () => (await send(key)).status === 403,
        () => 'still served',
      )
      await takes('All')
      await becomes(200)
    })
  })

  it('let no stranger in, all the time', () => expect(stage.strangers()).toEqual([]))
}
