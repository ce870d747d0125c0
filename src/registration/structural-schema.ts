import { additionAt } from './crd-rules.ts'

/** A JSON schema as zod writes it, or as the API server reads it. */
export type Schema = Readonly<Record<string, unknown>>

// Keywords that mean the same on both sides.
const kept = [
  'description',
  'type',
  'default',
  'enum',
  'pattern',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'minimum',
  'maximum',
  'required',
] as const
const translated = [
  '$schema',
  'const',
  'properties',
  'additionalProperties',
  'propertyNames',
  'items',
  'anyOf',
  'format',
]

/**
 * The structural schema (apiextensions.k8s.io/v1) of a part of the document. Unknown keys are kept, not pruned: most clients
 * get a pruned key as a mere warning, and a policy without the condition that was misspelt would let more people in. Kept, it
 * is an error of the policy, whose rules then refuse (CFG-01).
 */
export function structural(schema: Schema, path: string): Schema {
  const strange = Object.keys(schema).filter(
    (key) => !(kept as readonly string[]).includes(key) && !translated.includes(key),
  )
  if (strange.length > 0) throw new Error(`${path}: no translation of ${strange.join(', ')}`)
  const properties = schema['properties'] as Readonly<Record<string, Schema>> | undefined
  const { rules = [], keywords = {} } = additionAt(path, Object.keys(properties ?? {}))
  return {
    ...Object.fromEntries(kept.filter((key) => key in schema).map((key) => [key, schema[key]])),
    ...('const' in schema ? { enum: [schema['const']] } : {}),
    ...('anyOf' in schema ? anyScalar(schema, path) : {}),
    ...(schema['format'] === 'uri' ? { format: 'uri' } : {}),
    ...('items' in schema ? { items: structural(schema['items'] as Schema, `${path}[]`) } : {}),
    ...(properties === undefined ? members(schema, path) : fields(properties, schema, path)),
    ...keywords,
    ...(rules.length === 0 ? {} : { 'x-kubernetes-validations': rules }),
  }
}

function fields(properties: Readonly<Record<string, Schema>>, schema: Schema, path: string): Schema {
  return {
    properties: Object.fromEntries(
      Object.entries(properties).map(([name, part]) => [name, structural(part, `${path}.${name}`)]),
    ),
    ...(schema['additionalProperties'] === false ? { 'x-kubernetes-preserve-unknown-fields': true } : {}),
  }
}

/** A map of strings; names of its members cannot be described structurally. */
function members(schema: Schema, path: string): Schema {
  const each = schema['additionalProperties']
  if (typeof each !== 'object' || each === null) return {}
  return { additionalProperties: structural(each as Schema, `${path}.*`) }
}

/** A string, number or boolean: there is no structural way to say so, and the compiler says the rest. */
function anyScalar(schema: Schema, path: string): Schema {
  const types = (schema['anyOf'] as readonly Schema[]).map(({ type }) => type)
  const scalar = types.every((type) => type === 'string' || type === 'number' || type === 'boolean')
  if (!scalar) throw new Error(`${path}: an anyOf of other things than scalars`)
  return { 'x-kubernetes-preserve-unknown-fields': true }
}
