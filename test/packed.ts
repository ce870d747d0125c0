import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

/*
 * Packs the package, installs the tarball into an empty folder and uses it there as a stranger would: version, check of good and
 * of bad policies, and one request that is refused and one that is let through.
 */

const exec = promisify(execFile)
const root = process.cwd()
const folder = await mkdtemp(join(tmpdir(), 'gatehouse-packed-'))

function expect(what: string, holds: boolean): void {
  if (!holds) throw new Error(`packed: ${what}`)
  process.stdout.write(`packed: ${what}\n`)
}

try {
  const { stdout } = await exec('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
    cwd: root,
  })
  const packed = JSON.parse(stdout) as
    { filename: string; files: { path: string }[] }[] | Record<string, { filename: string; files: { path: string }[] }>
  const [tarball] = Array.isArray(packed) ? packed : Object.values(packed)
  if (tarball === undefined) throw new Error('packed: npm pack gave nothing')
  expect(
    'holds no test and no TypeScript source',
    !tarball.files.some(({ path }) => /^(test|src)\/|(?<!\.d)\.ts$/.test(path)),
  )
  expect('holds no code of others', !tarball.files.some(({ path }) => path.startsWith('dist/start/')))
  await writeFile(join(folder, 'package.json'), '{"name":"stranger","private":true}')
  await exec('npm', ['install', '--no-audit', '--no-fund', '--omit=dev', join(folder, tarball.filename)], {
    cwd: folder,
  })
  const bin = join(folder, 'node_modules/gatehouse/dist/main.js')
  // As people call it: npm's link to an executable file, whose first line says how Node is to run it.
  const path = `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`
  const version = await exec(join(folder, 'node_modules/.bin/gatehouse'), ['--version'], { env: { PATH: path } })
  expect('prints its version', /^\d+\.\d+\.\d+/.test(version.stdout))
  const checked = await exec(process.execPath, [bin, 'check', join(root, 'policies')], { cwd: folder })
  expect('checks the shipped policies', checked.stdout.includes('no problems') || checked.stdout.includes('note'))
  await complains(bin)
  await serves(bin)
} finally {
  await rm(folder, { recursive: true, force: true })
}

/** A misspelt key is told with file and line, and by the exit code. */
async function complains(bin: string): Promise<void> {
  const bad = join(folder, 'bad')
  await mkdir(bad)
  const head = 'apiVersion: gatehouse.dev/v1alpha1\nkind: AuthPolicy\nmetadata: { namespace: shop, name: pay }\n'
  const targets = 'targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: cart }]'
  await writeFile(join(bad, 'policy.yaml'), `${head}spec:\n  ${targets}\n  guset: { subject: anybody }\n`)
  const answer = await exec(process.execPath, [bin, 'check', bad], { cwd: folder }).then(
    ({ stdout }) => ({ code: 0, stdout }),
    (cause: unknown) => cause as { code?: unknown; stdout?: unknown },
  )
  expect('check of bad policies ends with 1', answer.code === 1)
  const line = 'policy.yaml:6: error: there is no key "guset" here [unknown-key]'
  expect('check of bad policies tells the line', typeof answer.stdout === 'string' && answer.stdout.includes(line))
}

async function serves(bin: string): Promise<void> {
  const listeners = [
    '--grpc-listen',
    'off',
    '--http-listen',
    '127.0.0.1:0',
    '--matching-listen',
    'off',
    '--admin-listen',
    'off',
  ]
  const child = spawn(process.execPath, [bin, 'serve', join(root, 'policies'), ...listeners], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  try {
    const port = await new Promise<string>((done, fail) => {
      let text = ''
      child.stderr.on('data', (chunk: Buffer) => {
        text += chunk.toString()
        const found = /127\.0\.0\.1:(\d+)/.exec(text)?.[1]
        if (found !== undefined) done(found)
      })
      child.on('exit', () => fail(new Error(`packed: serve ended: ${text}`)))
      setTimeout(() => fail(new Error(`packed: serve did not start: ${text}`)), 20_000).unref()
    })
    const url = `http://127.0.0.1:${port}/v1/check/edge/status/page/-/`
    expect('refuses without a key', (await fetch(url)).status === 403)
    const allowed = await fetch(url, { headers: { 'x-monitor-key': 'monitor-key-for-the-example-only' } })
    expect('lets in with a key', allowed.status === 200 && allowed.headers.get('x-monitor') === 'uptime')
  } finally {
    // At its end it writes what V8 compiled into the folder that is removed next.
    const ended = child.exitCode === null ? once(child, 'exit') : undefined
    child.kill('SIGINT')
    await ended
  }
}
