import { execFile, spawn } from 'node:child_process'
import { access, cp, mkdir, mkdtemp, readFile, readdir, realpath, rename, rm, symlink } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { freePorts } from './support/program.ts'
import { basic, send } from './support/send.ts'

/*
 * Builds the Dockerfile with buildah and runs the image as deploy/ does: as a user who is nobody, on a root file system that cannot be
 * written. No container registry is asked: the base image is made here, of Debian's packages and the Node.js that runs this.
 * Wants root on Debian; elsewhere it says so in one line, and fails only in CI.
 */

const root = process.cwd()
const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'gatehouse')
const execute = promisify(execFile)

async function run(command: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await execute(command, args, { cwd: root, maxBuffer: 256 * 1024 * 1024 })
  return stdout.trim()
}

const there = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

function expect(what: string, holds: boolean): void {
  if (!holds) throw new Error(`image: ${what}`)
  process.stdout.write(`image: ${what}\n`)
}

/** Why it cannot be done here. */
async function hindrance(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'it wants root'
  if (!(await there('/etc/debian_version')) || !(await there('/usr/bin/apt-get'))) return 'it wants Debian'
  return undefined
}

/** Debian's own tools, installed where they are missing. */
async function tools(): Promise<void> {
  const missing = []
  for (const [name, file] of [
    ['buildah', '/usr/bin/buildah'],
    ['debootstrap', '/usr/sbin/debootstrap'],
  ] as const)
    if (!(await there(file))) missing.push(name)
  if (missing.length === 0) return
  process.stdout.write(`image: installing ${missing.join(' and ')} with apt-get\n`)
  await run('apt-get', 'update', '--quiet')
  await run('apt-get', 'install', '--yes', '--quiet', '--no-install-recommends', ...missing)
}

/** A minimal Debian from the machine's own mirror; kept, since it takes a minute. */
async function debian(suite: string): Promise<string> {
  const archive = join(cache, `debian-${suite}.tar`)
  if (await there(archive)) return archive
  process.stdout.write(`image: making a Debian ${suite}: a minute or two, once\n`)
  const targets = await run('apt-get', 'indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages')
  const [mirror = ''] = targets.split('\n')
  await mkdir(cache, { recursive: true })
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-debian-'))
  try {
    await run('debootstrap', '--variant=minbase', suite, folder, mirror)
    await rm(join(folder, 'var/cache/apt'), { recursive: true, force: true })
    await run('tar', '-C', folder, '-cf', `${archive}.${process.pid}`, '.')
    await rename(`${archive}.${process.pid}`, archive)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return archive
}

/** What the Dockerfile expects of its base: node, and npm for the first stage. */
async function addNode(folder: string): Promise<void> {
  await cp(await realpath(process.execPath), join(folder, 'usr/local/bin/node'))
  const npm = dirname(dirname(await realpath(await run('sh', '-c', 'command -v npm'))))
  await mkdir(join(folder, 'usr/local/lib/node_modules'), { recursive: true })
  await cp(npm, join(folder, 'usr/local/lib/node_modules/npm'), { recursive: true, verbatimSymlinks: true })
  await symlink('../lib/node_modules/npm/bin/npm-cli.js', join(folder, 'usr/local/bin/npm'))
  const authorities = process.env['NODE_EXTRA_CA_CERTS']
  if (authorities !== undefined) await cp(authorities, join(folder, 'etc/authorities.pem'))
}

/** buildah with a store of its own, which goes with the folder. */
const buildahIn = (folder: string) => {
  const store = ['--root', join(folder, 'store'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs']
  return (...args: readonly string[]): Promise<string> => run('buildah', ...store, ...args)
}

type Buildah = ReturnType<typeof buildahIn>

async function base(buildah: Buildah, folder: string, image: string): Promise<void> {
  const [, version = '', suite = ''] = /^node:(\d+\.\d+\.\d+)-(\w+)-slim$/.exec(image) ?? []
  expect(`the base image ${image} is of the Node.js that the tests run on`, process.version === `v${version}`)
  const system = join(folder, 'system')
  await mkdir(system)
  await run('tar', '-C', system, '-xf', await debian(suite))
  await addNode(system)
  const container = await buildah('from', 'scratch')
  await buildah('add', '--quiet', container, system, '/')
  if (process.env['NODE_EXTRA_CA_CERTS'] !== undefined)
    await buildah('config', '--env', 'NODE_EXTRA_CA_CERTS=/etc/authorities.pem', container)
  await buildah('commit', '--quiet', '--rm', container, `docker.io/library/${image}`)
  await rm(system, { recursive: true })
}

interface ImageConfig {
  readonly User: string
  readonly Entrypoint: readonly string[]
  readonly Env: readonly string[]
}

async function build(buildah: Buildah): Promise<ImageConfig> {
  await buildah('bud', '--isolation', 'chroot', '--pull-never', '--quiet', '--tag', 'gatehouse-test', '.')
  const inspected = await buildah('inspect', '--type', 'image', 'gatehouse-test')
  return (JSON.parse(inspected) as { readonly OCIv1: { readonly config: ImageConfig } }).OCIv1.config
}

/** Mounts the policies into the image's file system, makes all of it read-only, and becomes nobody there. */
const script = `
set -eu
mount --make-rprivate /
mount --bind "$1" "$1"
mount --bind "$2" "$1/policies"
mount -t proc proc "$1/proc"
mount --bind /dev/null "$1/dev/null"
mount --bind /dev/urandom "$1/dev/urandom"
mount -o remount,bind,ro "$1"
root=$1 user=$3
shift 3
exec chroot --userspec="$user" "$root" /usr/bin/env -i "$@"
`

const inImage = (system: string, { User, Env }: ImageConfig, command: readonly string[]): readonly string[] => {
  const unshared = ['--mount', 'sh', '-c', script, 'sh', system, join(root, 'policies')]
  return [...unshared, User, ...Env, ...command]
}

async function serves(system: string, config: ImageConfig): Promise<void> {
  const [grpc = 0, http = 0, matching = 0, admin = 0] = await freePorts(4)
  const ports = Object.entries({ grpc, http, matching, admin })
  const listens = ports.map(([name, port]) => `--${name}-listen=127.0.0.1:${port}`)
  const command = [...config.Entrypoint, 'serve', '/policies', '--drain-wait=0', '--drain-grace=1', ...listens]
  const server = spawn('unshare', inImage(system, config, command), { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [server.stdout, server.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')))
  // Every step before it gives its place to the next: this is the process of Gatehouse itself.
  const ended = new Promise<number | null>((done) => server.on('exit', done))
  const status = (port: number, path: string, ...headers: (readonly [string, string])[]) =>
    send({ port, path, headers }).then(
      (answer) => answer.status,
      () => 0,
    )
  try {
    const patience = performance.now() + 30_000
    while ((await status(admin, '/readyz')) !== 200) {
      if (performance.now() > patience || server.exitCode !== null) throw new Error(`image: not ready:\n${output}`)
      await new Promise((done) => setTimeout(done, 100))
    }
    const check = '/v1/check/intranet/wiki/pages/-/wiki'
    expect('refuses who has no password', (await status(http, check)) === 401)
    const ada = ['Authorization', basic('ada', 'analytical-engine')] as const
    expect('lets in who has one, read-only and as nobody', (await status(http, check, ada)) === 200)
    server.kill('SIGTERM')
    expect('ends when it is asked to', (await ended) === 0)
  } finally {
    server.kill('SIGKILL')
    await ended
  }
}

async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-image-'))
  const buildah = buildahIn(folder)
  try {
    await tools()
    const images = (await readFile('Dockerfile', 'utf8')).matchAll(/^FROM (\S+)/gm)
    for (const image of new Set([...images].map(([, name = '']) => name))) await base(buildah, folder, image)
    const config = await build(buildah)
    expect(
      'runs as a user above 10,000',
      config.User.split(':').every((id) => Number(id) >= 10_000),
    )
    const system = await buildah('mount', await buildah('from', '--pull-never', 'gatehouse-test'))
    const programs = (
      await Promise.all(['usr/local/bin', 'usr/local/lib'].map((at) => readdir(join(system, at))))
    ).flat()
    expect(
      'holds no npm',
      programs.includes('node') && !programs.some((name) => /npm|npx|yarn|node_modules/.test(name)),
    )
    await mkdir(join(system, 'policies'))
    const write = [
      '/usr/local/bin/node',
      '-e',
      'try{fs.writeFileSync("/tmp/x","")}catch(e){process.stdout.write(e.code)}',
    ]
    expect('cannot write', (await run('unshare', ...inImage(system, config, write))) === 'EROFS')
    const starts = 'NODE_DEBUG_NATIVE=COMPILE_CACHE /gatehouse/dist/main.js --version 2>&1'
    expect(
      'starts from its start file, and with what V8 compiled for it',
      /dist\/start\/start\.js was accepted/.test(
        await run('unshare', ...inImage(system, config, ['/bin/sh', '-c', starts])),
      ),
    )
    await serves(system, config)
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

const why = await hindrance()
if (why === undefined) await main()
else {
  process.stdout.write(`image: the Dockerfile is not built here: ${why}\n`)
  if (process.env['CI'] === 'true') process.exitCode = 1
}
