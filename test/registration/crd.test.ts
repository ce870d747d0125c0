import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { crdYaml } from '../../src/command/crd.ts'
import { authPolicyCrd } from '../../src/registration/crd.ts'
import { structural } from '../../src/registration/structural-schema.ts'
import type { Schema } from '../../src/registration/structural-schema.ts'

/** `[path, part]` for every part of a schema. */
function parts(schema: Schema, path: string): readonly (readonly [string, Schema])[] {
  const properties = Object.entries((schema['properties'] ?? {}) as Readonly<Record<string, Schema>>)
  const below = [
    ...properties.map(([name, part]) => [`${path}.${name}`, part] as const),
    ...('items' in schema ? [[`${path}[]`, schema['items'] as Schema] as const] : []),
    ...('additionalProperties' in schema ? [[`${path}.*`, schema['additionalProperties'] as Schema] as const] : []),
  ]
  return [[path, schema], ...below.flatMap(([at, part]) => parts(part, at))]
}

const spec = authPolicyCrd()['spec'] as {
  readonly versions: readonly {
    readonly schema: { readonly openAPIV3Schema: Schema }
    readonly additionalPrinterColumns: readonly { readonly name: string; readonly priority?: number }[]
  }[]
}
const root = spec.versions[0]?.schema.openAPIV3Schema ?? {}
const all = parts((root['properties'] as Readonly<Record<string, Schema>>)['spec'] ?? {}, 'spec')

describe('the CRD', () => {
  it('is the file in deploy/base (node test/support/write-crd.ts writes it)', () => {
    expect(readFileSync(resolve(import.meta.dirname, '../../deploy/base/crd.yaml'), 'utf8')).toBe(crdYaml())
  })

  it('shows in a table which gateway stands worst, and how; with -o wide why', () => {
    const [version] = spec.versions
    const columns = version?.additionalPrinterColumns.map(({ name, priority = 0 }) => `${name} ${priority}`)
    expect(columns).toEqual([
      'Target 0',
      'Gateway 0',
      'Accepted 0',
      'Resolved 1',
      'Enforced 0',
      'Why 0',
      'Message 1',
      'Age 0',
    ])
  })

  it('keeps unknown keys wherever keys are known, so that a misspelt condition is refused and not dropped', () => {
    const pruning = all.filter(
      ([, part]) => 'properties' in part && part['x-kubernetes-preserve-unknown-fields'] !== true,
    )
    expect(pruning.map(([path]) => path)).toEqual([])
  })

  it('describes every key', () => {
    // What a list or an entry is for, its parent says.
    const silent = all.filter(([path, part]) => !/(\[\]|\*)$/.test(path) && part['description'] === undefined)
    expect(silent.map(([path]) => path)).toEqual([])
  })

  it('bounds every list', () => {
    const endless = all.filter(
      ([, part]) => part['type'] === 'array' && part['maxItems'] === undefined && !bounded(part),
    )
    expect(endless.map(([path]) => path)).toEqual([])
  })

  it('has a rule for every exclusivity', () => {
    const ruled = all.filter(([, part]) => 'x-kubernetes-validations' in part || 'oneOf' in part).map(([path]) => path)
    expect(ruled).toEqual(
      expect.arrayContaining([
        'spec',
        'spec.authentication',
        'spec.authentication[]',
        'spec.authentication[].jwt.jwks',
        'spec.authentication[].jwt.credential[]',
        'spec.authentication[].introspection',
        'spec.authentication[].introspection.client',
        'spec.authentication[].introspection.credential[]',
        'spec.authentication[].introspection.signed.jwks',
        'spec.authentication[].apiKey',
        'spec.authentication[].apiKey.credential[]',
        'spec.authentication[].apiKey.keysRef',
        'spec.authorization[]',
        'spec.authorization[].claims[]',
        'spec.response.headers[].value',
        'spec.unauthenticated',
      ]),
    )
  })
})

const bounded = (part: Schema): boolean => 'enum' in ((part['items'] ?? {}) as Schema)

describe('what has no structural form is an error, not a gap', () => {
  it.each<readonly [string, Schema]>([
    ['a keyword', { type: 'object', patternProperties: {} }],
    ['a reference', { $ref: '#/$defs/a' }],
    ['a choice of objects', { anyOf: [{ type: 'object' }, { type: 'string' }] }],
  ])('%s', (_, schema) => {
    expect(() => structural(schema, 'spec.x')).toThrow('spec.x')
  })
})
