import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readYaml } from '../../src/source/yaml-manifests.ts'

const read = (text: string) => readYaml('shop.yaml', text)
const configMap = (data: string): string => `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\ndata:\n${data}\n`
const dataOf = (data: string): unknown => (read(configMap(data)).manifests[0]?.object as { data?: unknown })?.data
const says = (text: string): readonly string[] => read(text).problems.map(({ line, say }) => `${line}: ${say}`)

describe('objects', () => {
  it('takes every document of a file, with its place', () => {
    const { manifests, problems } = read(
      '# first\napiVersion: v1\nkind: Secret\nmetadata: { name: a, namespace: shop }\n---\n# nothing here\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b\n',
    )
    expect(problems).toEqual([])
    expect(manifests.map(({ kind, namespace, name, file, line }) => [kind, namespace, name, file, line([])])).toEqual([
      ['Secret', 'shop', 'a', 'shop.yaml', 2],
      ['ConfigMap', 'default', 'b', 'shop.yaml', 8],
    ])
    expect(manifests[1]?.line(['metadata', 'name'])).toBe(11)
  })

  it.each<[string, (string | number)[], number]>([
    ['a key', ['spec', 'mode'], 7],
    ['an item of a list', ['spec', 'targetRefs', 1], 6],
    ['inside an item', ['spec', 'targetRefs', 1, 'name'], 6],
    ['what is not there: its nearest parent', ['spec', 'targetRefs', 1, 'sectionName'], 6],
    ['what is nowhere: the document', ['status', 'x'], 1],
  ])('finds the line of %s', (_, path, line) => {
    const [manifest] = read(
      'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\nspec:\n  targetRefs: [ { name: x },\n    { name: y } ]\n  mode: Shadow\n',
    ).manifests
    expect(manifest?.line(path)).toBe(line)
  })

  it('unpacks lists, which may leave the kind of their items out', () => {
    const { manifests } = read(
      'apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: { name: a }\n---\napiVersion: v1\nkind: SecretList\nitems:\n- metadata:\n    name: b\n',
    )
    expect(manifests.map(({ kind, name, line }) => [kind, name, line(['metadata', 'name'])])).toEqual([
      ['Secret', 'a', 6],
      ['Secret', 'b', 12],
    ])
  })

  it('takes JSON as the YAML that it is', () => {
    const { manifests, problems } = read(
      '{\n\t"apiVersion": "v1",\n\t"kind": "ConfigMap",\n\t"metadata": {"name": "a"},\n\t"data": {"x": "\\u00e9\\/"}\n}',
    )
    expect(problems).toEqual([])
    expect(manifests[0]?.object).toMatchObject({ data: { x: 'é/' } })
  })

  it.each([
    ['', 0],
    ['# only a comment\n', 0],
    ['---\n---\n', 0],
    ['\u{feff}apiVersion: v1\nkind: Secret\nmetadata: { name: a }\n', 1],
    ['apiVersion: v1\r\nkind: Secret\r\nmetadata: { name: a }\r\n', 1],
  ])('reads %j without a complaint', (text, count) => {
    expect(read(text).problems).toEqual([])
    expect(read(text).manifests).toHaveLength(count)
  })

  it.each([
    ['text', '1: is not an object with apiVersion, kind and metadata'],
    ['- a', '1: is not an object with apiVersion, kind and metadata'],
    ['apiVersion: v1', '1: has no kind'],
    ['kind: Secret', '1: this Secret has no apiVersion'],
    ['apiVersion: v1\nkind: Secret\nmetadata: { name: a/b }', '3: this Secret has no name that Kubernetes would take'],
    ['apiVersion: v1\nkind: Secret\nmetadata: { name: 1 }', '3: this Secret has no name that Kubernetes would take'],
    [
      'apiVersion: v1\nkind: Secret\nmetadata: { name: a, namespace: b c }',
      '3: Secret a has a namespace that Kubernetes would not take',
    ],
  ])('refuses %j', (text, say) => expect(says(text)).toEqual([say]))
})

describe('CFG-05 values', () => {
  it.each([
    ['no', 'no'],
    ['on', 'on'],
    ['y', 'y'],
    ['2026-01-01', '2026-01-01'],
    ['12:30:45', '12:30:45'],
    ['0o17', 15],
    ['017', 17],
    ['1e3', 1000],
    ['0x1F', 31],
    ['true', true],
    ['~', null],
    ['1_000', '1_000'],
    ['<<', '<<'],
    ['"1"', '1'],
  ])('CFG-05 %s is what YAML 1.2 says', (text, value) => expect(dataOf(`  k: ${text}`)).toEqual({ k: value }))

  it('CFG-05 keeps 1.2 where a file asks for 1.1', () => {
    const { manifests } = read(`%YAML 1.1\n---\n${configMap('  k: no')}`)
    expect(manifests[0]?.object).toMatchObject({ data: { k: 'no' } })
  })

  it('CFG-05 has no merge keys: `<<` is a key like any other', () => {
    expect(dataOf('  a: &a { x: 1 }\n  b: { <<: *a }')).toEqual({ a: { x: 1 }, b: { '<<': { x: 1 } } })
  })

  it.each([
    ['  a: 1\n  a: 2', '6: has a key that came before'],
    ['  "a": 1\n  a: 2', '6: has a key that came before'],
    ['  1: x', '5: has a key that is not text: put it in quotes'],
    ['  null: x', '5: has a key that is not text: put it in quotes'],
    ['  ? [a]\n  : x', '5: has a key that is not text: put it in quotes'],
    ['  k: .inf', '5: is not a value that JSON has'],
    ['  k: 1e999', '5: is not a value that JSON has'],
    ['  k: !!binary aGk=', '5: has a tag that Gatehouse does not read'],
    ['  k: !!js/function x', '5: has a tag that Gatehouse does not read'],
    ['  k: *nowhere', '5: refers to an anchor that does not come before it'],
    ['  k: &a [ *a ]', '5: refers to an anchor that does not come before it'],
    [`  k: ${'['.repeat(80)}${']'.repeat(80)}`, '5: is nested deeper than 64'],
  ])('refuses %j', (data, say) => {
    const { manifests, problems } = read(configMap(data))
    expect(manifests).toEqual([])
    expect(problems.map(({ code, line, say: what }) => [code, `${line}: ${what}`])).toContainEqual(['bad-yaml', say])
  })

  it('HDR-11 keeps __proto__ and constructor as members like any other', () => {
    const [manifest] = read(configMap('  __proto__: x\n  constructor: y')).manifests
    const data = (manifest?.object as { data: object } | undefined)?.data ?? {}
    expect(Object.entries(data)).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ])
  })

  it('CFG-12 expands nothing', () => {
    expect(dataOf('  a: ${HOME}\n  b: "{{ .Values }}"\n  c: $(id)')).toEqual({
      a: '${HOME}',
      b: '{{ .Values }}',
      c: '$(id)',
    })
  })
})

describe('CFG-18 size', () => {
  const quickly = (text: string, millis: number) => {
    const started = performance.now()
    const content = read(text)
    expect(performance.now() - started).toBeLessThan(millis)
    return content
  }

  it('CFG-18 refuses aliases of aliases in no time', () => {
    const lines = [...'bcdefghij'].map(
      (name, index) => `  ${name}: &${name} [${Array(9).fill(`*${'abcdefghi'[index]}`).join(', ')}]`,
    )
    const { problems } = quickly(configMap(`  a: &a [x, x, x, x, x, x, x, x, x]\n${lines.join('\n')}`), 2000)
    expect(problems.map(({ say }) => say)).toContain('repeats too much by aliases')
  })

  it('CFG-18 takes a value of 9 MB and an annotation of 1 MB', () => {
    expect(quickly(configMap(`  k: ${'x'.repeat(9_000_000)}`), 5000).manifests).toHaveLength(1)
    const annotated = `apiVersion: v1\nkind: Secret\nmetadata: { name: a, annotations: { x: ${'y'.repeat(1_000_000)} }, managedFields: null }\n`
    expect(quickly(annotated, 5000).problems).toEqual([])
  })

  it('CFG-18 takes 20 000 keys without comparing each with each', () => {
    const keys = Array.from({ length: 20_000 }, (_, index) => `  key-${index}: v`).join('\n')
    expect(quickly(configMap(keys), 5000).manifests).toHaveLength(1)
  })

  it('CFG-18 survives nesting without end', () => {
    for (const text of ['['.repeat(30_000), '{"a":'.repeat(30_000), '- '.repeat(20_000), '? '.repeat(10_000)]) {
      const { manifests, problems } = read(text)
      expect(manifests).toMatchObject([{ kind: '', broken: true }])
      expect(problems.length).toBeGreaterThan(0)
    }
  })
})

describe('OBS-12 complaints', () => {
  const secret = 'hunter2hunter2'
  it.each([
    `apiVersion: v1\nkind: Secret\nmetadata: { name: a }\nstringData:\n  password: "${secret}\n`,
    `apiVersion: v1\nkind: Secret\nmetadata: { name: a }\nstringData:\n  password: @${secret}\n`,
    `apiVersion: v1\nkind: Secret\nmetadata: { name: a }\nstringData:\n  password: *${secret}\n`,
    `apiVersion: v1\nkind: Secret\nmetadata: { name: a }\nstringData:\n  password: !${secret} x\n`,
    `apiVersion: v1\nkind: Secret\nmetadata: { name: a }\nstringData:\n\t${secret}: x\n`,
    `apiVersion: v1\nkind: Secret\nmetadata: { name: a }\nstringData:\n  ${secret}: 1\n  ${secret}: 2\n`,
    `{"apiVersion": "v1", "kind": "Secret", "stringData": {"password": "${secret}" "x"}}`,
    `kind: Secret\nmetadata: { name: "${secret}/x" }\napiVersion: v1\n`,
    `${secret}`,
    `- ${secret}: [`,
  ])('OBS-12 %j: the position, not the content', (text) => {
    const { problems } = read(text)
    expect(problems.length).toBeGreaterThan(0)
    expect(JSON.stringify(problems)).not.toContain(secret)
    for (const { line, file } of problems) {
      expect(line).toBeGreaterThan(0)
      expect(file).toBe('shop.yaml')
    }
  })

  it('OBS-12 holds whatever is cut out of a Secret or put into it', () => {
    const text = `apiVersion: v1\nkind: Secret\nmetadata: { name: a }\nstringData:\n  password: "${secret}"\n  other: [x, {y: z}]\n`
    fc.assert(
      fc.property(
        fc.nat(text.length),
        fc.string({ maxLength: 4, unit: fc.constantFrom(...'"\'{}[]:,&*!%@`|>-?\t\n #') }),
        (at, inserted) => {
          const { problems } = read(text.slice(0, at) + inserted + text.slice(at))
          expect(JSON.stringify(problems)).not.toMatch(/hunter2h/)
        },
      ),
      { numRuns: 500 },
    )
  })

  it('never throws, whatever the file holds', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom(...'a:-[]{}"\'|>&*!?#%\n\t ,1') })),
        (text) => {
          const { manifests, problems } = read(text)
          expect(manifests.length + problems.length).toBeGreaterThanOrEqual(0)
          for (const { kind } of manifests) expect(typeof kind).toBe('string')
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('broken policies', () => {
  it.each([
    [
      'a key twice',
      'apiVersion: gatehouse.dev/v1alpha1\nkind: AuthPolicy\nmetadata: { name: p, namespace: shop }\nspec: {}\nspec: {}\n',
    ],
    [
      'a quote left open',
      'apiVersion: gatehouse.dev/v1alpha1\nkind: AuthPolicy\nmetadata: { name: p, namespace: shop }\nspec: "x\n',
    ],
  ])('%s: still claims its place, with nothing that could be valid', (_, text) => {
    const { manifests, problems } = read(text)
    expect(problems.length).toBeGreaterThan(0)
    expect(manifests.map(({ kind, namespace, name, object }) => [kind, namespace, name, object])).toEqual([
      [
        'AuthPolicy',
        'shop',
        'p',
        { apiVersion: 'gatehouse.dev/v1alpha1', kind: 'AuthPolicy', metadata: { name: 'p', namespace: 'shop' } },
      ],
    ])
  })

  it('a policy without a name is passed on for the compiler to refuse', () => {
    const [manifest] = read('kind: AuthPolicy\nspec: { targetRefs: [] }\n').manifests
    expect([manifest?.name, manifest?.namespace, manifest?.apiVersion]).toEqual(['(line 1)', 'default', ''])
  })
})
