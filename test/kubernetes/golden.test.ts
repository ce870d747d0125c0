import { readFileSync, readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { crdYaml } from '../../src/command/crd.ts'
import type { ProbeOutcome } from '../../src/registration/evidence.ts'
import { showRef } from '../../src/registration/parents.ts'
import type { Witness } from '../../src/registration/witness.ts'
import { writtenAncestors } from '../../src/registration/written-ancestors.ts'
import { apiServer, describeOnKubernetes } from '../support/api-server.ts'
import type { ApiServer } from '../support/api-server.ts'
import type { KubeObject } from '../support/kube-client.ts'
import { until } from '../support/program.ts'
import { registered } from '../support/registered.ts'
import type { Registered } from '../support/registered.ts'
import { namespace } from '../support/registered-world.ts'

/*
 * The worlds of test/golden as objects of a real API server: the statuses that a replica writes there are the ones that lie beside each
 * world. Left out is what a server decides by itself: generations, and the moment of a change.
 */

const golden = resolve(import.meta.dirname, '../golden')

interface World {
  readonly name: string
  readonly seen: Readonly<Partial<Record<Witness, readonly string[]>>>
  readonly probes: readonly { readonly gateway: string; readonly rule: string; readonly outcome: ProbeOutcome }[]
  readonly objects: readonly KubeObject[]
  /** By policy and ancestor. */
  readonly statuses: Readonly<Record<string, object>>
}

interface Out {
  readonly statuses?: readonly {
    readonly policy: string
    readonly ancestors: readonly Readonly<Record<string, string>>[]
  }[]
}

/** What needs more than objects and checks (what the doctor found, what may be registered) is for the test without a server. */
const heads: ReadonlySet<string> = new Set(['seen', 'probes'])

/** `… at generation 3` is the server's own count. */
const anyNumber = (text: string): string => text.replace(/\bgeneration \d+/g, 'generation N')

const worlds = readdirSync(golden).flatMap((file) =>
  file.endsWith('.in.yaml') ? (world(file.slice(0, -8)) ?? []) : [],
)

function world(name: string): World | undefined {
  const text = readFileSync(resolve(golden, `${name}.in.yaml`), 'utf8')
  const split = text.indexOf('\n---\n')
  const head = (parse(text.slice(0, split)) ?? {}) as Partial<World> & { readonly seen?: readonly string[] }
  const { statuses = [] } = parse(readFileSync(resolve(golden, `${name}.out.yaml`), 'utf8')) as Out
  if (statuses.length === 0 || Object.keys(head).some((key) => !heads.has(key))) return undefined
  const documents = parseAllDocuments(text.slice(split + 1))
  if (!Array.isArray(documents)) return undefined
  const objects = documents.map((one) => one.toJS() as KubeObject).filter((one) => one !== null)
  // What was written before counts by its generation, which is the server's to give.
  if (objects.some((one) => one.kind === 'AuthPolicy' && (one as Stated).status !== undefined)) return undefined
  return {
    name,
    seen: Array.isArray(head.seen) ? { somebody: head.seen } : (head.seen ?? {}),
    probes: head.probes ?? [],
    objects,
    statuses: Object.fromEntries(
      statuses.map(({ policy, ancestors }) => [
        policy,
        Object.fromEntries(
          ancestors.map(({ at = '', ...conditions }) => [
            at,
            Object.fromEntries(
              Object.entries(conditions).map(([type, said]) => [type, anyNumber(said.replace(/ \(.*?\)/, ''))]),
            ),
          ]),
        ),
      ]),
    ),
  }
}

/** A status with what a server asks for in each condition besides. */
function whole(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(whole)
  if (typeof value !== 'object' || value === null) return value
  const inner = Object.fromEntries(Object.entries(value).map(([key, one]) => [key, whole(one)]))
  const condition = 'type' in value && 'reason' in value
  return condition ? { lastTransitionTime: '2026-11-01T00:00:00Z', message: '', ...inner } : inner
}

/** As an owner writes it: what the server gives is the server's. */
function written(object: KubeObject): object {
  const { name, namespace: space, labels, annotations } = object.metadata
  return { ...object, status: undefined, metadata: { name, namespace: space, labels, annotations } }
}
interface Stated {
  readonly status?: object
}

await describeOnKubernetes('the golden worlds', () => {
  let api: ApiServer
  let replica: Registered | undefined
  const spaces = new Set(
    worlds.flatMap(({ objects }) => objects.map(({ metadata }) => metadata.namespace ?? 'default')),
  )
  beforeAll(async () => {
    api = await apiServer({ crds: 'v1.7.0' })
    await api.apply(crdYaml())
    for (const name of new Set([...spaces, 'gatehouse'])) if (name !== 'default') await api.apply(namespace(name))
  }, 240_000)
  afterAll(() => api?.stop())
  const collections = [
    'apis/gatehouse.dev/v1alpha1/NS/authpolicies',
    'apis/gateway.networking.k8s.io/v1/NS/httproutes',
    'apis/gateway.networking.k8s.io/v1/NS/gateways',
    'api/v1/NS/secrets',
  ]
  afterEach(async () => {
    await replica?.close()
    replica = undefined
    for (const space of spaces)
      for (const path of collections) await api.request('DELETE', `/${path.replace('NS', `namespaces/${space}`)}`)
  })

  /** Applies an object with its status; the older first, a second apart, where ages decide. */
  const put = async ({ objects }: World): Promise<void> => {
    const age = ({ metadata: { creationTimestamp: at } }: KubeObject): string => (typeof at === 'string' ? at : '')
    let last = ''
    for (const one of objects.toSorted((a, b) => (age(a) < age(b) ? -1 : 1))) {
      if (age(one) !== last && last !== '') await new Promise((done) => setTimeout(done, 1100))
      last = age(one)
      await api.apply(written(one))
      const { status } = one as Stated
      const at = `${await api.path(one)}/status`
      if (status !== undefined) {
        const answer = await api.request('PATCH', at, { status: whole(status) }, 'application/merge-patch+json')
        expect(answer.status, JSON.stringify(answer.body)).toBe(200)
      }
    }
  }
  const found = async (policy: string): Promise<object> => {
    const [space = '', name = ''] = policy.split('/')
    const { body } = await api.request('GET', `/apis/gatehouse.dev/v1alpha1/namespaces/${space}/authpolicies/${name}`)
    return Object.fromEntries(
      writtenAncestors(body).map(({ ancestorRef, conditions }) => [
        showRef({ ...ancestorRef, namespace: ancestorRef.namespace ?? '' }),
        Object.fromEntries(
          conditions.map(({ type, status, reason, message }) => [type, anyNumber(`${status} ${reason}: ${message}`)]),
        ),
      ]),
    )
  }
  it.each(worlds.map((one) => [one.name, one] as const))(
    '%s',
    async (_, one) => {
      await put(one)
      const own = await registered(api)
      replica = own
      await until(own.lease.held, () => 'no lease')
      for (const [by, rules] of Object.entries(one.seen))
        for (const rule of rules) own.evidence.seen(rule, Date.now(), by as Witness)
      for (const { gateway, rule, outcome } of one.probes) own.evidence.probed(gateway, rule, outcome, Date.now())
      const told = async (): Promise<object> =>
        Object.fromEntries(
          await Promise.all(Object.keys(one.statuses).map(async (policy) => [policy, await found(policy)] as const)),
        )
      await expect.poll(told, { timeout: 8000, interval: 100 }).toEqual(one.statuses)
    },
    40_000,
  )

  it('are thirty at least', () => expect(worlds.length).toBeGreaterThanOrEqual(30))
})
