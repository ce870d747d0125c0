import { afterAll, beforeAll, expect, it } from 'vitest'
import { createReviews } from '../../src/authn/kubernetes-reviews.ts'
import type { ReviewEvent, Reviews } from '../../src/authn/kubernetes-reviews.ts'
import { createKeyedDigest } from '../../src/authn/keyed-digest.ts'
import { kubernetesToken } from '../../src/authn/kubernetes-token.ts'
import type { Services } from '../../src/authn/services.ts'
import { kubernetes } from '../../src/authz/kubernetes.ts'
import { decide } from '../../src/engine/decide.ts'
import type { Verdict } from '../../src/engine/decide.ts'
import { createKubeClient } from '../../src/kubernetes/client.ts'
import { createReviewServer } from '../../src/kubernetes/reviews.ts'
import { parse } from '../../src/policy/parse.ts'
import { createServices, systemClock } from '../../src/services.ts'
import { apiServer, describeOnKubernetes } from '../support/api-server.ts'
import type { ApiServer } from '../support/api-server.ts'
import { gatehouse } from '../support/gatehouse.ts'
import { configOf } from '../support/kube-source.ts'
import { authenticator, policy, request, rule } from '../support/make.ts'
import type { RequestGiven } from '../support/make.ts'
import { authenticatorOf, methodContext } from '../support/method-context.ts'
import { send } from '../support/send.ts'

const rbac = { apiGroup: 'rbac.authorization.k8s.io' } as const
const account = (namespace: string, name: string) => ({
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: { namespace, name },
})
const binding = (namespace: string, name: string, kind: 'Role' | 'ClusterRole', subject: object) => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  metadata: { namespace, name },
  roleRef: { ...rbac, kind, name },
  subjects: [subject],
})
const clusterBinding = (name: string, role: string, subject: object) => ({
  ...binding('', name, 'ClusterRole', subject),
  kind: 'ClusterRoleBinding',
  metadata: { name },
  roleRef: { ...rbac, kind: 'ClusterRole', name: role },
})
const role = (namespace: string | undefined, name: string, rules: readonly object[]) => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: namespace === undefined ? 'ClusterRole' : 'Role',
  metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
  rules,
})

const cart = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { namespace: shop, name: cart }
spec:
  hostnames: [shop.example]
  rules: [{ name: count }]
---
apiVersion: gatehouse.dev/v1alpha1
kind: AuthPolicy
metadata: { namespace: shop, name: cart }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: cart }]
  authentication:
    - name: pods
      kubernetesToken: { audiences: [cart] }
  authorization:
    - kubernetes: { verb: FromRequest, path: FromRequest }
  response:
    headers: [{ name: x-user, value: { cel: identity.subject } }]
  unauthenticated: { respond: Challenge }
`

/** What a Gatehouse that runs under an account of the cluster has of it. */
interface Own {
  readonly reviews: Reviews
  readonly events: ReviewEvent[]
  readonly close: () => Promise<void>
}

await describeOnKubernetes('credentials of a cluster', () => {
  let api: ApiServer
  let own: Own
  const open: Own[] = []

  async function tokenOf(name: string, audiences?: readonly string[], namespace = 'shop'): Promise<string> {
    const spec = audiences === undefined ? {} : { audiences }
    const { status, body } = await api.request<{ readonly status: { readonly token: string } }>(
      'POST',
      `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`,
      { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec },
    )
    expect(status).toBe(201)
    return body.status.token
  }

  async function gatehouseAs(name: string): Promise<Own> {
    const token = await tokenOf(name, undefined, 'gatehouse')
    const client = createKubeClient({ load: () => configOf({ server: api.server, ca: api.ca, token }) })
    const events: ReviewEvent[] = []
    const reviews = createReviews({
      server: createReviewServer(client, api.server),
      clock: systemClock,
      digest: createKeyedDigest(),
      report: (event) => events.push(event),
    })
    const close = async (): Promise<void> => {
      reviews.close()
      await client.close()
    }
    const made = { reviews, events, close }
    open.push(made)
    return made
  }

  /** Decides as a policy with this method and these conditions does. */
  function decider({ reviews }: Own, conditions: readonly object[] = [], block: object = {}) {
    const services: Partial<Services> = { reviews, clock: systemClock }
    const compiled = conditions.map((given) => {
      const read = parse(kubernetes.schema, given)
      const result = read.ok ? kubernetes.compile(read.value, { reviews }) : read
      if (!result.ok) throw new Error(JSON.stringify(result.findings))
      return result.value
    })
    const by = authenticatorOf(kubernetesToken, { audiences: ['cart'], ...block }, methodContext({ services }))
    const judging = rule({ policy: policy({ authenticators: [by], conditions: compiled }) })
    return async (token: string, given: RequestGiven = {}): Promise<Verdict> =>
      decide(judging, request({ ...given, headers: { authorization: `Bearer ${token}` } }), AbortSignal.timeout(10_000))
  }

  const show = ({ decision }: Verdict): string => (decision.kind === 'deny' ? decision.reason : 'allow')

  beforeAll(async () => {
    api = await apiServer()
    await api.apply(
      ...['gatehouse', 'shop', 'till'].map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })),
      account('gatehouse', 'gatehouse'),
      account('gatehouse', 'powerless'),
      ...['robot', 'visitor', 'leaver'].map((name) => account('shop', name)),
      account('till', 'robot'),
      // The least that both reviews need; every cluster has it.
      clusterBinding('gatehouse-reviews', 'system:auth-delegator', {
        kind: 'ServiceAccount',
        namespace: 'gatehouse',
        name: 'gatehouse',
      }),
      role('shop', 'carts', [
        { apiGroups: ['shop.example'], resources: ['carts'], resourceNames: ['one'], verbs: ['get', 'update'] },
        { apiGroups: [''], resources: ['pods'], verbs: ['get'] },
      ]),
      binding('shop', 'carts', 'Role', { kind: 'ServiceAccount', namespace: 'shop', name: 'robot' }),
      role(undefined, 'counters', [{ nonResourceURLs: ['/counters', '/counters/*'], verbs: ['get'] }]),
      clusterBinding('counters', 'counters', { ...rbac, kind: 'Group', name: 'system:serviceaccounts:shop' }),
    )
    own = await gatehouseAs('gatehouse')
  }, 120_000)

  afterAll(async () => {
    await Promise.all(open.map(({ close }) => close()))
    await api.stop()
  })

  it('knows a service account by a token for us', async () => {
    const verdict = await decider(own)(await tokenOf('robot', ['cart']))
    expect(verdict).toMatchObject({ cache: 'miss', method: 'entry', subject: 'system:serviceaccount:shop:robot' })
    expect(verdict.decision).toMatchObject({
      kind: 'allow',
      identity: {
        groups: ['system:serviceaccounts', 'system:serviceaccounts:shop', 'system:authenticated'],
        claims: { uid: expect.stringMatching(/^[0-9a-f-]{36}$/) },
      },
    })
  })

  it.each<[string, readonly string[] | undefined, readonly string[], string]>([
    ['ours and another', ['till', 'cart'], ['cart'], 'allow'],
    ['one of several of ours', ['till'], ['cart', 'till'], 'allow'],
    ['another', ['till'], ['cart'], 'bad-credential'],
    ['the API server', undefined, ['cart'], 'bad-credential'],
    ['one in another case', ['Cart'], ['cart'], 'bad-credential'],
  ])('takes a token by its audience: %s', async (_, audiences, ours, expected) => {
    expect(show(await decider(own, [], { audiences: ours })(await tokenOf('robot', audiences)))).toBe(expected)
  })

  it('refuses what nobody signed', async () => {
    const decideOn = decider(own)
    const token = await tokenOf('robot', ['cart'])
    const [head = '', payload = '', signature = ''] = token.split('.')
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Readonly<Record<string, unknown>>
    const forged = Buffer.from(JSON.stringify({ ...claims, sub: 'system:serviceaccount:kube-system:admin' }))
    for (const made of [
      'made-up',
      `${head}.${forged.toString('base64url')}.${signature}`,
      `${head}.${payload}.`,
      `${head}.${payload}.${signature.slice(0, -8)}AAAAAAAA`,
      `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`,
    ]) {
      expect(show(await decider(own)(made))).toBe('bad-credential')
    }
    expect(show(await decideOn(token))).toBe('allow')
  })

  it('hears of a deleted account as late as its cache says', async () => {
    const token = await tokenOf('leaver', ['cart'])
    const atOnce = decider(own, [], { cache: { seconds: 0 } })
    const later = decider(own, [], { cache: { seconds: 300 } })
    expect(show(await later(token))).toBe('allow')
    await api.request('DELETE', '/api/v1/namespaces/shop/serviceaccounts/leaver')
    // The API server itself remembers a token for a few seconds.
    await expect.poll(async () => show(await atOnce(token)), { timeout: 20_000, interval: 200 }).toBe('bad-credential')
  }, 30_000)

  it.each<[string, object, RequestGiven, string, string]>([
    ['a resource', { verb: 'get', resource: 'pods', namespace: 'shop' }, {}, 'allow', 'condition-false'],
    [
      'another namespace',
      { verb: 'get', resource: 'pods', namespace: 'till' },
      {},
      'condition-false',
      'condition-false',
    ],
    ['every namespace', { verb: 'get', resource: 'pods' }, {}, 'condition-false', 'condition-false'],
    ['another verb', { verb: 'list', resource: 'pods', namespace: 'shop' }, {}, 'condition-false', 'condition-false'],
    [
      'an object',
      { verb: 'FromRequest', group: 'shop.example', resource: 'carts', name: 'one', namespace: 'shop' },
      { method: 'PUT' },
      'allow',
      'condition-false',
    ],
    [
      'an object, with another method',
      { verb: 'FromRequest', group: 'shop.example', resource: 'carts', name: 'one', namespace: 'shop' },
      { method: 'DELETE' },
      'condition-false',
      'condition-false',
    ],
    [
      'every object',
      { verb: 'get', group: 'shop.example', resource: 'carts', namespace: 'shop' },
      {},
      'condition-false',
      'condition-false',
    ],
    [
      'a subresource',
      { verb: 'get', resource: 'pods', subresource: 'log', namespace: 'shop' },
      {},
      'condition-false',
      'condition-false',
    ],
    ['a URL by the group', { verb: 'get', path: '/counters/7' }, {}, 'allow', 'allow'],
    ['another URL', { verb: 'get', path: '/countersign' }, {}, 'condition-false', 'condition-false'],
    ['the URL', { verb: 'FromRequest', path: 'FromRequest' }, { target: '/counters/7?x=1' }, 'allow', 'allow'],
    [
      'the URL, escaped',
      { verb: 'get', path: 'FromRequest' },
      { target: '/%63ounters/7' },
      'ambiguous-target',
      'ambiguous-target',
    ],
    [
      'the URL, with another method',
      { verb: 'FromRequest', path: 'FromRequest' },
      { target: '/counters/7', method: 'POST' },
      'condition-false',
      'condition-false',
    ],
  ])('asks RBAC about %s', async (_, block, given, robot, visitor) => {
    const decideOn = decider(own, [block])
    expect(show(await decideOn(await tokenOf('robot', ['cart']), given))).toBe(robot)
    expect(show(await decideOn(await tokenOf('visitor', ['cart']), given))).toBe(visitor)
  })

  it('asks about the users of other methods by their names, but never as an administrator', async () => {
    const [ada, admin] = [
      { subject: 'ada', groups: ['staff'] },
      { subject: 'eve', groups: ['system:masters'] },
    ]
    const staff = binding('shop', 'carts', 'Role', { ...rbac, kind: 'Group', name: 'staff' })
    await api.apply({ ...staff, metadata: { namespace: 'shop', name: 'carts-of-staff' } })
    const block = { verb: 'get', resource: 'pods', namespace: 'shop' }
    const read = parse(kubernetes.schema, block)
    const result = read.ok ? kubernetes.compile(read.value, { reviews: own.reviews }) : read
    const judge = async (who: typeof ada): Promise<string> => {
      const identity = { ...who, method: 'corp', claims: {}, scopes: [] }
      const by = authenticator({ kind: 'authenticated', identity, cache: 'none' })
      const judging = rule({ policy: policy({ authenticators: [by], conditions: result.ok ? [result.value] : [] }) })
      return show(await decide(judging, request(), AbortSignal.timeout(5000)))
    }
    expect(result.ok).toBe(true)
    expect(await judge(admin)).toBe('condition-error')
    await expect.poll(() => judge(ada), { timeout: 10_000, interval: 500 }).toBe('allow')
    expect(await judge({ ...ada, groups: [] })).toBe('condition-false')
  }, 20_000)

  it('does all of it for a gateway that asks over HTTP', async () => {
    const token = await tokenOf('gatehouse', undefined, 'gatehouse')
    const client = createKubeClient({ load: () => configOf({ server: api.server, ca: api.ca, token }) })
    const services = createServices({ reviewServer: createReviewServer(client, api.server) })
    const running = await gatehouse({ files: { 'cart.yaml': cart }, services })
    const ask = async (path: string, bearer?: string): Promise<readonly [number, string | undefined]> => {
      const headers = bearer === undefined ? [] : [['Authorization', `Bearer ${bearer}`] as const]
      const answer = await send({
        port: running.httpPort,
        path: `/v1/check/shop/cart/count/-${path}`,
        host: 'shop.example',
        headers,
      })
      return [answer.status, answer.all('x-user')[0] ?? answer.all('www-authenticate')[0]]
    }
    try {
      expect(running.problems()).toEqual([])
      const robot = await tokenOf('robot', ['cart'])
      expect(await ask('/counters/7', robot)).toEqual([200, 'system:serviceaccount:shop:robot'])
      expect(await ask('/elsewhere', robot)).toEqual([403, undefined])
      expect(await ask('/counters/7', await tokenOf('robot'))).toEqual([401, expect.stringContaining('invalid_token')])
      expect(await ask('/counters/7')).toEqual([401, 'Bearer realm="gatehouse"'])
    } finally {
      await running.close()
      await client.close()
    }
  }, 20_000)

  it('answers 200 requests with distinct tokens at once, permission and all', async () => {
    const tokens: string[] = []
    for (let at = 0; at < 200; at += 20) {
      tokens.push(...(await Promise.all(Array.from({ length: 20 }, () => tokenOf('robot', ['cart'])))))
    }
    expect(new Set(tokens).size).toBe(200)
    const fresh = await gatehouseAs('gatehouse')
    const decideOn = decider(fresh, [{ verb: 'get', path: 'FromRequest' }])
    const all = async (): Promise<readonly Verdict[]> =>
      Promise.all(tokens.map((token, at) => decideOn(token, { target: `/counters/${at}` })))
    const started = performance.now()
    const first = await all()
    const millis = performance.now() - started
    expect(new Set(first.map(show))).toEqual(new Set(['allow']))
    // 400 calls: 20 s at the 20 a second that clients of Kubernetes usually allow themselves.
    expect(fresh.events).toEqual(Array.from({ length: 400 }, () => 'answered'))
    expect(millis).toBeLessThan(8000)
    const second = await all()
    expect(new Set(second.map(({ cache }) => cache))).toEqual(new Set(['hit']))
    process.stdout.write(`200 distinct tokens, 400 reviews: ${Math.round(millis)} ms\n`)
  }, 60_000)

  it('denies and tells why where its own account may not ask', async () => {
    const powerless = await gatehouseAs('powerless')
    const token = await tokenOf('robot', ['cart'])
    expect(show(await decider(powerless)(token))).toBe('kubernetes-unavailable')
    expect(powerless.events).toEqual(['refused'])
  })

  it('keeps answering from what it knows while the API server is away, and comes back by itself', async () => {
    const [known, unknown] = [await tokenOf('robot', ['cart']), await tokenOf('visitor', ['cart'])]
    const decideOn = decider(own, [], { cache: { seconds: 300 } })
    const asked = decider(own, [{ verb: 'get', path: '/counters' }], { cache: { seconds: 300 } })
    expect(show(await decideOn(known))).toBe('allow')
    await api.kill()
    expect(show(await decideOn(known))).toBe('allow')
    expect(show(await decideOn(unknown))).toBe('kubernetes-unavailable')
    expect(show(await asked(known))).toBe('kubernetes-unavailable')
    await api.restart()
    await expect.poll(async () => show(await asked(unknown)), { timeout: 20_000, interval: 200 }).toBe('allow')
    expect(show(await asked(known))).toBe('allow')
  }, 90_000)
})
