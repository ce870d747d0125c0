import { setTimeout as sleep } from 'node:timers/promises'
import type { Authenticator } from '../../../src/authn/method.ts'
import { absent, authenticated, rejected } from '../../../src/authn/method.ts'
import { createEngine } from '../../../src/engine/engine.ts'
import type { DecisionRecord } from '../../../src/engine/engine.ts'
import { ownedSpellings } from '../../../src/model/header.ts'
import { showRoute } from '../../../src/model/route.ts'
import type { Policy, Rule } from '../../../src/policy/snapshot.ts'
import { createHttpListener } from '../../../src/transport/http/server.ts'
import type { HttpListenerOptions } from '../../../src/transport/http/server.ts'
import { authenticator, identity, policy, rule, snapshot } from '../../support/make.ts'

/** `Bearer NAME` is NAME, `Bearer wrong` nobody, `Bearer slow-NAME` takes 60 ms, `Bearer never` ends with the request only. */
const bearer: Authenticator = authenticator(absent, {
  name: 'tokens',
  kind: 'bearer',
  presented: ({ headers }) => headers.has('authorization'),
  challenge: (error) => (error.kind === 'none' ? 'Bearer realm="test"' : `Bearer realm="test", error="${error.kind}"`),
  async authenticate({ headers }, signal) {
    const name = /^Bearer (\S+)$/.exec(headers.get('authorization')?.[0] ?? '')?.[1]
    if (name === undefined) return absent
    if (name === 'wrong') return rejected('bad-credential')
    if (name.startsWith('slow')) await sleep(60, undefined, { signal })
    if (name === 'never') await sleep(60_000, undefined, { signal })
    return authenticated(identity({ subject: name }))
  },
})

const owned = ownedSpellings(['x-user', 'x-groups'])

/** What an allow of `x-user` takes off the client's request, beside the credential. */
export const removed: readonly string[] = [...owned].filter((name) => name !== 'x-user')

const made = (name: string, some: Partial<Policy> = {}): Rule =>
  rule({
    key: { namespace: 'shop', route: 'cart', rule: name },
    hostnames: ['shop.example'],
    owned,
    policy: policy({
      authenticators: [bearer, authenticator(absent)],
      headers: ({ identity: { subject } }) => [['x-user', subject]],
      managed: ['x-user', 'x-groups'],
      remove: ['authorization'],
      ...some,
    }),
  })

const pay = made('pay')
/** Of a filter by which the gateway copies every header of the answer. */
const copied: Rule = { ...made('copied'), copiesLength: true }

export const rules: readonly Rule[] = [
  pay,
  made('ask', { unauthenticated: { respond: 'Challenge' } }),
  made('login', { unauthenticated: { respond: 'Redirect', location: 'https://login.example/' } }),
  made('words', { denied: { body: 'Not for you.\n', contentType: 'text/html' } }),
  made('guests', { guest: identity({ subject: 'anonymous', method: 'guest' }) }),
  made('unwritable', { headers: () => [['x-user', '💥']] }),
  made('latin', { headers: () => [['x-user', 'Jos\u00e9']] }),
  made('as-sent', { ambiguousPath: 'AsSent' }),
  copied,
  made('_'),
]

export const world = snapshot({
  rules,
  rule: (key) => rules.find((one) => showRoute(one.key) === showRoute(key)),
  match: ({ target }) =>
    target.path.startsWith('/pay') || target.path.startsWith('/copied')
      ? { kind: 'rule', rule: target.path.startsWith('/pay') ? pay : copied }
      : { kind: 'refused', reason: 'no-match' },
})

export const clock = { now: Date.now, ticks: () => performance.now() }

/** A running HTTP listener over a hand-made snapshot. */
export async function serving(given: Partial<HttpListenerOptions> & { readonly unready?: boolean } = {}) {
  const records: DecisionRecord[] = []
  const engine = createEngine({
    snapshot: () => (given.unready === true ? undefined : world),
    clock,
    record: (record) => records.push(record),
  })
  const listener = await createHttpListener({
    engine,
    kind: 'keyed',
    listen: { host: '127.0.0.1', port: 0 },
    trustedProxies: ['127.0.0.0/8'],
    budgetMillis: 2_000,
    ...given,
  })
  return { listener, port: listener.address.port, records, close: (grace = 100) => listener.close(grace) }
}

/** The path of a check for the rule `pay`, up to where the client's own target begins. */
export const prefix = '/v1/check/shop/cart/pay/-'
