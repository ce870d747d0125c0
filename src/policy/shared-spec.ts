import { LRUCache } from 'lru-cache'
import type { z } from 'zod'
import { isFields } from '../model/fields.ts'
import type { Fields } from '../model/fields.ts'
import { apiVersion, authPolicy, authPolicySpec, gatewayGroup, isObjectName, targetRef } from './document.ts'
import type { AuthPolicySpec } from './document.ts'

/*
 * A thousand policies differ in their names and targets, and say much the same besides. What they say is validated once for all that
 * say it to the letter, and then is one object, so that what is made of it can be shared too.
 */

const fields = Object.entries(authPolicySpec.shape).map(([name, schema]) => ({
  name,
  schema,
  absent: validated(schema, undefined),
}))

/** Values by field and text. What is longer is rarely said twice, and would take its place in memory. */
const lately = new LRUCache<string, object>({ max: 500 })
const longest = 8192

/** The spec of an AuthPolicy, or undefined where anything is wrong: what that is, the whole schema tells. */
export function sharedSpec(object: unknown): AuthPolicySpec | undefined {
  const given = specIn(object)
  if (given === undefined) return undefined
  const spec: Record<string, unknown> = {}
  for (const { name, schema, absent } of fields) {
    const value = given[name] === undefined ? absent : fieldOf(name, schema, given[name])
    if (!value.ok) return undefined
    if (value.value !== undefined) spec[name] = value.value
  }
  if (hasOther(given, authPolicySpec.shape)) return undefined
  return spec as AuthPolicySpec // field by field what the schema gives
}

/** Each policy has its own names, here and in its targets: told without the schema, which says no more of them. */
function specIn(object: unknown): Fields | undefined {
  if (!isFields(object) || hasOther(object, authPolicy.shape)) return undefined
  const { apiVersion: version, kind, metadata, spec } = object
  if (version !== apiVersion || kind !== 'AuthPolicy' || !isFields(metadata) || !isFields(spec)) return undefined
  const { name, namespace } = metadata
  return isObjectName(name) && (namespace === undefined || isObjectName(namespace)) ? spec : undefined
}

const isTarget = (value: unknown): boolean =>
  isFields(value) &&
  value['group'] === gatewayGroup &&
  (value['kind'] === 'HTTPRoute' || value['kind'] === 'Gateway') &&
  isObjectName(value['name']) &&
  (value['sectionName'] === undefined || isObjectName(value['sectionName'])) &&
  !hasOther(value, targetRef.shape)

const hasOther = (given: Fields, shape: object): boolean =>
  Object.keys(given).some((name) => !Object.hasOwn(shape, name))

type Read = { readonly ok: true; readonly value: unknown } | { readonly ok: false }

function fieldOf(name: string, schema: z.ZodType, given: unknown): Read {
  if (typeof given !== 'object' || given === null) return validated(schema, given)
  if (name === 'targetRefs') return targetsOf(schema, given)
  // Documents of one form share what they both say (source/yaml-forms.ts).
  const very = ofObject.get(given)
  if (very?.name === name) return very.read
  const read = byText(name, schema, given)
  if (Object.isFrozen(given)) ofObject.set(given, { name, read })
  return read
}

const targetsOf = (schema: z.ZodType, given: object): Read =>
  Array.isArray(given) && given.length === 1 && isTarget(given[0])
    ? { ok: true, value: given }
    : validated(schema, given)

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
