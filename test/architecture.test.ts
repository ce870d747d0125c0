import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../src')

/** Who may look at whom, besides itself: dependencies point one way (each layer sees those listed). */
const layers: Readonly<Record<string, readonly string[]>> = {
  model: [],
  authn: ['model'],
  authz: ['model'],
  policy: ['model', 'authn', 'authz'],
  engine: ['model', 'authn', 'authz', 'policy'],
  transport: ['model', 'engine'],
  cluster: ['model', 'policy'],
  doctor: ['model', 'policy', 'cluster'],
  kubernetes: ['model', 'policy', 'cluster', 'authn', 'registration'],
  registration: ['model', 'policy', 'cluster', 'doctor'],
  source: ['model', 'policy', 'kubernetes'],
}

/** What the core must never import: protocols stop at the door. */
const protocols = /^(@grpc\/.*|node:http2?|node:https|pino|prom-client|commander|@kubernetes\/.*)$/

const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
const text = (file: string): string => readFileSync(join(root, file), 'utf8')
const imports = (file: string): readonly string[] =>
  [...text(file).matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].flatMap(([, name]) => name ?? [])
const layerOf = (file: string): string | undefined => (file.includes('/') ? file.split('/')[0] : undefined)

describe('layers', () => {
  for (const [layer, below] of Object.entries(layers)) {
    it(`${layer} looks only at ${below.join(', ') || 'nothing'}`, () => {
      const wrong = files
        .filter((file) => layerOf(file) === layer)
        .flatMap((file) =>
          imports(file)
            .filter((name) => name.startsWith('.'))
            .map((name) => relative(root, resolve(root, dirname(file), name)))
            .filter((target) => target.startsWith('..') || ![layer, ...below].includes(layerOf(target) ?? ''))
            .map((target) => `${file} imports ${target}`),
        )
      expect(wrong).toEqual([])
    })
  }

  it('names a layer for every folder but command, which sees all', () => {
    const folders = new Set(files.flatMap((file) => layerOf(file) ?? []))
    expect([...folders].filter((folder) => !(folder in layers)).sort()).toEqual(['command'])
  })

  it('keeps protocols and processes out of the core', () => {
    const core = new Set(['model', 'authn', 'authz', 'policy', 'engine'])
    const wrong = files
      .filter((file) => core.has(layerOf(file) ?? ''))
      .flatMap((file) =>
        imports(file)
          .filter((name) => protocols.test(name))
          .map((name) => `${file} imports ${name}`),
      )
    expect(wrong).toEqual([])
  })
})

describe('habits', () => {
  it('calls allow() in one place', () => {
    const calls = files.flatMap((file) => [...text(file).matchAll(/(?<![\w.])allow\(/g)].map(() => file))
    expect(calls).toEqual(['engine/decide.ts'])
  })

  it('reads the environment at the entrance only', () => {
    expect(files.filter((file) => text(file).includes('process.env'))).toEqual(['main.ts'])
  })

  it('has no any, no non-null assertion, no suppressed complaint, no default export', () => {
    const marks =
      /: any\b(?! [a-z])|as any\b|<any>|@ts-(ignore|expect-error|nocheck)|(eslint|oxlint)-disable|export default|\w!\.|\w!;/
    expect(
      files.flatMap((file) =>
        text(file)
          .split('\n')
          .filter((line) => marks.test(line))
          .map((line) => `${file}: ${line.trim()}`),
      ),
    ).toEqual([])
  })

  it('keeps files short enough to read', () => {
    expect(files.filter((file) => text(file).split('\n').length > 251)).toEqual([])
  })

  it('has no drawer for odds and ends', () => {
    expect(files.filter((file) => /(utils?|helpers?|common|manager|handler|impl|misc)\b/.test(file))).toEqual([])
  })
})
