import { isFields } from '../model/fields.ts'

/** A field of the Gateway API's experimental channel that something of ours is built on. */
export interface ExperimentalField {
  readonly kind: 'HTTPRoute' | 'Gateway'
  /** As an operator knows it. */
  readonly name: string
  /** Property names from the object down; lists are stepped through. */
  readonly path: readonly string[]
  /** One of the values of the property, where that is what may be missing. */
  readonly value?: string
  /** What cannot be done without it. */
  readonly lost: string
}

export const experimentalFields: readonly ExperimentalField[] = [
  {
    kind: 'HTTPRoute',
    name: 'ExternalAuth filter',
    path: ['spec', 'rules', 'filters', 'type'],
    value: 'ExternalAuth',
    lost: 'no rule can ask Gatehouse by one',
  },
  {
    kind: 'HTTPRoute',
    name: 'useDefaultGateways',
    path: ['spec', 'useDefaultGateways'],
    lost: 'every route has to name its Gateways',
  },
  { kind: 'Gateway', name: 'defaultScope', path: ['spec', 'defaultScope'], lost: 'no Gateway can be a default one' },
]

/** What an OpenAPI document of a group version says of these kinds. */
export interface SchemaReport {
  /** False where it does not describe all of them (yet): the server writes it a moment after a definition is there. */
  readonly whole: boolean
  readonly missing: readonly ExperimentalField[]
}

/** Looks for the fields of these kinds. A schema of another form than expected is taken to have them: no false alarm. */
export function examineSchema(document: unknown, kinds: ReadonlySet<string>): SchemaReport {
  const asked = experimentalFields.filter(({ kind }) => kinds.has(kind))
  const described = asked.flatMap((field) => {
    const schema = schemaOf(document, field.kind)
    return schema === undefined ? [] : [{ field, schema }]
  })
  return {
    whole: described.length === asked.length,
    missing: described.flatMap(({ field, schema }) => (lacks(schema, field) ? [field] : [])),
  }
}

function schemaOf(document: unknown, kind: string): unknown {
  const { components } = isFields(document) ? document : {}
  const { schemas } = isFields(components) ? components : {}
  return Object.values(isFields(schemas) ? schemas : {}).find((schema) => {
    const names = isFields(schema) ? schema['x-kubernetes-group-version-kind'] : undefined
    return Array.isArray(names) && names.some((name) => isFields(name) && name['kind'] === kind)
  })
}

function lacks(schema: unknown, { path, value }: ExperimentalField): boolean {
  let at = schema
  for (const step of path) {
    const { properties } = inside(at)
    if (!isFields(properties)) return false
    if (!Object.hasOwn(properties, step)) return true
    at = properties[step]
  }
  const { enum: values } = inside(at)
  return value !== undefined && Array.isArray(values) && !values.includes(value)
}

const inside = (schema: unknown): Readonly<Record<string, unknown>> => {
  const { items = schema } = isFields(schema) ? schema : {}
  return isFields(items) ? items : {}
}
