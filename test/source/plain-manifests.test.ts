import { readFileSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Path } from '../../src/model/result.ts'
import type { Objects } from '../../src/source/manifest-objects.ts'
import { readPlainManifests } from '../../src/source/plain-manifests.ts'
import { readYaml } from '../../src/source/yaml-manifests.ts'

/* The plain reader gives what the library gives, or gives up: every text here is read by both. */

const root = resolve(import.meta.dirname, '../..')
const corpus = ['policies', 'deploy', 'test/golden'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => readFileSync(join(root, folder, name), 'utf8')),
)

function paths(value: unknown, path: Path = []): readonly Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  const steps = Array.isArray(value) ? value.map((_, index) => index) : Object.keys(value)
  return [
    path,
    [...path, 'none'],
    ...steps.flatMap((step) => paths((value as Readonly<Record<string, unknown>>)[step], [...path, step])),
  ]
}

/** All that callers can see of a reading. */
const seen = ({ manifests, problems }: Objects, most: number): unknown => ({
  problems,
  manifests: manifests.map(({ line, ...rest }) => ({
    ...rest,
    lines: paths(rest.object)
      .slice(0, most)
      .map((path) => [path, line(path)]),
  })),
})

/** Whether the plain reader took the text; fails where it read it in another way. */
function agreed(text: string, most = 200): boolean {
  const plain = readPlainManifests('a.yaml', text)
  if (plain !== undefined) expect(seen(plain, most), text).toEqual(seen(readYaml('a.yaml', text), most))
  return plain !== undefined
}

describe('texts that people write', () => {
  it('takes most of what is shipped, as the library does', () => {
    const taken = corpus.filter((text) => agreed(text))
    expect(taken.length / corpus.length).toBeGreaterThan(0.5)
  })

  it.each([
    ['a', `a: 1\nb: -\n`],
    ['comments', '# one\nkind: Secret # two\napiVersion: v1\n  # three\nmetadata: # four\n  name: a\n# five\n'],
    ['JSON', JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' }, data: { x: 'é"\n\u2028' } })],
    [
      'JSON in lines',
      JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' }, l: [1, []] }, null, 2),
    ],
    [
      'CFG-05 words',
      'kind: X\na: no\nb: on\nc: 0o17\nd: 1e3\ne: 2026-01-01\nf: true\ng: Null\nh: 12\ni: 012\nj: 1.5\nk: .5\n',
    ],
    [
      'CFG-05 more words',
      'kind: X\nb: on\ne: 2026-01-01\nf: 10s\ng: 127.0.0.1:9002\nh: 500Mi\ni: ~\nj: TRUE\nk: truE\nl: 10.0.0.0/8\n',
    ],
    ['lists', 'kind: X\na:\n- b: 1\n  c: 2\n-\n  d: 3\n- - e\ng:\n  - h\n  - i: [j, "k", {l: m}]\n'],
    ['literal text', 'kind: X\na: |\n  one\n\n   two\n\nb: |-\n  one\n\nc: |+\n  one\n\n\nd:\n- |\n  x\n- y\n'],
    ['literal text with a comment after it', 'kind: X\na: |+\n  one\n\n# end\n\nb: 1\n'],
    ['documents', '---\nkind: X\n---\n---\n# y\n---\nkind: Y\na: "b"\n'],
    ['no last line feed', 'kind: X\na: |\n  b'],
    ['keys', `kind: X\n"a b": 1\n'c': 2\n.d/e-f: 3\n10: 4\ntrue: 5\n`],
    ['doubled', 'kind: X\na: 1\na: 2\n'],
    ['doubled in brackets', 'kind: X\na: { b: 1, "b": 2 }\n'],
    ['__proto__', 'kind: X\n__proto__: { a: 1 }\n'],
    ['a plain text of two lines', 'kind: X\na: b\n  c\nd: e\n'],
    ['quotes over two lines', 'kind: X\na: "b\n  c"\nd: e\n'],
    ['brackets over two lines', 'kind: X\na: [b,\n  c]\nd: e\n'],
    ['a colon in a value', 'kind: X\na: b: c\n'],
    ['an address', 'kind: X\na: https://b.example/c?d=e#f\ng: { h: https://i.example:80/j, k: l }\n'],
    ['wrong indentation', 'kind: X\na:\n    b: 1\n  c: 2\n'],
    ['anchors', 'kind: X\na: &b 1\nc: *b\n'],
    ['colons at once', 'kind: X\na: {"b":1,c:2}\nd: {"e" :1}\n'],
    ['emptiness', 'kind: X\na:\nb: {}\nc: []\nd: ""\ne: [ ]\nf: [a, ]\n'],
  ])('reads %s alike or not at all', (_, text) => {
    agreed(text)
  })
})

describe('texts that nobody should write', () => {
  it.each([1, 2, 3, 4])('reads the shipped ones alike after damage, or not at all (seed %i)', (seed) => {
    const random = seeded(seed)
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
    const pieces = [
      '\n',
      ' ',
      '  ',
      ':',
      ': ',
      '- ',
      '#',
      ' #',
      '"',
      "'",
      '{',
      '}',
      '[',
      ']',
      ',',
      '|',
      '|-',
      '---\n',
      '~',
      '\n\n',
    ]
    const others = [
      '&a ',
      '*a',
      '!x ',
      '?',
      '? ',
      '%',
      '@',
      '`',
      '>',
      '\\',
      '1',
      '0',
      '-1',
      '.5',
      'null',
      '\t',
      'é',
      '...\n',
    ]
    const documents = corpus.flatMap((text) => text.split(/^---\n/m)).filter((text) => text.length < 1500)
    let taken = 0
    for (let round = 0; round < 2500; round += 1) {
      let text = pick(documents)
      for (let edits = 1 + Math.floor(random() * 2); edits > 0; edits -= 1) {
        const at = Math.floor(random() * text.length)
        const gone = random() < 0.5 ? 0 : Math.floor(random() * 4)
        const added = random() < 0.3 ? '' : pick([...pieces, ...others])
        text = text.slice(0, at) + added + text.slice(at + gone)
      }
      if (agreed(text, 12)) taken += 1
    }
    expect(taken).toBeGreaterThan(250)
  })
})

/** Numbers from 0 to 1 that are the same each time (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
