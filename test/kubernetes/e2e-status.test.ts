import { afterAll, beforeAll, expect, it } from 'vitest'
import { ada, credential, mark, namespace, policy, route, secret, site, staff } from '../support/cluster-manifests.ts'
import { clusterStage, describeCluster } from '../support/cluster-stage.ts'
import type { Asked, ClusterStage } from '../support/cluster-stage.ts'
import type { KubeObject } from '../support/kube-client.ts'
import { until } from '../support/program.ts'

/*
 * The cluster of e2e.test.ts, and what `kubectl get authpolicy` tells of it: nothing is enforced before a check was seen, and
 * whatever keeps a policy from working is told within two seconds. Gatehouse writes with the permissions of deploy/base only.
 */

interface Condition {
  readonly type: string
  readonly status: string
  readonly reason: string
  readonly message: string
  readonly observedGeneration: number
}

interface Told extends KubeObject {
  readonly status?: {
    readonly ancestors?: readonly {
      readonly ancestorRef: { readonly kind: string; readonly name: string }
      readonly controllerName: string
      readonly conditions: readonly Condition[]
    }[]
  }
}

await describeCluster('statuses, end to end', suite)

function suite(): void {
  let stage: ClusterStage
  const here: Asked = { path: '/', host: 'told.test' }
  const told = (name: string) => policy('told', name, 'site', name, staff)

  beforeAll(async () => {
    stage = await clusterStage({ flags: ['--grant-namespaces=gatehouse.dev/routes=yes'] })
    const routes = ['one', 'two', 'three'].map((name) => ({
      name,
      path: `/${name}`,
      ask: { port: stage.ports.http, path: `/v1/check/told/site/${name}/-` },
    }))
    await stage.api.apply(...site('told', stage.backend.port), route('told', 'site', 'told.test', routes), told('one'))
    await stage.gateway.caughtUp()
  }, 240_000)

  afterAll(() => stage?.close(), 60_000)

  const read = async (object: KubeObject): Promise<Told> =>
    (await stage.api.request<Told>('GET', await stage.api.path(object))).body
  /** `Type=Status Reason: message`, for each condition of each ancestor. */
  const shown = ({ status }: Told): readonly string[] =>
    (status?.ancestors ?? []).flatMap(({ ancestorRef, conditions }) =>
      conditions.map((one) => `${ancestorRef.kind} ${one.type}=${one.status} ${one.reason}: ${one.message}`),
    )
  /** Waits until a condition is told; tells after how many milliseconds it was. */
  async function tells(object: KubeObject, text: RegExp, millis = 5000): Promise<number> {
    const began = performance.now()
    let last: Told | undefined
    await until(
      async () => shown((last = await read(object))).some((one) => text.test(one)),
      () =>
        `${object.metadata.name} does not tell ${text}: ${JSON.stringify(last?.status)}\n${stage.gate.output().slice(-2000)}`,
      millis,
    )
    const generations = last?.status?.ancestors?.flatMap(({ conditions }) =>
      conditions.map((one) => one.observedGeneration),
    )
    expect(new Set(generations)).toEqual(new Set([last?.metadata['generation']]))
    return performance.now() - began
  }

  it('says that nothing is known of a rule before a check for it was seen', async () => {
    await tells(told('one'), /^Gateway Accepted=True Accepted:/)
    await tells(told('one'), /^Gateway ResolvedRefs=True ResolvedRefs:/)
    await tells(told('one'), /^Gateway Enforced=Unknown NoCheckSeen: .*send one request/)
  })

  it('takes no refusal of a foreign key for a check of the rule', async () => {
    await stage.api.apply(
      ...site('mallory', stage.backend.port),
      route('mallory', 'steal', 'mallory.test', [
        { name: 'all', ask: { port: stage.ports.http, path: '/v1/check/told/site/one/-' } },
      ]),
    )
    await stage.gateway.caughtUp()
    const sent = { path: '/one', host: 'mallory.test', headers: [mark, ada] }
    expect(await stage.judged(sent)).toEqual([403, 'identity-mismatch'])
    await new Promise((done) => setTimeout(done, 3500))
    expect(shown(await read(told('one'))).join('\n')).toContain('Enforced=Unknown')
  })

  it('says Enforced: True once a check came through the Gateway, whatever its answer', async () => {
    expect(await stage.judged({ ...here, path: '/one', headers: [mark] })).toEqual([403, 'no-credential'])
    await tells(told('one'), /^Gateway Enforced=True Enforced: .*site\/one/)
    const { status } = await read(told('one'))
    expect(status?.ancestors?.map(({ controllerName, ancestorRef }) => [controllerName, ancestorRef.name])).toEqual([
      ['gatehouse.dev/gatehouse', 'your-gateway-here'],
    ])
  })

  it('names a missing Secret within two seconds, and takes it back', async () => {
    const users = secret('told', 'users', {})
    await stage.remove(users)
    expect(await tells(told('one'), /ResolvedRefs=False .*no Secret told\/users/)).toBeLessThan(2000)
    expect(shown(await read(told('one'))).join('\n')).toContain('Enforced=False')
    await stage.api.apply(...site('told', stage.backend.port))
    await tells(told('one'), /ResolvedRefs=True/)
    await stage.becomes(200, { ...here, path: '/one', headers: [ada] })
    await tells(told('one'), /Enforced=True/)
  })

  it('names a rule that is not there, and a policy that cannot be compiled, within two seconds', async () => {
    await stage.api.apply(policy('told', 'lost', 'site', 'fuor', staff))
    expect(
      await tells(policy('told', 'lost', 'site', 'fuor', staff), /Accepted=False TargetNotFound: .*no rule named/),
    ).toBeLessThan(2000)
    const broken = policy('told', 'two', 'site', 'two', { ...staff, authorization: [{ cel: 'identity.subject ==' }] })
    await stage.api.apply(broken)
    expect(await tells(broken, /Accepted=False Invalid: /)).toBeLessThan(2000)
    expect(await stage.judged({ ...here, path: '/two', headers: [mark, ada] })).toEqual([403, 'broken-policy'])
  })

  it('names the policy that is in force instead of a wider one', async () => {
    const wide = policy('told', 'wide', 'site', undefined, staff)
    await stage.api.apply(told('two'), told('three'), wide)
    await tells(wide, /Enforced=False Overridden: .*told\/(one|two|three)/)
  })

  it('writes nothing while nothing changes, however many requests come', { timeout: 30_000 }, async () => {
    const versions = async () =>
      Promise.all(['one', 'two', 'three'].map(async (name) => (await read(told(name))).metadata.resourceVersion))
    for (const name of ['one', 'two', 'three']) await stage.ask({ ...here, path: `/${name}`, headers: [ada] })
    for (const name of ['one', 'two', 'three']) await tells(told(name), /Enforced=True/)
    const before = await versions()
    const end = performance.now() + 5000
    while (performance.now() < end) await stage.ask({ ...here, path: '/one', headers: [credential('ada', 'notes')] })
    expect(await versions()).toEqual(before)
  })

  it(
    'keeps a ReferenceGrant for as long as an admitted namespace has a route that asks',
    { timeout: 30_000 },
    async () => {
      const granted = {
        ...namespace('admitted'),
        metadata: { name: 'admitted', labels: { 'gatehouse.dev/routes': 'yes' } },
      }
      const asking = route('admitted', 'site', 'admitted.test', [{ name: 'all', ask: { port: stage.ports.matching } }])
      const objects = site('admitted', stage.backend.port).filter(
        ({ kind }) => kind !== 'ReferenceGrant' && kind !== 'Namespace',
      )
      const sent = { path: '/', host: 'admitted.test', headers: [ada] }
      await stage.api.apply(granted, ...objects, asking, policy('admitted', 'site', 'site', 'all', staff))
      await stage.becomes(200, sent, 10_000)
      await stage.api.apply({
        ...asking,
        spec: { ...asking.spec, rules: asking.spec.rules.map((rule) => ({ ...rule, filters: [] })) },
      })
      const grants = async () => {
        const { body } = await stage.api.request<{
          items: readonly { spec: { from: readonly { namespace: string }[] } }[]
        }>('GET', '/apis/gateway.networking.k8s.io/v1beta1/namespaces/default/referencegrants')
        return body.items.flatMap(({ spec }) => spec.from.map((from) => from.namespace))
      }
      await until(
        async () => !(await grants()).includes('admitted'),
        () => 'the grant stays',
        10_000,
      )
      // Those that the test made itself are nobody else's business.
      expect(await grants()).toContain('told')
    },
  )

  it('let no stranger in, all the time', () => expect(stage.strangers()).toEqual([]))
}
