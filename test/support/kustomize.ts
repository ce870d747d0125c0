import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, constants, mkdir, readFile, rename } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { parseAllDocuments } from 'yaml'
import { goToolchain } from './go-toolchain.ts'
import type { KubeObject } from './kube-client.ts'

const run = promisify(execFile)

const source = resolve(import.meta.dirname, '../kubernetes/kustomize')
const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'gatehouse')

let known: Promise<string> | undefined
const built = new Map<string, Promise<readonly KubeObject[]>>()

/** The objects that `kubectl apply -k FOLDER` would send, built by kustomize itself; the folder is seen from the repository's root. */
export function kustomized(folder: string): Promise<readonly KubeObject[]> {
  const objects = built.get(folder) ?? build(folder)
  built.set(folder, objects)
  return objects
}

async function build(folder: string): Promise<readonly KubeObject[]> {
  known ??= kustomize()
  const at = resolve(import.meta.dirname, '../..', folder)
  const { stdout } = await run(await known, ['build', at], { maxBuffer: 64 * 1024 * 1024 })
  return parseAllDocuments(stdout).map((document) => document.toJS() as KubeObject)
}

/** `$KUSTOMIZE`, or one built with Go in a quarter of a minute and cached by what it was built from. */
async function kustomize(): Promise<string> {
  const told = process.env['KUSTOMIZE']
  if (told !== undefined) return told
  await mkdir(cache, { recursive: true })
  const go = await goToolchain(cache)
  const hash = createHash('sha256').update(go.version)
  for (const name of ['go.mod', 'go.sum']) hash.update(await readFile(join(source, name)))
  const program = join(cache, `kustomize-${hash.digest('hex').slice(0, 16)}`)
  const there = await access(program, constants.X_OK).then(
    () => true,
    () => false,
  )
  if (there) return program
  const half = `${program}.${process.pid}`
  const env = { ...go.env, GOFLAGS: '-mod=readonly -buildvcs=false' }
  const args = ['build', '-trimpath', '-ldflags', '-s -w', '-o', half, 'sigs.k8s.io/kustomize/kustomize/v5']
  await run(go.command, args, { env, cwd: source, maxBuffer: 64 * 1024 * 1024 })
  // Two test files may build at once: the last one wins, and both are whole.
  await rename(half, program)
  return program
}
