import { fileURLToPath } from 'node:url'

// An import of this module would evaluate all that it exports, also what Node itself loads late.
const { existsSync, readFileSync } = process.getBuiltinModule('node:fs')

/** `start.ts` and what it needs, put into few files: finding and reading six hundred takes longer than running them. */
export interface StartFile {
  /** The file that stands for `start.ts`, from this one. */
  readonly path: string
  /** What others wrote of it: folders under `node_modules`, and the version that each had. */
  readonly packages: Readonly<Record<string, string>>
}

/** None in the source: `deploy/bundle.ts` writes it into the compiled form of this very file, and compiling again takes it away. */
export const startFile: StartFile | undefined = undefined

/**
 * The address of the file, where it is the same as what would be loaded without it. Whoever puts another version of a package in
 * place runs that version, and an audit of what is installed is one of what runs.
 */
export function usableStartFile(file = startFile, from = import.meta.url): string | undefined {
  if (file === undefined) return undefined
  const url = new URL(file.path, from)
  const installed = (folder: string): unknown => versionOf(new URL(`../../node_modules/${folder}/package.json`, from))
  const same = Object.entries(file.packages).every(([folder, version]) => installed(folder) === version)
  return same && existsSync(fileURLToPath(url)) ? url.href : undefined
}

function versionOf(manifest: URL): unknown {
  try {
    return (JSON.parse(readFileSync(manifest, 'utf8')) as { readonly version?: unknown }).version
  } catch {
    return undefined
  }
}
