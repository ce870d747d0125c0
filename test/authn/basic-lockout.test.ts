import { hashSync } from '@node-rs/bcrypt'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { gatehouse } from '../support/gatehouse.ts'
import type { TestGatehouse } from '../support/gatehouse.ts'
import { basic, send } from '../support/send.ts'
import { attributes, checker } from '../transport/grpc/serving.ts'

/* Three rules of a route, each with a policy of its own, share one list of users; two transports ask for them. */

const rules = ['one', 'two', 'three']
const policy = (rule: string): string => `
apiVersion: gatehouse.dev/v1alpha1
kind: AuthPolicy
metadata: { namespace: shop, name: ${rule} }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: cart, sectionName: ${rule} }]
  authentication: [{ basic: { realm: Shop, usersRef: { name: users } } }]
---`
const files = {
  'policies.yaml': `${rules.map(policy).join('')}
apiVersion: v1
kind: Secret
metadata: { namespace: shop, name: users }
stringData:
  .htpasswd: |
    bob:${hashSync('builder', 4)}
    Zo\u00eb:${hashSync('p\u00e4', 4)}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { namespace: shop, name: cart }
spec:
  parentRefs: [{ name: edge }]
  hostnames: [shop.example]
  rules:
${rules.map((rule) => `    - { name: ${rule}, matches: [{ path: { type: PathPrefix, value: /${rule} } }] }`).join('\n')}
`,
}

let here: TestGatehouse
let gateway: ReturnType<typeof checker>
beforeEach(async () => {
  here = await gatehouse({ files })
  gateway = checker(`127.0.0.1:${here.grpcPort}`)
})
afterEach(async () => {
  gateway.close()
  await here.close()
})

interface Try {
  readonly user: string
  readonly password: string
  readonly rule: string
  /** Undefined where the gateway does not say. */
  readonly from: string | undefined
}

const overHttp = ({ user, password, rule, from }: Try, port = here.httpPort): Promise<unknown> =>
  send({
    port,
    path: `/v1/check/shop/cart/${rule}/-/${rule}`,
    host: 'shop.example',
    headers: [
      ['authorization', basic(user, password)],
      ...(from === undefined ? [] : [['x-forwarded-for', from] as const]),
    ],
  })

const overGrpc = ({ user, password, rule, from }: Try): Promise<unknown> =>
  gateway.check(
    attributes(
      { path: `/${rule}`, headers: { authorization: basic(user, password) } },
      {
        context_extensions: { namespace: 'shop', route: 'cart', rule },
        ...(from === undefined ? {} : { source: { address: { socket_address: { address: from } } } }),
      },
    ),
  )

/** What the log would say. */
const last = (): string | undefined => {
  const decision = here.records.at(-1)?.decision
  return decision?.kind === 'deny' ? decision.reason : decision?.kind
}

describe('over rules and transports', () => {
  it('BAS-18 one counter for all spellings of a user; the limit is reached once', async () => {
    const told: unknown[] = []
    for (const [index, user] of [
      'Zo\u00eb',
      'zo\u00eb',
      'Zoe\u0308',
      'ZO\u00cb',
      'Zo\u00eb',
      'Zoe\u0308',
      'Zo\u00eb',
    ].entries()) {
      const attempt = { user, password: `guess${index}`, rule: rules[index % 3] ?? '', from: '192.0.2.1' }
      await (index % 2 === 0 ? overGrpc(attempt) : overHttp(attempt))
      told.push(last())
    }
    expect(told).toEqual([...Array<string>(5).fill('bad-credential'), 'locked-out', 'locked-out'])
  })

  const behind = [
    ['that is not trusted', '192.0.2.0/24'],
    ['that is trusted and tells no address', '127.0.0.0/8'],
  ] as const
  it.each(behind)('BAS-19 nobody locks everybody out behind a gateway %s', async (_, trusted) => {
    const there = await gatehouse({ files, settings: { trustedProxies: [trusted] } })
    const told = (): string | undefined => {
      const record = there.records.at(-1)
      expect(record?.request.source).toBeUndefined()
      return record?.decision.kind === 'deny' ? record.decision.reason : record?.decision.kind
    }
    const bob = { user: 'bob', password: 'builder', rule: 'one', from: undefined }
    for (let index = 0; index < 60; index += 1)
      await overHttp({ user: `user${index}`, password: 'wrong', rule: 'one', from: undefined }, there.httpPort)
    await overHttp(bob, there.httpPort)
    expect(told()).toBe('allow')
    for (let index = 0; index < 10; index += 1) await overHttp({ ...bob, password: `guess${index}` }, there.httpPort)
    expect(told()).toBe('locked-out')
    await overHttp(bob, there.httpPort)
    expect(told()).toBe('allow')
    await there.close()
  })

  it('BAS-19 bob is let in from elsewhere while somebody else keeps failing as bob', async () => {
    for (const index of [0, 1, 2, 3, 4]) {
      await overGrpc({ user: 'bob', password: `guess${index}`, rule: 'one', from: '198.51.100.7' })
    }
    const right = { user: 'bob', password: 'builder', rule: 'two' }
    await overHttp({ ...right, from: '198.51.100.7' })
    expect(last()).toBe('locked-out')
    await overHttp({ ...right, from: '192.0.2.1' })
    expect(last()).toBe('allow')
    await overGrpc({ ...right, from: '192.0.2.1' })
    expect(last()).toBe('allow')
  })
})
