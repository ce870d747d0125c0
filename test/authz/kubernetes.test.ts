import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { authenticated } from '../../src/authn/method.ts'
import type { Condition, Verdict } from '../../src/authz/condition.ts'
import { kubernetes } from '../../src/authz/kubernetes.ts'
import { decide } from '../../src/engine/decide.ts'
import type { Result } from '../../src/model/result.ts'
import { clusterIdentity } from '../../src/model/reviews.ts'
import type { AccessAttributes, AccessReviews } from '../../src/model/reviews.ts'
import { parse } from '../../src/policy/parse.ts'
import { gatehouse } from '../support/gatehouse.ts'
import { authenticator, policy, request, rule } from '../support/make.ts'
import type { RequestGiven } from '../support/make.ts'
import { reviewServer, reviewsOf, robot } from '../support/review-server.ts'
import { send } from '../support/send.ts'
import { subject } from './subject.ts'

const never = new AbortController().signal
const pods = { verb: 'get', resource: 'pods' }
const allowed = { kind: 'allowed' } as const
const denied = { kind: 'denied' } as const

function compiled(block: unknown, reviews: AccessReviews | undefined): Result<Condition> {
  const read = parse(kubernetes.schema, block)
  return read.ok ? kubernetes.compile(read.value, { reviews }) : read
}

function condition(block: unknown, reviews: AccessReviews): Condition {
  const result = compiled(block, reviews)
  if (!result.ok) throw new Error(JSON.stringify(result.findings))
  return result.value
}

/** Somebody whom the API server knows, with a request. */
const someone = (request: RequestGiven = {}, user = robot()) => ({
  ...subject({ request }),
  identity: clusterIdentity(user, 'pods'),
})

function show(verdict: Verdict): string {
  if (verdict.kind === 'unavailable') return verdict.reason
  return verdict.kind === 'error' && verdict.cause instanceof Error ? verdict.cause.message : verdict.kind
}

/** What the API server is asked for a request, or the verdict where it is not asked. */
async function asked(block: unknown, request: RequestGiven = {}): Promise<AccessAttributes | string> {
  const server = reviewServer(allowed)
  const verdict = await condition(block, reviewsOf(server).reviews)(someone(request), never)
  return server.questions[0]?.attributes ?? verdict.kind
}

const nothing = { subresource: '', name: '', namespace: '' }

describe('what is asked', () => {
  it.each<[string, object, AccessAttributes]>([
    ['a core resource', pods, { kind: 'resource', verb: 'get', group: '', resource: 'pods', ...nothing }],
    [
      'a part of one object',
      { verb: 'update', group: 'apps', resource: 'deployments', subresource: 'scale', name: 'cart', namespace: 'shop' },
      {
        kind: 'resource',
        verb: 'update',
        group: 'apps',
        resource: 'deployments',
        subresource: 'scale',
        name: 'cart',
        namespace: 'shop',
      },
    ],
    ['a URL', { verb: 'get', path: '/metrics' }, { kind: 'path', verb: 'get', path: '/metrics' }],
  ])('%s', async (_, block, expected) => {
    expect(await asked(block)).toEqual(expected)
  })

  it.each([
    ['GET', 'get', 'get'],
    ['HEAD', 'get', 'head'],
    ['POST', 'create', 'post'],
    ['PUT', 'update', 'put'],
    ['PATCH', 'patch', 'patch'],
    ['DELETE', 'delete', 'delete'],
    ['OPTIONS', 'false', 'options'],
    ['PROPFIND', 'false', 'propfind'],
    ['get', 'false', 'false'],
    ['Delete', 'false', 'false'],
    ['constructor', 'false', 'false'],
  ])('the verb from the method %s', async (method, resourceVerb, pathVerb) => {
    const verb = (found: AccessAttributes | string): string => (typeof found === 'string' ? found : found.verb)
    expect(verb(await asked({ ...pods, verb: 'FromRequest' }, { method }))).toBe(resourceVerb)
    expect(verb(await asked({ verb: 'FromRequest', path: '/' }, { method }))).toBe(pathVerb)
  })

  it.each([
    ['/admin/users', '/admin/users'],
    ['/admin?x=/public', '/admin'],
    ['/%61dmin', 'false'],
    ['/caf%C3%A9', '/café'],
    ['/public/../admin', 'false'],
    ['/public/%2e%2e/admin', 'false'],
    ['/public%2F..%2Fadmin', 'false'],
    ['/public//admin', 'false'],
    ['/public;x/admin', 'false'],
    ['/%2561dmin', '/%61dmin'],
    ['/%25%32%65', 'false'],
    ['/%ff', 'false'],
  ])('the path of the request %s', async (target, expected) => {
    const found = await asked({ verb: 'get', path: 'FromRequest' }, { target })
    expect(typeof found === 'string' || found.kind !== 'path' ? found : found.path).toBe(expected)
  })

  it('nothing for OPTIONS *', async () => {
    expect(await asked({ verb: 'get', path: 'FromRequest' }, { method: 'OPTIONS', target: '*' })).toBe('false')
  })
})

describe('for whom', () => {
  it('asks for a user of the cluster with everything that the API server said', async () => {
    const server = reviewServer(allowed)
    expect(await condition(pods, reviewsOf(server).reviews)(someone(), never)).toEqual({ kind: 'true' })
    expect(server.questions[0]?.user).toEqual(robot())
  })

  it('asks for the users of other methods by their own names', async () => {
    const server = reviewServer(allowed)
    const ada = subject({ identity: { subject: 'ada', groups: ['staff'] } })
    expect(await condition(pods, reviewsOf(server).reviews)(ada, never)).toEqual({ kind: 'true' })
    expect(server.questions[0]?.user).toEqual({ username: 'ada', uid: '', groups: ['staff'], extra: {} })
  })

  it.each([
    ['a service account', { subject: 'system:serviceaccount:kube-system:admin' }],
    ['a node', { subject: 'system:node:one' }],
    ['an administrator by group', { groups: ['staff', 'system:masters'] }],
    ['any user of the cluster', { groups: ['system:authenticated'] }],
    ['a copy of an identity without its voucher', { ...JSON.parse(JSON.stringify(clusterIdentity(robot(), 'pods'))) }],
  ])('does not take anybody of another method for %s', async (_, identity) => {
    const server = reviewServer(allowed)
    const verdict = await condition(pods, reviewsOf(server).reviews)(subject({ identity }), never)
    expect(show(verdict)).toContain('system:')
    expect(verdict.kind).toBe('error')
    expect(server.questions).toEqual([])
  })
})

describe('the verdict', () => {
  it.each([
    ['allowed', allowed, 'true'],
    ['denied', denied, 'false'],
    ['no answer', { kind: 'failed', why: 'trouble' }, 'kubernetes-unavailable'],
    ['we may not ask', { kind: 'failed', why: 'refused' }, 'kubernetes-unavailable'],
    ['it will not judge', { kind: 'failed', why: 'unfit' }, 'kubernetes-unavailable'],
  ] as const)('%s', async (_, answer, expected) => {
    expect(show(await condition(pods, reviewsOf(reviewServer(answer)).reviews)(someone(), never))).toBe(expected)
  })

  it('is none where the request has no time left', async () => {
    const one = condition(pods, reviewsOf(reviewServer()).reviews)
    expect(show(await one(someone(), AbortSignal.abort()))).toBe('kubernetes-unavailable')
    const stop = new AbortController()
    const waiting = one(someone(), stop.signal)
    stop.abort()
    expect(show(await waiting)).toBe('kubernetes-unavailable')
  })

  it('DOS-20 is none for a request that is late, unless it is known', async () => {
    const server = reviewServer(allowed)
    const one = condition(pods, reviewsOf(server).reviews)
    const late = { ...someone(), request: { ...someone().request, late: true } }
    expect(show(await one(late, never))).toBe('overloaded')
    expect(server.questions).toEqual([])
    expect(show(await one(someone(), never))).toBe('true')
    expect(show(await one(late, never))).toBe('true')
  })

  it('is none where too many questions are under way', async () => {
    const server = reviewServer()
    const { reviews } = reviewsOf(server, { limits: { concurrency: 1 } })
    const one = condition(pods, reviews)
    const first = one(someone(), never)
    expect(show(await one(someone({}, robot({ username: 'other' })), never))).toBe('overloaded')
    server.answer(allowed)
    expect((await first).kind).toBe('true')
  })

  it.each([
    ['allowed', allowed, 'true'],
    ['denied', denied, 'false'],
  ] as const)('%s is believed for five seconds', async (_, answer, expected) => {
    const server = reviewServer(answer)
    const { reviews, clock } = reviewsOf(server)
    const one = condition(pods, reviews)
    await one(someone(), never)
    clock.forward(4999)
    const again = one(someone(), never)
    expect(again).toEqual({ kind: expected }) // at once, without a promise
    clock.forward(1)
    await one(someone(), never)
    expect(server.questions.length).toBe(2)
  })

  it('is not anybody else’s: every part of the question counts', async () => {
    const server = reviewServer(allowed)
    const { reviews } = reviewsOf(server)
    const users = [
      robot(),
      robot({ username: 'other' }),
      robot({ uid: 'other' }),
      robot({ groups: [] }),
      robot({ groups: ['system:serviceaccounts,system:authenticated'] }),
      robot({ groups: ['system:serviceaccounts","system:authenticated'] }),
      robot({ extra: {} }),
      robot({ extra: { a: ['b'] } }),
    ]
    const full = { verb: 'get', group: 'g', resource: 'r', subresource: 's', name: 'n', namespace: 'm' }
    const blocks = [
      ...Object.keys(full).map((key) => ({ ...full, [key]: 'x' })),
      { verb: 'get', path: '/a' },
      { verb: 'post', path: '/a' },
      { verb: 'get', path: '/b' },
    ]
    for (const user of users) await condition(full, reviews)(someone({}, user), never)
    for (const block of blocks) await condition(block, reviews)(someone(), never)
    expect(server.questions.length).toBe(users.length + blocks.length)
  })

  it('has a circuit breaker apart from that of tokens', async () => {
    const server = reviewServer({ kind: 'failed', why: 'refused' })
    const { reviews } = reviewsOf(server)
    const question = { token: 't', audiences: ['a'], maxAge: 0 }
    for (let at = 0; at < 9; at += 1) await reviews.tokenReview(question, never)
    expect(server.tokens.length).toBe(5)
    server.always = allowed
    expect((await condition(pods, reviews)(someone(), never)).kind).toBe('true')
  })
})

describe('the block', () => {
  it.each<[string, object]>([
    ['neither a resource nor a path', { verb: 'get' }],
    ['both', { ...pods, path: '/' }],
    ['no verb', { resource: 'pods' }],
    ['a verb in capitals', { ...pods, verb: 'GET' }],
    ['every verb at once', { ...pods, verb: '*' }],
    ['every resource at once', { verb: 'get', resource: '*' }],
    ['a subresource in the resource', { verb: 'get', resource: 'pods/log' }],
    ['every group at once', { ...pods, group: '*' }],
    ['an empty namespace', { ...pods, namespace: '' }],
    ['an empty name', { ...pods, name: '' }],
    ['every name at once', { ...pods, name: '*' }],
    ['a relative path', { verb: 'get', path: 'metrics' }],
    ['a path with a wildcard', { verb: 'get', path: '/metrics/*' }],
    ['a path with a query', { verb: 'get', path: '/metrics?x' }],
    ['a path with a namespace', { verb: 'get', path: '/metrics', namespace: 'shop' }],
    ['an unknown key', { ...pods, resources: 'pods' }],
  ])('may not have %s', (_, block) => {
    expect(compiled(block, reviewsOf(reviewServer()).reviews)).toMatchObject({ ok: false })
  })

  it('needs a cluster', () => {
    expect(compiled(pods, undefined)).toMatchObject({
      ok: false,
      findings: [{ severity: 'error', mend: 'serve with --kubernetes' }],
    })
    expect(kubernetes.compile(pods)).toMatchObject({ ok: false })
  })
})

it('asks for the very path or not at all, whatever is sent', async () => {
  const server = reviewServer(allowed)
  const one = condition({ verb: 'get', path: 'FromRequest' }, reviewsOf(server).reviews)
  const segment = fc.oneof(fc.webSegment(), fc.constantFrom('.', '..', '%2e', '%2E%2e', '%2f', '%5c', ';', '', 'a'))
  const targets = fc.array(segment, { minLength: 1, maxLength: 5 }).map((parts) => `/${parts.join('/')}`)
  let answered = 0
  await fc.assert(
    fc.asyncProperty(targets, async (target) => {
      const before = server.questions.length
      const { kind } = await one(someone({ target }, robot({ uid: target })), never)
      const { attributes } = server.questions[before] ?? {}
      if (attributes?.kind !== 'path') return
      answered += 1
      expect(kind).toBe('true')
      expect(attributes.path).toBe(decodeURIComponent(target))
      expect(attributes.path).not.toMatch(/\/\/|\/\.\.?(\/|$)|\\|;/)
    }),
  )
  expect(answered).toBeGreaterThan(5)
})

describe('in a decision', () => {
  const { key } = rule()
  const judged = async (conditions: readonly Condition[], signal = never): Promise<string> => {
    const policyOf = policy({ authenticators: [authenticator(authenticated(someone().identity))], conditions })
    const { decision } = await decide(rule({ policy: policyOf }), request(), signal)
    return decision.kind === 'deny' ? decision.reason : 'allow'
  }

  it.each([
    ['allowed', allowed, 'allow'],
    ['denied', denied, 'condition-false'],
    ['no answer', { kind: 'failed', why: 'trouble' }, 'kubernetes-unavailable'],
  ] as const)('%s late', async (_, answer, expected) => {
    const server = reviewServer()
    const decided = judged([condition(pods, reviewsOf(server).reviews)])
    await expect.poll(() => server.answer(answer)).toBe(true)
    expect(await decided).toBe(expected)
  })

  it('asks nothing more once a condition does not hold', async () => {
    const server = reviewServer(allowed)
    const last = condition(pods, reviewsOf(server).reviews)
    expect(await judged([() => Promise.resolve({ kind: 'false' }), last])).toBe('condition-false')
    expect(server.questions).toEqual([])
  })

  it('denies where a condition breaks its word and rejects', async () => {
    expect(await judged([() => Promise.reject(new Error('broken'))])).toBe('internal')
  })

  it('ends the wait with the request', async () => {
    const stop = new AbortController()
    const server = reviewServer()
    const { reviews } = reviewsOf(server, { limits: { timeout: 60_000 } })
    const decided = judged([condition(pods, reviews)], stop.signal)
    await expect.poll(() => server.questions.length).toBe(1)
    stop.abort()
    expect(await decided).toBe('kubernetes-unavailable')
  })

  it('tells the condition which rule it is about', async () => {
    const seen: unknown[] = []
    await judged([({ rule: about }) => (seen.push(about), { kind: 'true' })])
    expect(seen).toEqual([key])
  })
})

it('cannot be used in a directory: the policy cannot be used, both places are named, and its rules deny', async () => {
  const running = await gatehouse({ files: { 'cart.yaml': clusterPolicy } })
  try {
    const found = running.problems().filter(({ severity }) => severity === 'error')
    expect(found.map(({ path }) => path)).toEqual([
      ['spec', 'authentication', 0, 'kubernetesToken'],
      ['spec', 'authorization', 0, 'kubernetes'],
    ])
    expect(found.every(({ mend }) => mend === 'serve with --kubernetes')).toBe(true)
    const headers = [['Authorization', 'Bearer t']] as const
    const path = '/v1/check/shop/cart/pay/-/x'
    expect((await send({ port: running.httpPort, path, host: 'shop.example', headers })).status).toBe(403)
    expect(running.records[0]?.decision).toMatchObject({ kind: 'deny', reason: 'broken-policy' })
  } finally {
    await running.close()
  }
})

const clusterPolicy = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { namespace: shop, name: cart }
spec:
  rules: [{ name: pay }]
---
apiVersion: gatehouse.dev/v1alpha1
kind: AuthPolicy
metadata: { namespace: shop, name: cart }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: cart }]
  authentication: [{ kubernetesToken: { audiences: [cart] } }]
  authorization: [{ kubernetes: { verb: get, resource: pods } }]
`
