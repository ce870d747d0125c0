import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import { authPolicy, authPolicySpec } from './document.ts'
import type { AuthPolicySpec } from './document.ts'

/*
 * A thousand policies differ in their names and targets, and say much the same besides. What they say is validated once for all that
 * say it to the letter, and then is one object, so that what is made of it can be shared too.
 */

function isFields(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const fields = Object.entries(authPolicySpec.shape).map(([name, schema]) => ({
  name,
  schema,
  absent: validated(schema, undefined),
}))
const head = authPolicy.omit({ spec: true }).extend({ spec: z.custom<Readonly<Record<string, unknown>>>(isFields) })

/** Each policy has its own. */
const unshared: ReadonlySet<string> = new Set(['targetRefs'])

/** Values by field and text. What is longer is rarely said twice, and would take its place in memory. */
const lately = new LRUCache<string, object>({ max: 500 })
const longest = 8192

/** The spec of an AuthPolicy, or undefined where anything is wrong: what that is, the whole schema tells. */
export function sharedSpec(object: unknown): AuthPolicySpec | undefined {
  const read = head.safeParse(object)
  if (!read.success) return undefined
  const given = read.data.spec
  const spec: Record<string, unknown> = {}
  for (const { name, schema, absent } of fields) {
    const value = given[name] === undefined ? absent : fieldOf(name, schema, given[name])
    if (!value.ok) return undefined
    if (value.value !== undefined) spec[name] = value.value
  }
  if (Object.keys(given).some((name) => !Object.hasOwn(authPolicySpec.shape, name))) return undefined
  return spec as AuthPolicySpec // field by field what the schema gives
}

type Read = { readonly ok: true; readonly value: unknown } | { readonly ok: false }

function fieldOf(name: string, schema: z.ZodType, given: unknown): Read {
  if (typeof given !== 'object' || given === null || unshared.has(name)) return validated(schema, given)
  // Documents of one form share what they both say (source/yaml-forms.ts).
  const very = ofObject.get(given)
  if (very?.name === name) return very.read
  const read = byText(name, schema, given)
  if (Object.isFrozen(given)) ofObject.set(given, { name, read })
  return read
}

const ofObject = new WeakMap<object, { readonly name: string; readonly read: Read }>()

function byText(name: string, schema: z.ZodType, given: object): Read {
  const key = `${name} ${JSON.stringify(given)}`
  const before = key.length > longest ? undefined : lately.get(key)
  if (before !== undefined) return { ok: true, value: before }
  const read = validated(schema, given)
  if (key.length <= longest && read.ok && typeof read.value === 'object' && read.value !== null)
    lately.set(key, read.value)
  return read
}

function validated(schema: z.ZodType, given: unknown): Read {
  const read = schema.safeParse(given)
  return read.success ? { ok: true, value: read.data } : { ok: false }
}
