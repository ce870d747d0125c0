import { afterAll, beforeAll, expect, it } from 'vitest'
import { ada, policy, route, site, staff } from '../support/cluster-manifests.ts'
import { clusterGatehouse, clusterPorts } from '../support/cluster-gatehouse.ts'
import type { ClusterGatehouse } from '../support/cluster-gatehouse.ts'
import { clusterStage, describeCluster } from '../support/cluster-stage.ts'
import type { ClusterStage } from '../support/cluster-stage.ts'
import type { KubeObject } from '../support/kube-client.ts'
import type { KubeWatch } from '../support/kube-watch.ts'
import { until } from '../support/program.ts'
import { send } from '../support/send.ts'
import { startTraffic } from '../support/traffic.ts'

/*
 * The cluster of e2e.test.ts with Gatehouse twice, as deploy/base has it: each is a process with an address of its own, both have
 * the ports of the Service. One writes; both decide, whoever writes and whatever becomes of it.
 */

await describeCluster('two replicas, end to end', suite)

/** Seconds after which others take the Lease, and between two attempts. */
const term = 15
const retry = 2

/** Whatever we write, as the API server lists it. */
const writtenKinds = [
  '/apis/coordination.k8s.io/v1/leases',
  '/apis/gatehouse.dev/v1alpha1/authpolicies',
  '/apis/gateway.networking.k8s.io/v1beta1/referencegrants',
  '/apis/events.k8s.io/v1/events',
  '/api/v1/configmaps',
]

interface Replica {
  readonly address: string
  readonly gate: ClusterGatehouse
}

function suite(): void {
  let stage: ClusterStage
  let one: Replica
  let two: Replica
  const names = ['a', 'b', 'c', 'd', 'e', 'f'] as const
  const own = (name: string) => policy('pair', name, 'site', name, staff)
  const leasePath = '/apis/coordination.k8s.io/v1/namespaces/default/leases/auth-service'

  const second = async (): Promise<Replica> => {
    const address = '127.0.0.2'
    const { admin } = await clusterPorts()
    const ports = { ...stage.ports, admin }
    const flags = (['grpc', 'http', 'matching'] as const).map((name) => `--${name}-listen=${address}:${ports[name]}`)
    const { kubeconfig } = stage
    return { address, gate: await clusterGatehouse({ kubeconfig, service: 'default/auth-service', ports, flags }) }
  }

  beforeAll(async () => {
    stage = await clusterStage()
    one = { address: '127.0.0.1', gate: stage.gate }
    await until(async () => (await count(one, 'leader')) === 1, stage.gate.output)
    two = await second()
    const rules = names.map((name) => ({
      name,
      path: `/${name}`,
      ask: { port: stage.ports.http, path: `/v1/check/pair/site/${name}/-` },
    }))
    await stage.api.apply(...site('pair', stage.backend.port), route('pair', 'site', 'pair.test', rules))
    await stage.gateway.caughtUp()
  }, 240_000)

  afterAll(async () => {
    await two?.gate.stop()
    await stage?.close()
  }, 60_000)

  /** A figure of a replica's metrics, by the part of its line that names it; 0 where there is none. */
  async function count({ gate }: Replica, name: string): Promise<number> {
    const lines = (await gate.metrics()).split('\n').filter((line) => !line.startsWith('#') && line.includes(name))
    return Number(lines[0]?.split(' ').at(-1) ?? 0)
  }
  /** What a replica answers a gateway: with ada's password, and without. */
  const answers = async ({ address }: Replica, name: string): Promise<readonly number[]> => {
    const asked = { address, port: stage.ports.http, path: `/v1/check/pair/site/${name}/-/${name}`, host: 'pair.test' }
    return [(await send({ ...asked, headers: [ada] })).status, (await send(asked)).status]
  }
  const enforced = async (name: string): Promise<string> => {
    type Told = KubeObject & {
      status?: { ancestors: readonly { conditions: readonly { type: string; status: string }[] }[] }
    }
    const { body } = await stage.api.request<Told>('GET', await stage.api.path(own(name)))
    return body.status?.ancestors[0]?.conditions.find(({ type }) => type === 'Enforced')?.status ?? ''
  }
  const shows = async (name: string, status: string, millis = 10_000): Promise<number> => {
    const start = performance.now()
    let last = ''
    await until(
      async () => (last = await enforced(name)) === status,
      () => `${name} stays ${last}: ${two.gate.output().slice(-1500)}`,
      millis,
    )
    return performance.now() - start
  }
  const holder = async (): Promise<unknown> =>
    (await stage.api.request<KubeObject & { spec?: { holderIdentity?: string } }>('GET', leasePath)).body.spec
      ?.holderIdentity
  const versions = async (): Promise<unknown> => {
    const paths = [
      '/apis/gatehouse.dev/v1alpha1/authpolicies',
      '/apis/gateway.networking.k8s.io/v1beta1/referencegrants',
    ]
    return Promise.all(
      paths.map(async (path) => {
        const { body } = await stage.api.request<{ readonly items: readonly KubeObject[] }>('GET', path)
        return body.items.map(({ metadata }) => [metadata.name, metadata.resourceVersion])
      }),
    )
  }

  /** What is changed from now on; the API server's own namespaces are left out. */
  const changes = async (path: string): Promise<KubeWatch> => {
    const ours = `${path}?fieldSelector=${encodeURIComponent('metadata.namespace!=kube-system')}`
    const { body } = await stage.api.request<{ readonly metadata: { readonly resourceVersion: string } }>('GET', ours)
    return stage.api.watch(ours, body.metadata.resourceVersion)
  }

  it('REL-28 one of them writes, and both decide', async () => {
    await stage.api.apply(own('a'))
    await shows('a', 'Unknown')
    await until(async () => (await answers(two, 'a'))[0] === 200, two.gate.output, 5000)
    expect(await answers(one, 'a')).toEqual([200, 403])
    expect(await answers(two, 'a')).toEqual([200, 403])
    expect([await count(one, 'leader'), await count(two, 'leader')]).toEqual([1, 0])
    expect(await count(one, 'status_written')).toBeGreaterThan(0)
    expect(await count(two, 'status_written')).toBe(0)
    expect(await holder()).toMatch(new RegExp(`-${one.gate.pid}$`))
  })

  // What the other one saw is asked for every five seconds, a test's usual time.
  it('a check that only the other one saw is shown by the one that writes', { timeout: 30_000 }, async () => {
    await stage.api.apply(own('b'))
    await shows('b', 'Unknown')
    await until(async () => (await answers(two, 'b'))[0] === 200, two.gate.output, 5000)
    await shows('b', 'True', 15_000)
    expect(await count(two, 'status_written')).toBe(0)
  })

  it(
    'an error in the wiring of a route is told as one Event on it, and only when it appears',
    { timeout: 60_000 },
    async () => {
      const rule = { name: 'x', path: '/x', ask: { port: stage.ports.http, path: '/v1/check/pair/site/other/-' } }
      await stage.api.apply(route('pair', 'astray', 'astray.test', [rule]))
      const events = async (): Promise<readonly string[]> => {
        type Told = KubeObject & {
          readonly reason: string
          readonly regarding: { readonly kind: string; readonly name: string }
        }
        const path = '/apis/events.k8s.io/v1/namespaces/pair/events'
        const { body } = await stage.api.request<{ readonly items: readonly Told[] }>('GET', path)
        return body.items.flatMap(({ reason, regarding }) =>
          regarding.name === 'astray' ? [`${regarding.kind} ${reason}`] : [],
        )
      }
      await until(async () => (await events()).includes('HTTPRoute ForeignPath'), one.gate.output, 20_000)
      await new Promise((done) => setTimeout(done, 7000))
      expect((await events()).filter((text) => text.includes('ForeignPath'))).toEqual(['HTTPRoute ForeignPath'])
      expect(await count(one, 'wiring_findings')).toBeGreaterThan(0)
      expect(await count(two, 'event_lost')).toBe(0)
    },
  )

  it(
    'write nothing while nothing changes, however much is asked; each change costs one write',
    { timeout: 60_000 },
    async () => {
      await stage.api.apply(own('c'))
      await until(async () => (await answers(one, 'c'))[0] === 200, one.gate.output, 10_000)
      await shows('c', 'True')
      await new Promise((done) => setTimeout(done, 1500))
      const [before, written] = [await versions(), await count(one, 'status_written')]
      const traffic = startTraffic(stage.ask, [
        { say: 'ada', sent: { path: '/c', host: 'pair.test', headers: [ada] }, fits: (status) => status === 200 },
        { say: 'nobody', sent: { path: '/c', host: 'pair.test' }, fits: (status) => status === 403 },
      ])
      const began = performance.now()
      const watches = await Promise.all(writtenKinds.map(changes))
      await new Promise((done) => setTimeout(done, 8000))
      const { wrong } = await traffic.stop()
      expect(wrong).toEqual([])
      expect(await versions()).toEqual(before)
      expect((await count(one, 'status_written')) - written).toBe(0)
      // The Lease is renewed, and nothing else of the kinds that we write.
      const renewals = (performance.now() - began) / 1000 / retry
      const changed = watches.flatMap(({ events }) =>
        events.flatMap(({ type, object }) => (type === 'BOOKMARK' ? [] : [`${object.kind} ${object.metadata.name}`])),
      )
      for (const watch of watches) watch.close()
      expect(new Set(changed)).toEqual(new Set(['Lease auth-service']))
      expect(changed.length).toBeLessThanOrEqual(renewals + 2)
    },
  )

  it(
    'stops to write when the API server says that another one has the Lease, and goes on deciding',
    { timeout: 90_000 },
    async () => {
      const { body } = await stage.api.request<KubeObject & { spec: object }>('GET', leasePath)
      const written = await count(one, 'status_written')
      const take = async (): Promise<void> => {
        const spec = {
          ...body.spec,
          holderIdentity: 'somebody-else',
          renewTime: new Date().toISOString().replace('Z', '000Z'),
          leaseDurationSeconds: 6,
        }
        expect((await stage.api.request('PATCH', leasePath, { spec }, 'application/merge-patch+json')).status).toBe(200)
      }
      await take()
      const renewing = setInterval(() => void take(), 1000)
      try {
        await until(async () => (await count(one, 'leader')) === 0, one.gate.output, 10_000)
        await stage.api.apply(own('d'))
        await until(async () => (await answers(one, 'd'))[0] === 200, one.gate.output, 5000)
        await until(async () => (await answers(two, 'd'))[0] === 200, two.gate.output, 5000)
        await new Promise((done) => setTimeout(done, 4000))
        expect(await enforced('d')).toBe('')
        expect([await count(one, 'leader'), await count(two, 'leader')]).toEqual([0, 0])
        expect(await count(one, 'status_written')).toBe(written)
      } finally {
        clearInterval(renewing)
      }
      // Somebody else is heard of no more: one of them writes what is due.
      await shows('d', 'True', 20_000)
      expect((await count(one, 'leader')) + (await count(two, 'leader'))).toBe(1)
    },
  )

  it(
    'REL-28 when the one that writes is killed, the other one does before the Lease has run out twice',
    { timeout: 120_000 },
    async () => {
      await until(async () => (await count(one, 'leader')) + (await count(two, 'leader')) === 1, one.gate.output)
      const [dead, left] = (await count(two, 'leader')) === 1 ? [two, one] : [one, two]
      process.kill(dead.gate.pid, 'SIGKILL')
      await stage.api.apply(own('e'))
      await until(async () => (await answers(left, 'e'))[0] === 200, left.gate.output, 5000)
      expect(await answers(left, 'e')).toEqual([200, 403])
      const took = await shows('e', 'True', (term + 4 * retry) * 1000)
      expect(await holder()).toMatch(new RegExp(`-${left.gate.pid}$`))
      process.stderr.write(`the Lease of a killed replica was taken over after ${Math.round(took / 100) / 10} s\n`)
      // What was proved stays proved: the new one has not seen those checks, and does not take them back.
      expect(await Promise.all(['a', 'b', 'c', 'd'].map(enforced))).toEqual(['True', 'True', 'True', 'True'])
      await dead.gate.stop()
    },
  )

  it('one that is stopped gives the Lease back, and the next writes at once', { timeout: 60_000 }, async () => {
    const last = (await one.gate.ready()) ? one : two
    const next = await clusterGatehouse({
      kubeconfig: stage.kubeconfig,
      service: 'default/auth-service',
      ports: { ...stage.ports, admin: (await clusterPorts()).admin },
      flags: (['grpc', 'http', 'matching'] as const).map((name) => `--${name}-listen=127.0.0.3:${stage.ports[name]}`),
    })
    try {
      await last.gate.stop()
      await until(
        async () => (await holder()) !== '' && String(await holder()).endsWith(`-${next.pid}`),
        next.output,
        2 * retry * 1000 + 1000,
      )
      await stage.api.apply(own('f'))
      await shows('f', 'Unknown', 5000)
    } finally {
      await next.stop()
    }
  })
}
