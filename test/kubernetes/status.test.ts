import { readFileSync, readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { parse } from 'yaml'
import { crdYaml } from '../../src/command/crd.ts'
import type { KubeClient } from '../../src/kubernetes/client.ts'
import { KubeError } from '../../src/kubernetes/kube-error.ts'
import { writtenAncestors } from '../../src/registration/written-ancestors.ts'
import { apiServer, describeOnKubernetes } from '../support/api-server.ts'
import type { ApiServer } from '../support/api-server.ts'
import { until } from '../support/program.ts'
import { registered } from '../support/registered.ts'
import type { Registered } from '../support/registered.ts'
import { acceptance, gateway, namespace, policy, route, service } from '../support/registered-world.ts'

const golden = resolve(import.meta.dirname, '../golden')
const path = (name = 'pay'): string => `/apis/gatehouse.dev/v1alpha1/namespaces/shop/authpolicies/${name}`
const routePath = '/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/cart'
const merge = 'application/merge-patch+json'

await describeOnKubernetes('statuses of policies', () => {
  let api: ApiServer
  let replica: Registered
  beforeAll(async () => {
    api = await apiServer({ crds: 'v1.4.1' })
    await api.apply(crdYaml(), namespace('gatehouse'), namespace('shop'), service(), gateway(), route())
    await api.request('PATCH', `${routePath}/status`, acceptance(), merge)
  }, 240_000)
  afterAll(() => api?.stop())
  afterEach(async () => {
    await replica?.close()
    await api.request('DELETE', '/apis/gatehouse.dev/v1alpha1/namespaces/shop/authpolicies')
  })

  /** `Accepted`, `Enforced` … of the first ancestor, as `True Reason`. */
  const conditions = async (name = 'pay'): Promise<Readonly<Record<string, string>>> => {
    const { body } = await api.request('GET', path(name))
    const [first] = writtenAncestors(body)
    return Object.fromEntries(
      (first?.conditions ?? []).map(({ type, status, reason }) => [type, `${status} ${reason}`]),
    )
  }
  const shows = async (type: string, expected: string, millis = 4000, name = 'pay'): Promise<void> => {
    let last = ''
    await until(
      async () => (last = (await conditions(name))[type] ?? 'nothing') === expected,
      () => `${type} is ${last}, not ${expected}; ${replica.warnings.join(' ')}`,
      millis,
    )
  }
  const version = async (): Promise<string | undefined> =>
    (await api.request('GET', path())).body.metadata.resourceVersion
  const quiet = (): Promise<void> => new Promise((done) => setTimeout(done, 3000))

  it('come within two seconds, become True on evidence, and are written once', async () => {
    replica = await registered(api)
    await until(replica.lease.held, () => 'no lease')
    const started = performance.now()
    await api.apply(policy())
    await shows('Enforced', 'Unknown NoCheckSeen')
    expect(performance.now() - started).toBeLessThan(2000)
    replica.evidence.seen('shop/cart/pay', Date.now())
    await shows('Enforced', 'True Enforced')
    const written = await version()
    const writes = replica.writes.length
    await quiet()
    expect(await version()).toBe(written)
    expect(replica.writes.length).toBe(writes)
    expect(replica.writes.filter((one) => one.startsWith('apply'))).toEqual([
      'apply status shop/pay',
      'apply status shop/pay',
    ])
  }, 30_000)

  it('are not written again by a replica that has just started', async () => {
    replica = await registered(api)
    await api.apply(policy())
    await shows('Enforced', 'Unknown NoCheckSeen')
    replica.evidence.seen('shop/cart/pay', Date.now())
    await shows('Enforced', 'True Enforced')
    await replica.close()
    const written = await version()
    replica = await registered(api, { identity: 'two' })
    await until(replica.lease.held, () => 'no lease')
    await quiet()
    expect(replica.writes).toEqual([])
    expect(await version()).toBe(written)
  }, 30_000)

  it('tell within two seconds of a policy that the CRD takes and nobody could use', async () => {
    replica = await registered(api)
    await api.apply(policy('pay', 'shop', { authorization: [{ cel: 'requst.method' }] }))
    await shows('Accepted', 'False Invalid', 2000)
    await shows('Enforced', 'False Invalid')
    await api.apply(
      policy('other', 'shop', {
        targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: 'nowhere' }],
      }),
    )
    await shows('Accepted', 'False TargetNotFound', 2000, 'other')
    await api.apply(policy())
    await shows('Accepted', 'True Accepted')
  }, 30_000)

  it('CFG-06 name the Secret that is missing, not what was in it, and follow when it comes', async () => {
    replica = await registered(api)
    await api.apply(policy('pay', 'shop', { authentication: [{ basic: { usersRef: { name: 'staff' } } }] }))
    await shows('ResolvedRefs', 'False RefNotFound', 2000)
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { namespace: 'shop', name: 'staff', labels: { 'gatehouse.dev/credentials': 'true' } },
      stringData: { '.htpasswd': 'hunter2-in-the-clear\n' },
    }
    await api.apply(secret)
    await shows('ResolvedRefs', 'False InvalidRef')
    expect(JSON.stringify((await api.request('GET', path())).body['status'])).not.toContain('hunter2')
    const hash = '$2b$10$KYD6pvzx5Ob1UZIMLRKgdOlDvNZpP/iwcI9kKu1VsSdcdkslmtDcS'
    await api.apply({ ...secret, stringData: { '.htpasswd': `margaret:${hash}\n` } })
    await shows('ResolvedRefs', 'True ResolvedRefs')
  }, 30_000)

  it('leave a status alone that somebody else holds, and say so once', async () => {
    await api.apply(policy())
    const theirs = {
      ...policy(),
      spec: undefined,
      status: {
        ancestors: [
          {
            ancestorRef: { name: 'edge' },
            controllerName: 'example.com/other',
            conditions: [
              {
                type: 'Accepted',
                status: 'True',
                reason: 'Mine',
                message: '',
                lastTransitionTime: '2026-11-01T00:00:00Z',
              },
            ],
          },
        ],
      },
    }
    const query = 'fieldManager=somebody&force=true'
    const { status } = await api.request('PATCH', `${path()}/status?${query}`, theirs, 'application/apply-patch+yaml')
    expect(status).toBe(200)
    const before = await version()
    replica = await registered(api)
    await until(
      () => replica.warnings.some((one) => one.includes('shop/pay belongs to another field manager')),
      () => `nothing was said; ${replica.writes.join(', ')}`,
    )
    await quiet()
    expect(await version()).toBe(before)
    expect(replica.warnings.length).toBe(1)
  }, 30_000)

  it('go on with a policy of the same name that was made anew', async () => {
    replica = await registered(api)
    await api.apply(policy())
    await shows('Enforced', 'Unknown NoCheckSeen')
    await api.request('DELETE', path())
    await api.apply(policy())
    await shows('Enforced', 'Unknown NoCheckSeen')
  }, 30_000)

  it('are told as Events, each change once', async () => {
    replica = await registered(api)
    await api.apply(policy())
    await shows('Enforced', 'Unknown NoCheckSeen')
    replica.evidence.seen('shop/cart/pay', Date.now())
    await shows('Enforced', 'True Enforced')
    interface Event {
      readonly reason: string
      readonly type: string
      readonly note: string
      readonly regarding: { readonly uid?: string }
      readonly reportingController: string
    }
    const { body } = await api.request('GET', path())
    let events: readonly Event[] = []
    await until(
      async () => {
        const list = await api.request<{ items: readonly Event[] }>(
          'GET',
          '/apis/events.k8s.io/v1/namespaces/shop/events',
        )
        events = list.body.items.filter(({ regarding }) => regarding.uid === body.metadata.uid)
        return events.length === 2
      },
      () => `events are ${JSON.stringify(events)}`,
    )
    expect(events.map(({ type, reason }) => `${type} ${reason}`).toSorted()).toEqual([
      'Normal Accepted',
      'Normal Enforced',
    ])
    expect(new Set(events.map((one) => one.reportingController))).toEqual(new Set(['gatehouse.dev/gatehouse']))
  }, 30_000)

  it('CFG-20 a definition without the status subresource costs a few attempts and no decision', async () => {
    const crd = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/authpolicies.gatehouse.dev'
    const off = [{ op: 'remove', path: '/spec/versions/0/subresources' }]
    expect((await api.request('PATCH', crd, off, 'application/json-patch+json')).status).toBe(200)
    try {
      await new Promise((done) => setTimeout(done, 1000))
      replica = await registered(api)
      await api.apply(policy())
      await until(
        () => replica.writes.length > 0,
        () => 'nothing was tried',
      )
      await quiet()
      expect(replica.writes.length).toBeLessThan(5)
      expect(replica.compilation()?.snapshot.rules.map(({ policy: one }) => one?.name)).toEqual(['shop/pay'])
    } finally {
      const on = [{ op: 'add', path: '/spec/versions/0/subresources', value: { status: {} } }]
      await api.request('PATCH', crd, on, 'application/json-patch+json')
    }
  }, 30_000)

  it.each<readonly [string, KubeError]>([
    ['409', new KubeError(409, 'Conflict', 'the object has been modified')],
    ['429 with Retry-After', new KubeError(429, 'TooManyRequests', 'the server is busy', 2000)],
    ['500', new KubeError(500, 'InternalError', 'etcd is away')],
  ])(
    'CFG-20 a storm of %s costs a few attempts, and the status comes when it is over',
    async (_, error) => {
      const storm = { on: true }
      let attempts = 0
      const through = (client: KubeClient): KubeClient => ({
        ...client,
        apply: (...given) => {
          attempts += 1
          return storm.on ? Promise.reject(error) : client.apply(...given)
        },
      })
      replica = await registered(api, { through })
      await until(replica.lease.held, () => 'no lease')
      await api.apply(policy())
      await quiet()
      expect(attempts).toBeGreaterThan(0)
      expect(attempts).toBeLessThanOrEqual(4)
      expect(replica.compilation()?.snapshot.rules.map(({ policy: one }) => one?.name)).toEqual(['shop/pay'])
      storm.on = false
      await shows('Enforced', 'Unknown NoCheckSeen', 9000)
      expect(replica.warnings.length).toBeLessThanOrEqual(1)
    },
    30_000,
  )

  const worlds = readdirSync(golden).filter((name) => name.endsWith('.out.yaml'))

  it.each(worlds)('are taken and given back unchanged by the API server: %s', async (name) => {
    interface Out {
      readonly statuses: readonly { readonly ancestors: readonly Record<string, string>[] }[]
    }
    const { statuses } = parse(readFileSync(resolve(golden, name), 'utf8')) as Out
    for (const [index, { ancestors }] of statuses.entries()) {
      const [applied] = await api.apply(policy(`world-${index}`))
      const status = { ancestors: ancestors.map(ancestor) }
      const body = { ...policy(`world-${index}`), spec: undefined, status }
      const at = `${path(`world-${index}`)}/status?fieldManager=gatehouse&fieldValidation=Strict`
      const answer = await api.request('PATCH', at, body, 'application/apply-patch+yaml')
      expect(answer.body['status']).toEqual(status)
      expect(answer.body.metadata.uid).toBe(applied?.metadata.uid)
    }
  })
})

/** An ancestor from the short form of the golden files. */
function ancestor({ at = '', ...conditions }: Readonly<Record<string, string>>): object {
  const [kind, where = ''] = at.split(' ')
  const [space, name] = where.split('/')
  return {
    ancestorRef: { group: kind === 'Service' ? '' : 'gateway.networking.k8s.io', kind, namespace: space, name },
    controllerName: 'gatehouse.dev/gatehouse',
    conditions: Object.entries(conditions).map(([type, text]) => {
      const found = /^(\w+) (\w+) \(generation (\d+), since (\S+)\): (.*)$/s.exec(text)
      const [, status, reason, generation, lastTransitionTime, message] = found ?? []
      return { type, status, reason, message, observedGeneration: Number(generation), lastTransitionTime }
    }),
  }
}
