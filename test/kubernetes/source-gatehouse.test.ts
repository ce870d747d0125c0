import { readFile } from 'node:fs/promises'
import { request } from 'undici'
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { startGatehouse } from '../../src/gatehouse.ts'
import type { Running, State } from '../../src/gatehouse.ts'
import { createKubeClient } from '../../src/kubernetes/client.ts'
import { createMetrics } from '../../src/metrics.ts'
import { createServices } from '../../src/services.ts'
import { defaultSettings } from '../../src/settings.ts'
import { createKubernetesSource } from '../../src/source/kubernetes.ts'
import { apiProxy } from '../support/api-proxy.ts'
import type { ApiProxy } from '../support/api-proxy.ts'
import { apiServer, describeOnKubernetes } from '../support/api-server.ts'
import type { ApiServer } from '../support/api-server.ts'
import { authPolicyDefinition } from '../support/kube-objects.ts'
import { configOf } from '../support/kube-source.ts'
import { until } from '../support/program.ts'

const anyPort = { kind: 'on', host: '127.0.0.1', port: 0 } as const
const us = { namespace: 'gatehouse', name: 'gatehouse', ports: { grpc: 9001, http: 9002, matching: 9003 } }

const acme = 'gh_LEmIm6xA6Mw_wTe5Gmjvg5GRTPwMz_H4'

/** A route whose one rule asks us with its key. */
const route = (name: string) => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { namespace: 'partners', name },
  spec: {
    parentRefs: [{ name: 'edge' }],
    hostnames: ['feed.example.com'],
    rules: [
      {
        name: 'pull',
        filters: [
          {
            type: 'ExternalAuth',
            externalAuth: {
              protocol: 'HTTP',
              backendRef: { name: us.name, namespace: us.namespace, port: us.ports.http },
              http: { path: `/v1/check/partners/${name}/pull/-`, allowedResponseHeaders: ['x-partner'] },
            },
          },
        ],
      },
    ],
  },
})

interface Policy {
  readonly kind: string
  readonly metadata: Record<string, unknown>
  readonly spec: { readonly [field: string]: unknown }
}

/** The example policy and its keys, as a cluster has them. */
async function example(): Promise<readonly [Policy, Policy]> {
  const text = await readFile('policies/api-keys/policy.yaml', 'utf8')
  const objects = parseAllDocuments(text).map((document) => document.toJS() as Policy)
  const policy = objects.find(({ kind }) => kind === 'AuthPolicy')
  const keys = objects.find(({ kind }) => kind === 'Secret')
  if (policy === undefined || keys === undefined) throw new Error('the example has changed')
  const labels = { ...(keys.metadata['labels'] as object), 'gatehouse.dev/credentials': 'true' }
  return [policy, { ...keys, metadata: { ...keys.metadata, labels } }]
}

await describeOnKubernetes('Gatehouse on a cluster that fails', () => {
  let api: ApiServer
  let proxy: ApiProxy
  let policy: Policy
  let close: () => Promise<void> = () => Promise.resolve()

  beforeAll(async () => {
    api = await apiServer({ crds: 'v1.4.1' })
    const [authPolicy, keys] = await example()
    policy = authPolicy
    await api.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'partners' } }, authPolicyDefinition)
    await api.apply(route('feed'), route('other'), keys, policy)
  })
  afterAll(() => api.stop())
  beforeEach(async () => {
    proxy = await apiProxy(api)
  })
  afterEach(async () => {
    await close()
    await proxy.close()
  })

  /** The other route's policy: as good as the example's, or one that the definition admits and that cannot compile. */
  const otherPolicy = (good: boolean) => ({
    ...policy,
    metadata: { namespace: 'partners', name: 'other' },
    spec: {
      ...policy.spec,
      targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: 'other' }],
      ...(good ? {} : { authorization: [{ cel: 'identity.nonsense(' }] }),
    },
  })

  async function start(): Promise<{ running: Running; state: () => State | undefined }> {
    const metrics = createMetrics()
    const services = createServices({ telemetry: metrics.telemetry })
    const client = createKubeClient({ load: () => configOf({ server: proxy.url, token: api.token }) })
    const { clock, telemetry } = services
    let state: State | undefined
    const running = await startGatehouse({
      settings: {
        ...defaultSettings(),
        grpcListen: { kind: 'off' },
        httpListen: anyPort,
        matchingListen: { kind: 'off' },
        adminListen: anyPort,
        httpBudget: 5000,
      },
      source: createKubernetesSource({ client, clock, telemetry }),
      us,
      services,
      metrics,
      record: () => undefined,
      onState: (next) => (state = next),
      warn: () => undefined,
    })
    close = async () => {
      await running.stop({ wait: 0, grace: 200 })
      await client.close()
      await services.close()
    }
    return { running, state: () => state }
  }

  const ask = async ({ addresses }: Running, name: string, key: string): Promise<number> => {
    const answer = await request(`http://127.0.0.1:${addresses.http?.port}/v1/check/partners/${name}/pull/-/x`, {
      headers: { host: 'feed.example.com', 'x-api-key': key },
    })
    await answer.body.dump()
    return answer.statusCode
  }
  const admin = async ({ addresses }: Running, path: string): Promise<number> => {
    const answer = await request(`http://127.0.0.1:${addresses.admin?.port}${path}`)
    await answer.body.dump()
    return answer.statusCode
  }

  it('REL-15 started without an API server: alive, not ready, refuses; ready 5 s after it comes', async () => {
    await proxy.down()
    const { running } = await start()
    expect(await ask(running, 'feed', acme)).toBe(403)
    expect(await admin(running, '/readyz')).toBe(503)
    expect(await admin(running, '/healthz')).toBe(200)
    await proxy.up()
    await until(
      async () => (await admin(running, '/readyz')) === 200,
      () => 'not ready within 5 s',
      5000,
    )
    expect(await ask(running, 'feed', acme)).toBe(200)
    expect(await ask(running, 'feed', 'gh_wrong')).toBe(403)
  })

  it('REL-24 an API server that is killed, away and started again under traffic: no wrong answer, alive and ready throughout', async () => {
    const { running, state } = await start()
    await running.loaded
    const wrong: string[] = []
    let asked = 0
    let over = false
    const traffic = (async () => {
      while (!over) {
        const [good, bad] = [await ask(running, 'feed', acme), await ask(running, 'feed', 'gh_wrong')]
        asked += 2
        if (good !== 200 || bad !== 403) wrong.push(`${good} ${bad}`)
        await new Promise((done) => setTimeout(done, 2))
      }
    })()
    await api.kill()
    await new Promise((done) => setTimeout(done, 2000))
    expect([await admin(running, '/healthz'), await admin(running, '/readyz')]).toEqual([200, 200])
    await api.restart()
    // What is changed afterwards arrives: it follows again.
    await api.apply(otherPolicy(true))
    await until(
      async () => (await ask(running, 'other', acme)) === 200,
      () => `the new policy is not in force within 5 s: ${JSON.stringify(state()?.problems)}`,
      5000,
    ).finally(() => (over = true))
    await traffic
    expect(wrong).toEqual([])
    expect(asked).toBeGreaterThan(200)
    await api.request('DELETE', await api.path({ ...otherPolicy(true), apiVersion: 'gatehouse.dev/v1alpha1' }))
  }, 60_000)

  describe('a policy that is broken and mended 50 times', () => {
    it('REL-16 denies its own rule within 2 s, serves it again within 2 s, and changes nothing for others', async () => {
      const { running } = await start()
      await running.loaded
      const others: number[] = []
      const becomes = (status: number): Promise<void> =>
        until(
          async () => {
            others.push(await ask(running, 'feed', acme))
            return (await ask(running, 'other', acme)) === status
          },
          () => `not ${status} within 2 s`,
          2000,
        )
      const path = await api.path({ ...otherPolicy(true), apiVersion: 'gatehouse.dev/v1alpha1' })
      for (let round = 0; round < 50; round += 1) {
        // A new object each time, because a policy that was good once stays in force while an edit of it is broken.
        await api.apply(otherPolicy(false))
        await becomes(403)
        await api.apply(otherPolicy(true))
        await becomes(200)
        await api.request('DELETE', path)
        await becomes(403)
      }
      expect(new Set(others)).toEqual(new Set([200]))
    }, 120_000)
  })
})
