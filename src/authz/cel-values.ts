import { isCelList, isCelMap, isCelUint } from '@bufbuild/cel'
import type { CelInput } from '@bufbuild/cel'
import type { Identity } from '../model/identity.ts'
import type { AuthRequest } from '../model/request.ts'
import { queryPairs } from '../model/target.ts'
import { charge } from './cel-cost.ts'
import type { Subject } from './condition.ts'

type Members = ReadonlyMap<string, CelInput>

/**
 * What an expression sees, and of that only what it uses. Everything is a Map: no prototype stands behind a name. What is not
 * known (the scheme, the issuer, a query that cannot be decoded) is no member, so that `has()` tells and other uses fail.
 */
export function bindings({ request, identity, rule }: Subject, uses: ReadonlySet<string>): Record<string, CelInput> {
  const some = (root: string, getters: Readonly<Record<string, () => CelInput | undefined>>): Members =>
    new Map(
      Object.entries(getters).flatMap(([field, get]) => {
        const value = uses.has(`${root}.${field}`) ? get() : undefined
        return value === undefined ? [] : [[field, value] as const]
      }),
    )
  return Object.assign(Object.create(null) as Record<string, CelInput>, {
    request: some('request', {
      method: () => request.method,
      scheme: () => request.scheme,
      host: () => request.host,
      path: () => request.target.path,
      query: () => queryOf(request),
      headers: () => new Map([...request.headers].map(([name, values]) => [name, values.join(', ')])),
    }),
    identity: some('identity', {
      subject: () => identity.subject,
      method: () => identity.method,
      issuer: () => identity.issuer,
      claims: () => claimsOf(identity),
      scopes: () => identity.scopes,
      groups: () => identity.groups,
    }),
    rule: some('rule', { namespace: () => rule.namespace, route: () => rule.route, name: () => rule.rule }),
  })
}

/** First value of each parameter. */
function queryOf({ target }: AuthRequest): Members | undefined {
  const pairs = queryPairs(target.query)
  return pairs && new Map(pairs.toReversed())
}

/** Converted once for each identity: caches hand out the same one again and again. */
const converted = new WeakMap<object, CelInput>()

function claimsOf({ claims }: Identity): CelInput {
  const known = converted.get(claims)
  if (known !== undefined) return known
  const value = input(claims, 0)
  converted.set(claims, value)
  return value
}

const deepest = 64

function input(value: unknown, depth: number): CelInput {
  if (depth > deepest) throw new Error('claims are nested too deep')
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return value
  if (typeof value !== 'object') throw new Error('claims hold something that is not JSON')
  if (Array.isArray(value)) return value.map((one) => input(one, depth + 1))
  return new Map(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([name, member]) => [name, input(member, depth + 1)]),
  )
}

/** A result as plain data; an int is a bigint. Bytes, times and types have no one text, and are refused. */
export function plain(value: unknown): unknown {
  charge(1)
  if (value === null || ['string', 'number', 'boolean', 'bigint'].includes(typeof value)) return value
  if (isCelUint(value)) return value.value
  if (isCelList(value)) return [...value].map(plain)
  if (!isCelMap(value)) throw new Error('no header')
  const object = Object.create(null) as Record<string, unknown>
  for (const [key, member] of value) object[String(plain(key))] = plain(member)
  return object
}
