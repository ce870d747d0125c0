import { noReads } from '../../src/authz/cel-reads.ts'
import type { Authenticator, Outcome } from '../../src/authn/method.ts'
import type { Identity } from '../../src/model/identity.ts'
import { authRequest } from '../../src/model/request.ts'
import type { AuthRequest, RequestParts } from '../../src/model/request.ts'
import type { Policy, Rule, Snapshot } from '../../src/policy/snapshot.ts'

/* Builders with defaults: a test names only what it is about. */

export const identity = (some: Partial<Identity> = {}): Identity => ({
  subject: 'ada',
  method: 'staff',
  claims: {},
  scopes: [],
  groups: [],
  ...some,
})

export type RequestGiven = Partial<Omit<RequestParts, 'headers'>> & {
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
}

export function request({ headers = {}, ...some }: RequestGiven = {}): AuthRequest {
  const map = new Map(
    Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? [value] : value]),
  )
  return authRequest({
    via: 'check',
    claim: { kind: 'key', key: { namespace: 'shop', route: 'cart', rule: 'pay' } },
    method: 'GET',
    authority: 'shop.example',
    target: '/cart',
    ...some,
    headers: map,
  })
}

export const authenticator = (
  outcome: Outcome | (() => Outcome | Promise<Outcome>),
  some: Partial<Authenticator> = {},
): Authenticator => ({
  name: 'staff',
  kind: 'basic',
  authenticate: () => (typeof outcome === 'function' ? outcome() : outcome),
  presented: () => false,
  challenge: () => 'Basic realm="Staff", charset="UTF-8"',
  reads: ['authorization'],
  ...some,
})

export const policy = (some: Partial<Policy> = {}): Policy => ({
  name: 'shop/cart-pay',
  mode: 'Enforce',
  authenticators: [],
  guest: undefined,
  conditions: [],
  reads: noReads,
  headers: () => [],
  lastingHeaders: false,
  managed: [],
  remove: [],
  removeQuery: new Set(),
  unauthenticated: { respond: 'Forbidden' },
  denied: undefined,
  preflight: 'Authenticate',
  ambiguousPath: 'Deny',
  ...some,
})

export const rule = (some: Partial<Rule> = {}): Rule => ({
  key: { namespace: 'shop', route: 'cart', rule: 'pay' },
  id: 'shop/cart/pay',
  policy: policy(),
  refusal: undefined,
  owned: new Set(),
  hostnames: [''],
  checkPath: undefined,
  copiesLength: false,
  contested: undefined,
  acceptedBy: undefined,
  ...some,
})

export const snapshot = (some: Partial<Snapshot> = {}): Snapshot => ({
  generation: 1,
  rules: [],
  rule: () => undefined,
  match: () => ({ kind: 'refused', reason: 'no-match' }),
  release: () => undefined,
  ...some,
})
