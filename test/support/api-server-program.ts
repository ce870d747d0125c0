import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, constants, link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { goToolchain } from './go-toolchain.ts'
import type { GoToolchain } from './go-toolchain.ts'

/** The Kubernetes API server of the tests, or one sentence about why there is none and how to get it. */
export type ApiServerProgram =
  | { readonly kind: 'found'; readonly command: string; readonly version: string }
  | { readonly kind: 'missing'; readonly how: string }

const source = resolve(import.meta.dirname, '../kubernetes/api-server')
const variable = 'KUBE_TEST_SERVER'

/** A folder of the user's, not of the clone: a build takes minutes, and every fresh clone would pay for one. */
const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'gatehouse')

let known: Promise<ApiServerProgram> | undefined

/** Finds the program, once a process: its variable, our cache, and then Go, which fills the cache. */
export function apiServerProgram(): Promise<ApiServerProgram> {
  known ??= find()
  return known
}

async function find(): Promise<ApiServerProgram> {
  const told = process.env[variable]
  try {
    const version = await kubernetesVersion()
    if (told === undefined) return { kind: 'found', command: await cached(version), version }
    if (await exists(told)) return { kind: 'found', command: told, version: `${version} by ${variable}` }
    return { kind: 'missing', how: `${variable} is set to ${told}, which is not a program` }
  } catch (cause) {
    const why = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause)
    const how = `install Go 1.26, or Python's pip, or set ${variable} to a built test/kubernetes/api-server`
    return { kind: 'missing', how: `the Kubernetes API server is missing: ${how} (${why})` }
  }
}

async function kubernetesVersion(): Promise<string> {
  const text = await readFile(join(source, 'go.mod'), 'utf8')
  const version = /^\tk8s\.io\/kubernetes (v\d+\.\d+\.\d+)$/m.exec(text)?.[1]
  if (version === undefined) throw new Error('go.mod names no version of k8s.io/kubernetes')
  return version
}

async function cached(version: string): Promise<string> {
  await mkdir(cache, { recursive: true })
  const go = await goToolchain(cache)
  const program = join(cache, `kube-test-server-${await digest(go)}`)
  if (!(await exists(program))) await alone(program, () => build(go, program, version))
  return program
}

async function digest(go: GoToolchain): Promise<string> {
  const hash = createHash('sha256')
  for (const name of ['go.mod', 'go.sum', 'main.go']) hash.update(await readFile(join(source, name)))
  return hash.update(go.version).digest('hex').slice(0, 16)
}

async function build(go: GoToolchain, program: string, version: string): Promise<void> {
  if (await exists(program)) return
  const started = Date.now()
  tell(`building kube-apiserver ${version} with Go: once, 10 to 15 minutes on two cores, then it is cached`)
  const half = `${program}.${process.pid}`
  const [major = '', minor = ''] = version.slice(1).split('.')
  const stamp = Object.entries({ gitVersion: version, gitMajor: major, gitMinor: minor })
  const flags = stamp.map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`).join(' ')
  // A collector that runs less often saves a fifth of the time; the peak is under 3 GB.
  const env = { ...go.env, GOFLAGS: '-mod=readonly -buildvcs=false', GOGC: '400' }
  try {
    await compile(go.command, ['build', '-trimpath', '-ldflags', `-s -w ${flags}`, '-o', half, '.'], env)
    await rename(half, program)
  } finally {
    await rm(half, { force: true })
  }
  tell(`built kube-apiserver ${version} in ${Math.round((Date.now() - started) / 1000)} s`)
}

/** Runs Go in the module, at the lowest priority: whoever waits for it has other work to do on the machine. */
async function compile(go: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn('nice', ['-n', '19', go, ...args], { cwd: source, env, stdio: ['ignore', 'ignore', 'pipe'] })
  let complaint = ''
  child.stderr.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString('utf8')).slice(-4000)))
  const code = await new Promise<number | null>((done, fail) => child.on('error', fail).on('close', done))
  if (code === 0) return
  const last = complaint.trim().split('\n').at(-1) ?? ''
  throw new Error(`go build ended with ${code ?? 'a signal'}: ${last}`)
}

const tell = (line: string): boolean => process.stderr.write(`${line}\n`)

const exists = (file: string): Promise<boolean> =>
  access(file, constants.X_OK).then(
    () => true,
    () => false,
  )

/** Spares the machine a second build of the same; what is built is renamed into place, so that two do no harm either. */
async function alone(program: string, work: () => Promise<void>): Promise<void> {
  const lock = `${program}.lock`
  const mine = `${lock}.${process.pid}`
  // A link appears with its content or not at all: nobody reads a lock that has no holder yet.
  await writeFile(mine, String(process.pid))
  try {
    while (!(await linked(mine, lock))) {
      if (!(await holderLives(lock))) await rm(lock, { force: true })
      await new Promise((done) => setTimeout(done, 500))
    }
    try {
      await work()
    } finally {
      await rm(lock, { force: true })
    }
  } finally {
    await rm(mine, { force: true })
  }
}

const linked = (file: string, name: string): Promise<boolean> =>
  link(file, name).then(
    () => true,
    () => false,
  )

async function holderLives(lock: string): Promise<boolean> {
  const pid = Number(await readFile(lock, 'utf8').catch(() => ''))
  try {
    return pid > 0 && process.kill(pid, 0)
  } catch {
    return false
  }
}

// `node test/support/api-server-program.ts` builds it ahead of the tests, where its waiting is seen.
if (import.meta.main) {
  const program = await apiServerProgram()
  if (program.kind === 'found') process.stdout.write(`${program.command}\n`)
  else tell(program.how)
  // A laptop without it skips those tests; CI must have it.
  process.exitCode = program.kind === 'found' || process.env['CI'] !== 'true' ? 0 : 1
}
