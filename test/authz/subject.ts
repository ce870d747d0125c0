import type { Subject } from '../../src/authz/condition.ts'
import type { Identity } from '../../src/model/identity.ts'
import { identity, request } from '../support/make.ts'
import type { RequestGiven } from '../support/make.ts'

/** Someone asking for something, with a rule; claims are as a strict parser makes them: without a prototype. */
export const subject = (
  some: { identity?: Partial<Identity>; request?: RequestGiven; claims?: string } = {},
): Subject => ({
  request: request(some.request),
  identity: identity({
    ...(some.claims === undefined ? {} : { claims: bare(JSON.parse(some.claims)) }),
    ...some.identity,
  }),
  rule: { namespace: 'shop', route: 'cart', rule: 'pay' },
})

function bare<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(bare) as T
  const object = Object.create(null) as Record<string, unknown>
  for (const [key, member] of Object.entries(value)) object[key] = bare<unknown>(member)
  return object as T
}
