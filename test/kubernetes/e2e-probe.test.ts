import { afterAll, beforeAll, expect, it } from 'vitest'
import { valuesOf } from '../support/backend.ts'
import { policy, route, site, staff } from '../support/cluster-manifests.ts'
import type { RuleShape } from '../support/cluster-manifests.ts'
import { clusterStage, describeCluster } from '../support/cluster-stage.ts'
import type { ClusterStage } from '../support/cluster-stage.ts'
import type { KubeObject } from '../support/kube-client.ts'
import { until } from '../support/program.ts'

/*
 * The cluster of e2e.test.ts without a single client: with --probe, Gatehouse itself asks the Gateway for what it protects, at the
 * address that the Gateway's status tells, and says in statuses whether it was refused as it should be.
 */

await describeCluster('probes, end to end', suite)

interface Told extends KubeObject {
  readonly status?: {
    readonly ancestors?: readonly {
      readonly conditions: readonly { readonly type: string; readonly status: string; readonly message: string }[]
    }[]
  }
}

function suite(): void {
  let stage: ClusterStage
  const began = performance.now()

  beforeAll(async () => {
    stage = await clusterStage({ flags: ['--probe'] })
  }, 240_000)

  afterAll(() => stage?.close(), 60_000)

  const told = (namespace: string) => policy(namespace, 'site', 'site', undefined, staff)
  const shown = async (namespace: string): Promise<string> => {
    const { status } = (await stage.api.request<Told>('GET', await stage.api.path(told(namespace)))).body
    const all = (status?.ancestors ?? []).flatMap(({ conditions }) => conditions)
    return all.flatMap((one) => (one.type === 'Enforced' ? [`${one.status} ${one.message}`] : [])).join('\n')
  }
  async function tells(namespace: string, text: RegExp, millis = 15_000): Promise<void> {
    let last = ''
    await until(
      async () => text.test((last = await shown(namespace))),
      () => `${last}\n${stage.gate.output().slice(-2000)}`,
      millis,
    )
  }
  const keyed = (namespace: string, name: string): RuleShape => ({
    name,
    path: `/${name}`,
    ask: { port: stage.ports.http, path: `/v1/check/${namespace}/site/${name}/-` },
  })
  /** The policy comes last: nothing is probed before the gateway has everything else. */
  async function protectedSite(namespace: string, rules: readonly RuleShape[]): Promise<void> {
    await stage.api.apply(...site(namespace, stage.backend.port), route(namespace, 'site', `${namespace}.test`, rules))
    await stage.gateway.caughtUp()
    await stage.api.apply(told(namespace))
  }
  const arrived = () => stage.backend.seen.filter((one) => valuesOf(one, 'host').join() === 'open.test')

  it('shows a rule as enforced that nobody has used, once its own request was refused', async () => {
    await protectedSite('quiet', [keyed('quiet', 'all')])
    await tells('quiet', /^True .*site\/all/)
    const [decision, ...more] = stage.gate.decisions
    expect([decision?.reason, decision?.rule, more.length]).toEqual(['no-credential', 'quiet/site/all', 0])
    expect(stage.backend.requests()).toBe(0)
  })

  it('shows it of rules that are found by matching and asked for over gRPC, too', async () => {
    await protectedSite('ways', [
      { name: 'matched', path: '/matched', ask: { port: stage.ports.matching } },
      { name: 'called', path: '/called', grpc: stage.ports.grpc },
    ])
    await tells('ways', /^True .*site\/matched.*site\/called/)
  })

  it(
    'says what it met where the gateway does not ask, and nothing that it sends is secret',
    { timeout: 120_000 },
    async () => {
      await protectedSite('open', [{ name: 'all', path: '/all' }])
      // A gateway that takes the filter and leaves it out (GATEWAYS.md §B.1): its configuration stays as it was.
      await stage.gateway.pause()
      await stage.api.apply(route('open', 'site', 'open.test', [keyed('open', 'all')]))
      await tells('open', /^False A request without credentials for open\/site\/all got status 200 .*does not ask/)
      const [probe] = arrived()
      expect([probe?.method, probe?.url, valuesOf(probe, 'user-agent')]).toEqual(['GET', '/all', ['gatehouse-probe']])
      expect(probe?.rawHeaders.map((text) => text.toLowerCase())).not.toContain('authorization')
      expect(probe?.rawHeaders.map((text) => text.toLowerCase())).not.toContain('cookie')
      expect(stage.gate.decisions.filter(({ rule }) => rule === 'open/site/all')).toEqual([])
      // Once the gateway asks, the next probe finds out.
      stage.gateway.resume()
      await stage.gateway.caughtUp()
      await tells('open', /^True /, 60_000)
    },
  )

  it('knows nothing where the gateway refuses for reasons of its own', async () => {
    const objects = site('alone', stage.backend.port).filter(({ kind }) => kind !== 'ReferenceGrant')
    await stage.api.apply(...objects, route('alone', 'site', 'alone.test', [keyed('alone', 'all')]))
    await stage.gateway.caughtUp()
    await stage.api.apply(told('alone'))
    await tells('alone', /^Unknown /)
    await new Promise((done) => setTimeout(done, 3000))
    await tells('alone', /^Unknown /)
  })

  it('never probes what a request without credentials may use, or what changes something', async () => {
    const before = stage.backend.requests()
    const guests = { guest: { subject: 'visitor' }, authorization: [{ cel: "request.method == 'GET'" }] }
    const { spec, ...rest } = route('never', 'site', 'never.test', [keyed('never', 'guests'), keyed('never', 'posts')])
    const posts = { path: { type: 'PathPrefix', value: '/posts' }, method: 'POST' }
    const rules = spec.rules.map((rule) => (rule.name === 'posts' ? { ...rule, matches: [posts] } : rule))
    await stage.api.apply(...site('never', stage.backend.port), { ...rest, spec: { ...spec, rules } })
    await stage.gateway.caughtUp()
    await stage.api.apply(
      policy('never', 'guests', 'site', 'guests', guests),
      policy('never', 'posts', 'site', 'posts', staff),
    )
    await new Promise((done) => setTimeout(done, 4000))
    expect(stage.gate.decisions.filter(({ rule }) => rule?.startsWith('never/'))).toEqual([])
    expect(stage.backend.requests()).toBe(before)
  })

  it('sent few requests all in all: two a second at most, and one that proved not again for minutes', () => {
    const sent = stage.gate.decisions.length + arrived().length
    expect(sent).toBeLessThanOrEqual(Math.ceil((performance.now() - began) / 500))
    const proved = Map.groupBy(stage.gate.decisions, ({ rule }) => rule)
    expect(proved.get('quiet/site/all')?.length).toBe(1)
  })
}
