import { denyReasons } from '../../src/model/decision.ts'
import { problemCodes } from '../../src/model/result.ts'
import { authPolicyJsonSchema } from '../../src/policy/document.ts'
import { settingOptions } from '../../src/settings.ts'

/* The parts of the README that the code knows better: written by `npm run readme`, held equal by a test. */

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows]
    .map((row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n')

const settings = (): string =>
  table(
    ['flag', 'environment', 'default', 'what it is'],
    settingOptions().map(({ option: { flags, defaultValue, defaultValueDescription, description }, variable }) => [
      `\`${flags}\``,
      `\`${variable}\``,
      defaultValue === undefined || defaultValue === false
        ? ''
        : `\`${defaultValueDescription ?? JSON.stringify(defaultValue)}\``,
      description,
    ]),
  )

interface Shape {
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly default?: unknown
  readonly description?: string
  readonly properties?: Readonly<Record<string, Shape>>
  readonly required?: readonly string[]
  readonly items?: Shape
  readonly anyOf?: readonly Shape[]
  readonly additionalProperties?: unknown
}

function kindOf(shape: Shape): string {
  if (shape.const !== undefined) return `\`${JSON.stringify(shape.const)}\``
  if (shape.enum !== undefined) return shape.enum.map((value) => `\`${String(value)}\``).join(', ')
  if (shape.anyOf !== undefined) return [...new Set(shape.anyOf.map(kindOf))].join(' or ')
  if (shape.type === 'array') return `list of ${shape.items === undefined ? 'anything' : kindOf(shape.items)}`
  return shape.type ?? 'any'
}

/** One row a field, depth first, with its path from `spec`. */
function rows(shape: Shape, path: string): readonly (readonly string[])[] {
  return [
    ...Object.entries(shape.properties ?? {}).flatMap(([key, field]) => {
      const here = path === '' ? key : `${path}.${key}`
      const plain = field.default !== undefined && typeof field.default !== 'object'
      const required = shape.required?.includes(key) === true && field.default === undefined
      const fallback = required ? 'required' : plain ? `\`${JSON.stringify(field.default)}\`` : ''
      return [[`\`${here}\``, kindOf(field), fallback, field.description ?? ''], ...rows(field, here)]
    }),
    ...(shape.items === undefined ? [] : rows(shape.items, `${path}[]`)),
    ...(shape.anyOf ?? []).flatMap((one) => rows(one, path)),
  ]
}

function fields(): string {
  const schema = authPolicyJsonSchema() as Shape
  const all = rows(schema.properties?.['spec'] ?? {}, '')
  const unique = [...new Map(all.map((row) => [row[0], row])).values()]
  return table(['field', 'type', 'default', 'what it is'], unique)
}

const reasons = (): string =>
  table(
    ['reason', 'kind', 'means'],
    Object.entries(denyReasons).map(([reason, [kind, means]]) => [`\`${reason}\``, kind, means]),
  )

const problems = (): string =>
  table(
    ['code', 'means'],
    Object.entries(problemCodes).map(([code, means]) => [`\`${code}\``, means]),
  )

/** The README with its generated parts made anew. */
export function withGeneratedParts(readme: string): string {
  const parts: Readonly<Record<string, () => string>> = { settings, fields, reasons, problems }
  return Object.entries(parts).reduce((text, [name, make]) => {
    const between = new RegExp(`(<!-- ${name}: [^>]*-->)[^]*?(<!-- end of ${name} -->)`)
    if (!between.test(text)) throw new Error(`README.md has no place for ${name}`)
    return text.replace(
      between,
      (_, open: string, close: string) =>
        `${open}\n\n<!-- prettier-ignore-start -->\n\n${make()}\n\n<!-- prettier-ignore-end -->\n\n${close}`,
    )
  }, readme)
}
