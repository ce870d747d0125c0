import type { CelInput } from '@bufbuild/cel'
import type { Identity } from '../model/identity.ts'
import { memo } from '../model/memo.ts'
import type { AuthRequest } from '../model/request.ts'
import { queryPairs } from '../model/target.ts'
import { charge } from './cel-cost.ts'
import { library } from './cel-library.ts'
import { variables } from './cel-types.ts'
import type { Subject } from './condition.ts'

type Members = ReadonlyMap<string, CelInput>

/**
 * What an expression sees, and of that only what it uses. Everything is a Map: no prototype stands behind a name. What is not
 * known (the scheme, the issuer, a query that cannot be decoded) is no member, so that `has()` tells and other uses fail.
 */
export function bindings(subject: Subject, uses: ReadonlySet<string>): Record<string, CelInput> {
  const bound = Object.create(null) as Record<string, CelInput>
  for (const [root, used] of usedOf(uses)) {
    const some = new Map<string, CelInput>()
    for (const [field, get] of used) {
      const value = get(subject)
      if (value !== undefined) some.set(field, value)
    }
    bound[root] = some
  }
  return bound
}

type Getter = (subject: Subject) => CelInput | undefined

const members: Readonly<Record<string, Readonly<Record<string, Getter>>>> = {
  request: {
    method: ({ request }) => request.method,
    scheme: ({ request }) => request.scheme,
    host: ({ request }) => request.host,
    path: ({ request }) => request.target.path,
    query: ({ request }) => queryOf(request),
    headers: ({ request }) => new Map([...request.headers].map(([name, values]) => [name, values.join(', ')])),
  },
  identity: {
    subject: ({ identity }) => identity.subject,
    method: ({ identity }) => identity.method,
    issuer: ({ identity }) => identity.issuer,
    claims: ({ identity }) => claimsOf(identity),
    scopes: ({ identity }) => identity.scopes,
    groups: ({ identity }) => identity.groups,
  },
  rule: {
    namespace: ({ rule }) => rule.namespace,
    route: ({ rule }) => rule.route,
    name: ({ rule }) => rule.rule,
  },
}

/** How the text is found that an expression such as `identity.subject` names; undefined where it is anything else. */
export function textMember(source: string): Getter | undefined {
  const [root = '', field = '', ...more] = source.split('.')
  const isText = more.length === 0 && variables.get(root)?.members?.get(field)?.name === 'string'
  return isText ? members[root]?.[field] : undefined
}

/** Those that an expression uses; every root is there, with members or without. */
const usedOf = memo((uses: ReadonlySet<string>) =>
  Object.entries(members).map(
    ([root, getters]) => [root, Object.entries(getters).filter(([field]) => uses.has(`${root}.${field}`))] as const,
  ),
)

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
  const { isCelList, isCelMap, isCelUint } = library()
  if (isCelUint(value)) return value.value
  if (isCelList(value)) return [...value].map(plain)
  if (!isCelMap(value)) throw new Error('no header')
  const object = Object.create(null) as Record<string, unknown>
  for (const [key, member] of value) object[String(plain(key))] = plain(member)
  return object
}
