import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import type { OutputChunk, OutputOptions, Plugin, RolldownOptions } from 'rolldown'
import { celPackages, startPackages } from './start-packages.ts'

/*
 * Puts the modules that a start needs, ours and those of `start-packages.ts`, into few files beside the compiled ones:
 * `node deploy/bundle.ts [dist]`, after the compiler. The image starts from them, in half the time; the packed package does not hold
 * them. Everything that they were made of stays where it is and is what runs if it is no longer the same (src/command/start-file.ts).
 * What it leaves can be executed, as the package's can once it is installed.
 */

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = resolve(process.argv[2] ?? join(root, 'dist'))
const folder = join(dist, 'start')

/** Of each file: what belongs to the one is never in the other too. */
const isApart =
  (packages: readonly string[]) =>
  (id: string): boolean => {
    const name = /^(?:@[^/]+\/)?[^./][^/]*/.exec(id)?.[0]
    return name !== undefined && !packages.includes(name)
  }

/** Where a package is found that `src/authz/cel-library.ts` asks for once there is an expression. */
const celFile = 'cel.cjs'

/** A module of ours that asks where it is means its own place, not that of the file that it was put into. */
const places: Plugin = {
  name: 'places',
  transform(code, id) {
    const own = relative(dist, id)
    if (own.startsWith('..') || !code.includes('import.meta.url')) return undefined
    const place = `new URL(${JSON.stringify(`../${own.split(sep).join('/')}`)}, import.meta.url).href`
    const found = code.replaceAll(`('@bufbuild/cel')`, `('../${basename(folder)}/${celFile}')`)
    return { code: found.replaceAll('import.meta.url', place), map: null }
  },
}

/**
 * Node's own modules as they are: an import of one makes it a module of its kind, which evaluates everything that it exports, also
 * what nobody asks for and Node itself loads late.
 */
const builtins: Plugin = {
  name: 'builtins',
  renderChunk(code, { fileName }) {
    const taken = code.replace(
      /^import (?:(\w+(?: as \w+)?)|\{([^}]*)\}) from ("node:[\w/]+");$/gm,
      (_, whole: string | undefined, some: string | undefined, name: string) =>
        `const ${whole ?? `{${some?.replaceAll(' as ', ': ')}}`} = globalThis.process.getBuiltinModule(${name});`,
    )
    const left = /^import .*"node:.*$/m.exec(taken)
    if (left !== null) throw new Error(`${fileName} has an import that is not of the usual form: ${left[0]}`)
    return { code: taken, map: null }
  },
}

/** One character beyond Latin-1 makes Node keep two bytes for each of a file's million. */
function inAscii(fileName: string, code: string): string {
  const raw = /String\.raw`[^`]*[^\0-\x7f]/.exec(code)
  if (raw !== null) throw new Error(`${fileName} has a text in which an escape is not one: ${raw[0]}`)
  return code.replaceAll(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** `zod`, or `a/node_modules/b`: the folder of the package that a module is of. */
const folderOf = (module: string): string | undefined =>
  /^.*?\/node_modules\/((?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+)\//.exec(module)?.[1]

function versionsOf(chunks: readonly OutputChunk[]): Readonly<Record<string, string>> {
  const folders = new Set(chunks.flatMap(({ moduleIds }) => moduleIds.flatMap((id) => folderOf(id) ?? [])))
  return Object.fromEntries(
    [...folders].toSorted().map((name) => {
      const text = readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')
      return [name, (JSON.parse(text) as { readonly version: string }).version] as const
    }),
  )
}

/** Each with all that it needs and that is in none before it: finding and opening a file takes longer than most of what is in it. */
const groups = [
  { name: 'command', test: /\/command\/start\.js$/, priority: 3 },
  { name: 'policies', test: /\/(?:policy\/compile|source\/files)\.js$/, priority: 2 },
  { name: 'serving', test: /\/command\/serve\.js$/, priority: 1 },
]

async function written(input: RolldownOptions, form: OutputOptions): Promise<readonly OutputChunk[]> {
  const bundle = await rolldown({ ...input, cwd: dirname(dist), platform: 'node' })
  const comments = { legal: true, annotation: false, jsdoc: false }
  const { output } = await bundle.write({ ...form, dir: folder, comments })
  await bundle.close()
  return output.filter((one) => one.type === 'chunk')
}

rmSync(folder, { recursive: true, force: true })
const chunks = [
  ...(await written(
    {
      input: { start: join(dist, 'command/start.js') },
      external: isApart(startPackages),
      plugins: [places, builtins],
      // What `check` loads when it is asked for, serving has anyway.
      checks: { ineffectiveDynamicImport: false },
    },
    { format: 'esm', entryFileNames: '[name].js', chunkFileNames: '[name].js', codeSplitting: { groups } },
  )),
  ...(await written(
    { input: '@bufbuild/cel', external: isApart(celPackages) },
    { format: 'cjs', entryFileNames: celFile },
  )),
]
for (const { code, fileName } of chunks) writeFileSync(join(folder, fileName), inAscii(fileName, code))
const file = join(dist, 'command/start-file.js')
const none = 'export const startFile = undefined;'
const before = readFileSync(file, 'utf8')
if (!before.includes(none)) throw new Error(`${file} is not what the compiler makes of src/command/start-file.ts`)
const made = JSON.stringify({ path: '../start/start.js', packages: versionsOf(chunks) })
writeFileSync(
  file,
  before.replace(none, () => `export const startFile = ${made};`),
)
chmodSync(join(dist, 'main.js'), 0o755)
