import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { celPackages, startPackages } from '../../deploy/start-packages.ts'
import { usableStartFile } from '../../src/command/start-file.ts'
import type { StartFile } from '../../src/command/start-file.ts'
import { guest, policy, root, secret, startChild } from '../security/child.ts'

/* What a start loads, and from where: it is most of the time that a start takes. */

const execute = promisify(execFile)
const node = (...args: readonly string[]) => execute(process.execPath, [...args], { cwd: root })

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-start-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function policies(name: string, text: string): Promise<string> {
  const directory = join(folder, name)
  await mkdir(directory)
  await writeFile(join(directory, 'a.yaml'), text)
  return directory
}

async function loadedBy(directory: string, ...settings: readonly string[]): Promise<readonly string[]> {
  const file = join(directory, 'loaded.json')
  const hook = pathToFileURL(join(root, 'test/support/loaded-packages.ts')).href
  const env = { ...process.env, LOADED_PACKAGES: file }
  const child = await startChild({ directory, nodeFlags: [`--import=${hook}`], settings, env })
  await child.stop()
  return JSON.parse(await readFile(file, 'utf8')) as readonly string[]
}

const keySet = {
  keys: [
    {
      kty: 'EC',
      crv: 'P-256',
      x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
      y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
    },
  ],
}
const tokens =
  secret('keys', { 'jwks.json': JSON.stringify(keySet) }) +
  policy(
    'tokens',
    `authentication: [{ jwt: { issuer: 'https://idp.example', audiences: [a], jwks: { ref: { name: keys } }, algorithms: [ES256] } }]
response: { headers: [{ name: x-user, value: { cel: identity.subject } }] }`,
  )

describe('a start loads what its policies need', () => {
  it('and nothing else where they need nobody and there is no decision log', async () => {
    expect(await loadedBy(await policies('plain', tokens + guest('open')), '--decision-log=off')).toEqual(startPackages)
  })
  it('the library of expressions where one is more than the name of a member', async () => {
    const conditioned = policy(
      'conditioned',
      `guest: { subject: visitor }\nauthorization: [{ cel: 'request.path != "/x"' }]`,
    )
    expect(await loadedBy(await policies('conditioned', conditioned), '--decision-log=off')).toEqual(
      [...startPackages, ...celPackages].toSorted(),
    )
  })
  it('the client of remote key sets where one is named', async () => {
    const remote = policy(
      'remote',
      `authentication: [{ jwt: { issuer: 'https://localhost:1', audiences: [a], jwks: { discovery: true } } }]`,
    )
    expect(await loadedBy(await policies('remote', remote), '--decision-log=off')).toEqual(
      [...startPackages, 'undici'].toSorted(),
    )
  })
  it('the library that knows every mistake where a file is not plain', async () => {
    const odd = `${guest('odd')}  mode: &mode Enforce\n`
    expect(await loadedBy(await policies('odd', odd), '--decision-log=off')).toEqual(
      [...startPackages, 'yaml'].toSorted(),
    )
  })
})

describe('the start file', () => {
  /** Compiled and put together in a folder of its own, beside the packages that are installed here. */
  async function built(name: string): Promise<string> {
    const place = join(folder, name)
    await mkdir(place)
    await symlink(join(root, 'node_modules'), join(place, 'node_modules'))
    for (const part of ['package.json', 'protos']) await cp(join(root, part), join(place, part), { recursive: true })
    const dist = join(place, 'dist')
    await node('node_modules/typescript/bin/tsc', '-p', 'src/tsconfig.json', '--noCheck', '--outDir', dist)
    await node('deploy/bundle.ts', dist)
    return dist
  }
  const told = async (dist: string): Promise<StartFile | undefined> => {
    const compiled = pathToFileURL(join(dist, 'command/start-file.js')).href
    return ((await import(compiled)) as { readonly startFile: StartFile | undefined }).startFile
  }

  it('holds the packages of a plain start, is what a start runs, and is the same to the byte, built twice', async () => {
    const [one, two] = [await built('one'), await built('two')]
    expect(Object.keys((await told(one))?.packages ?? {})).toEqual([...startPackages, ...celPackages].toSorted())
    const names = (await readdir(join(one, 'start'))).toSorted()
    expect((await readdir(join(two, 'start'))).toSorted()).toEqual(names)
    for (const file of [...names.map((name) => `start/${name}`), 'command/start-file.js'])
      expect((await readFile(join(two, file))).equals(await readFile(join(one, file)))).toBe(true)
    await writeFile(join(one, 'start/start.js'), 'throw new Error("the start file")')
    await expect(node(join(one, 'main.js'), '--version')).rejects.toThrow('the start file')
    await rm(join(one, 'start'), { recursive: true })
    expect((await node(join(one, 'main.js'), '--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
    expect((await node(join(two, 'main.js'), 'check', 'policies')).stdout).toContain('rules protected')
    const conditions = await policies(
      'conditions',
      policy('one', `guest: { subject: visitor }\nauthorization: [{ cel: 'true' }]`),
    )
    expect((await node(join(two, 'main.js'), 'check', conditions)).stdout).toContain('1 rule protected')
    await writeFile(join(two, 'start/cel.cjs'), 'throw new Error("the file of expressions")')
    await expect(node(join(two, 'main.js'), 'check', conditions)).rejects.toThrow('the file of expressions')
    const hashed = execute('sh', [
      '-c',
      `echo a-password | "$0" "$1" hash password`,
      process.execPath,
      join(two, 'main.js'),
    ])
    expect((await hashed).stdout).toMatch(/^\$argon2id\$/)
  }, 60_000)

  const file: StartFile = { path: '../start/start.js', packages: { zod: '4.0.0', 'a/node_modules/b': '1.0.0' } }
  it.each([
    ['is run where all packages are the ones that it holds', { zod: '4.0.0', 'a/node_modules/b': '1.0.0' }, true],
    ['is not run where a package was renewed', { zod: '4.0.1', 'a/node_modules/b': '1.0.0' }, false],
    ['is not run where a package is elsewhere', { zod: '4.0.0' }, false],
  ])('%s', async (name, installed, usable) => {
    const place = join(folder, name)
    await mkdir(join(place, 'dist/start'), { recursive: true })
    await writeFile(join(place, 'dist/start/start.js'), '')
    for (const [at, version] of Object.entries(installed)) {
      await mkdir(join(place, 'node_modules', at), { recursive: true })
      await writeFile(join(place, 'node_modules', at, 'package.json'), JSON.stringify({ version }))
    }
    const from = pathToFileURL(join(place, 'dist/command/start-file.js')).href
    expect(usableStartFile(file, from)).toBe(usable ? new URL('../start/start.js', from).href : undefined)
  })
  it('is told of by the compiled form only', () => {
    expect(usableStartFile()).toBeUndefined()
  })
})
