import { spawnSync } from 'node:child_process'
import {
  chmod,
  mkdir,
  mkdtemp,
  open,
  readdir,
  rename,
  rm,
  symlink,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { createFileSource, readDirectory } from '../../src/source/files.ts'
import type { SourceState } from '../../src/source/source.ts'

const object = (name: string, value = 'x'): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: ${name} }\ndata: { value: ${value} }\n`

/** `name=value` of every object, in order. */
const held = ({ manifests }: SourceState): readonly string[] =>
  manifests.flatMap(({ name, object: of, broken }) =>
    broken ? [] : `${name}=${(of as { data: { value: string } }).data.value}`,
  )
const said = ({ problems }: SourceState): readonly string[] =>
  problems.map(({ file, line, say }) => [file, line, say].filter((part) => part !== undefined).join(':'))

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

const sleep = (millis: number): Promise<void> => new Promise((done) => setTimeout(done, millis))

async function directory(files: Readonly<Record<string, string>> = {}): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'gatehouse-source-'))
  cleanups.push(() => rm(path, { recursive: true, force: true }))
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(path, name, '..'), { recursive: true })
    await writeFile(join(path, name), content)
  }
  return path
}

/** A running source with everything that it told, and a way to wait for what it should tell. */
async function following(path: string) {
  const states: SourceState[] = []
  const source = createFileSource({ directory: path })
  cleanups.push(() => source.close())
  await source.start((state) => states.push(state))
  const latest = (): SourceState => states.at(-1) ?? { manifests: [], problems: [] }
  const until = async (holds: (state: SourceState) => boolean, millis = 5000): Promise<SourceState> => {
    const end = performance.now() + millis
    while (!holds(latest()) && performance.now() < end) await sleep(10)
    return latest()
  }
  return { source, states, latest, until }
}

/** Files of which nothing was ever read: each may be anything. */
const unread = ({ manifests }: SourceState): readonly string[] =>
  manifests.flatMap(({ kind, file, broken }) => (broken && kind === '' ? (file ?? '') : []))

describe('reading once', () => {
  it('takes .yaml, .yml and .json in folders of any depth, by path, and nothing else', async () => {
    const path = await directory({
      'b.yaml': object('b'),
      'a/z/y.yml': object('y'),
      'a/j.json': '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"j"},"data":{"value":"x"}}',
      '.hidden.yaml': object('hidden'),
      '.git/x.yaml': object('git'),
      'README.md': 'not yaml: [',
      'UPPER.YAML': object('upper'),
    })
    const state = await readDirectory(path)
    expect(state.problems).toEqual([])
    expect(held(state)).toEqual(['upper=x', 'j=x', 'y=x', 'b=x'])
    expect(state.manifests.map(({ file }) => file)).toEqual(['UPPER.YAML', 'a/j.json', 'a/z/y.yml', 'b.yaml'])
  })

  it('tells everything that is wrong at once, and uses the rest', async () => {
    const path = await directory({
      'good.yaml': object('good'),
      'half.yaml': `${object('first')}---\nkind: [\n`,
      'bytes.yaml': '',
      'nameless.yaml': 'apiVersion: v1\nkind: Secret\n',
    })
    await writeFile(join(path, 'bytes.yaml'), Buffer.from([0x61, 0x3a, 0x20, 0xff, 0xfe]))
    const state = await readDirectory(path)
    expect(held(state)).toEqual(['good=x', 'first=x'])
    expect(state.manifests.flatMap(({ broken, file, kind }) => (broken ? [[file, kind]] : []))).toEqual([
      ['bytes.yaml', ''],
      ['half.yaml', ''],
    ])
    expect(said(state)).toEqual([
      'bytes.yaml:is not UTF-8 text',
      expect.stringMatching(/^half\.yaml:\d+:/),
      'nameless.yaml:1:this Secret has no name that Kubernetes would take',
    ])
  })

  it('a directory that is not there is one problem', async () => {
    const state = await readDirectory(join(tmpdir(), 'gatehouse-nowhere'))
    expect(state.manifests).toEqual([])
    expect(state.problems).toMatchObject([
      {
        code: 'unreadable-source',
        file: join(tmpdir(), 'gatehouse-nowhere'),
        say: 'the directory cannot be read: there is nothing at this path (ENOENT)',
        mend: 'make it, or name the directory of your policies',
      },
    ])
  })

  it('CFG-09 reads nothing outside the directory, by whatever link', async () => {
    const outside = await directory({ 'token.yaml': object('stolen'), 'sub/other.yaml': object('other') })
    const path = await directory({ 'in.yaml': object('in') })
    await symlink(join(outside, 'token.yaml'), join(path, 'absolute.yaml'))
    await symlink(join('..', outside.slice(tmpdir().length + 1), 'token.yaml'), join(path, 'relative.yaml'))
    await symlink(join(outside, 'sub'), join(path, 'folder'))
    await symlink(path.slice(0, -1), join(path, 'prefix.yaml'))
    await symlink('loop.yaml', join(path, 'loop.yaml'))
    await symlink('in.yaml', join(path, 'inside.yaml'))
    const state = await readDirectory(path)
    expect(held(state)).toEqual(['in=x', 'in=x'])
    expect(said(state)).toEqual([
      'absolute.yaml:is a link that leads out of the directory',
      'folder:is a link that leads out of the directory',
      'loop.yaml:is a link that cannot be followed (ELOOP)',
      'prefix.yaml:is a link that cannot be followed (ENOENT)',
      'relative.yaml:is a link that leads out of the directory',
    ])
  })

  it('follows links between folders without going round in circles', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f']
    const path = await directory(Object.fromEntries(names.map((name) => [`${name}/x.yaml`, object(name)])))
    for (const from of names) for (const to of names) await symlink(join('..', to), join(path, from, `to-${to}`))
    const state = await readDirectory(path)
    expect(new Set(held(state))).toEqual(new Set(names.map((name) => `${name}=x`)))
    expect(state.manifests.length).toBeLessThanOrEqual(12)
  })

  it('CFG-18 does not open what is too large, or no file', async () => {
    const path = await directory({ 'good.yaml': object('good'), 'huge.yaml': '' })
    await truncate(join(path, 'huge.yaml'), 10_000_001)
    spawnSync('mkfifo', [join(path, 'pipe.yaml')])
    const state = await readDirectory(path)
    expect(held(state)).toEqual(['good=x'])
    expect(said(state)).toEqual(['huge.yaml:has more than 10000000 bytes', 'pipe.yaml:is no ordinary file'])
    expect(unread(state)).toEqual(['huge.yaml', 'pipe.yaml'])
  })
})

describe('CFG-08 following', () => {
  it('CFG-08 takes up edits, new files and new folders within two seconds', async () => {
    const path = await directory({ 'a.yaml': object('a') })
    const { until, states } = await following(path)
    const started = performance.now()
    await writeFile(join(path, 'a.yaml'), object('a', 'edited'))
    expect(held(await until((state) => held(state).includes('a=edited')))).toEqual(['a=edited'])
    await mkdir(join(path, 'deep/er'), { recursive: true })
    await writeFile(join(path, 'deep/er/b.yml'), object('b'))
    expect(held(await until((state) => held(state).includes('b=x')))).toEqual(['a=edited', 'b=x'])
    expect(performance.now() - started).toBeLessThan(4000)
    expect(states).toHaveLength(3)
  })

  it('CFG-08 says nothing where nothing changed', async () => {
    const path = await directory({ 'a.yaml': object('a'), 'broken.yaml': 'a: [' })
    const { states } = await following(path)
    await writeFile(join(path, 'a.yaml'), object('a'))
    await writeFile(join(path, 'notes.txt'), 'x')
    await sleep(1500)
    expect(states).toHaveLength(1)
  })

  it('CFG-08 takes a Kubernetes symlink swap whole, and never something between', async () => {
    const path = await directory()
    const publish = async (version: string, value: string): Promise<void> => {
      await mkdir(join(path, `..${version}`))
      for (const name of ['a', 'b']) await writeFile(join(path, `..${version}`, `${name}.yaml`), object(name, value))
      await symlink(`..${version}`, join(path, '..data_tmp'))
      await rename(join(path, '..data_tmp'), join(path, '..data'))
    }
    await publish('2026_01', 'one')
    for (const name of ['a', 'b']) await symlink(`..data/${name}.yaml`, join(path, `${name}.yaml`))
    const { until, states, latest } = await following(path)
    expect(held(latest())).toEqual(['a=one', 'b=one'])
    await publish('2026_02', 'two')
    await rm(join(path, '..2026_01'), { recursive: true })
    expect(held(await until((state) => held(state).includes('a=two')))).toEqual(['a=two', 'b=two'])
    expect(states.map(held)).toEqual([
      ['a=one', 'b=one'],
      ['a=two', 'b=two'],
    ])
    expect(states.flatMap(said)).toEqual([])
  })

  it('CFG-08 leaves a file alone while it is being written', async () => {
    const path = await directory({ 'a.yaml': object('a', 'old') })
    const { until, states } = await following(path)
    const handle = await open(join(path, 'a.yaml'), 'w')
    // Each part alone would be a valid file with other content.
    for (const part of [object('a', 'half'), '---\n', object('b', 'half'), '---\n', object('c', 'new')]) {
      await handle.write(part)
      await sleep(40)
    }
    await handle.close()
    await until((state) => held(state).includes('c=new'))
    expect(states.map(held)).toEqual([['a=old'], ['a=half', 'b=half', 'c=new']])
  })

  it('CFG-08 keeps the last good version of a broken file, says so once, and takes the mended one', async () => {
    const path = await directory({ 'a.yaml': object('a', 'good'), 'b.yaml': object('b') })
    const { until, states } = await following(path)
    await writeFile(join(path, 'a.yaml'), `${object('a', 'bad')}x: [\n`)
    const broken = await until((state) => state.problems.length > 0)
    expect(held(broken)).toEqual(['a=good', 'b=x'])
    expect(said(broken)[0]).toMatch(/^a\.yaml:\d+:.* \(the last good version stays in force\)$/)
    await writeFile(join(path, 'b.yaml'), object('b', 'other'))
    expect(held(await until((state) => held(state).includes('b=other')))).toEqual(['a=good', 'b=other'])
    await writeFile(join(path, 'a.yaml'), object('a', 'mended'))
    const mended = await until((state) => state.problems.length === 0)
    expect(held(mended)).toEqual(['a=mended', 'b=other'])
    expect(states).toHaveLength(4)
  })

  it('CFG-08 does not take a truncated file for an empty one at once', async () => {
    const path = await directory({ 'a.yaml': object('a', 'old') })
    const { until, states } = await following(path)
    await truncate(join(path, 'a.yaml'))
    await sleep(350)
    await writeFile(join(path, 'a.yaml'), object('a', 'new'))
    await until((state) => held(state).includes('a=new'))
    expect(states.map(held)).toEqual([['a=old'], ['a=new']])
    await truncate(join(path, 'a.yaml'))
    expect(held(await until((state) => held(state).length === 0))).toEqual([])
  })

  it('CFG-08 forgets a deleted file only when it stays away', async () => {
    const path = await directory({ 'a.yaml': object('a'), 'b.yaml': object('b') })
    const { until, states } = await following(path)
    await unlink(join(path, 'a.yaml'))
    await sleep(300)
    await writeFile(join(path, 'a.yaml'), object('a', 'back'))
    await until((state) => held(state).includes('a=back'))
    expect(states.map(held)).toEqual([
      ['a=x', 'b=x'],
      ['a=back', 'b=x'],
    ])
    const started = performance.now()
    await rm(join(path, 'a.yaml'))
    expect(held(await until((state) => held(state).length === 1))).toEqual(['b=x'])
    expect(performance.now() - started).toBeLessThan(2500)
  })

  it('CFG-08 sees a renamed file as the one that it was', async () => {
    const path = await directory({ 'a.yaml': object('a'), 'b.yaml': object('b') })
    const { until, states } = await following(path)
    await rename(join(path, 'a.yaml'), join(path, 'c.yaml'))
    await until(({ manifests }) => manifests.some(({ file }) => file === 'c.yaml'))
    expect(states.map(held)).toEqual([
      ['a=x', 'b=x'],
      ['b=x', 'a=x'],
    ])
  })

  it('CFG-08 comes through a storm of renames with every object in force at every moment', async () => {
    const path = await directory({ 'a.yaml': object('a'), 'keep.yaml': object('keep') })
    const { until, states } = await following(path)
    for (let round = 0; round < 40; round += 1) {
      await writeFile(join(path, 'a.yaml.tmp'), object('a', `v${round}`))
      await unlink(join(path, 'a.yaml'))
      await sleep(15)
      await rename(join(path, 'a.yaml.tmp'), join(path, 'a.yaml'))
    }
    await until((state) => held(state).includes('a=v39'))
    for (const state of states) expect(state.manifests.map(({ name }) => name)).toEqual(['a', 'keep'])
    expect(held(states.at(-1) ?? { manifests: [], problems: [] })).toEqual(['a=v39', 'keep=x'])
  })

  it('CFG-08 REL-26 takes fifty quick edits as a few, ending with the last', async () => {
    const path = await directory({ 'a.yaml': object('a', 'v0') })
    const { until, states } = await following(path)
    for (let round = 1; round <= 50; round += 1) {
      await writeFile(join(path, '.new'), object('a', `v${round}`))
      await rename(join(path, '.new'), join(path, 'a.yaml'))
      await sleep(10)
    }
    await until((state) => held(state).includes('a=v50'))
    const versions = states.map((state) => Number(held(state)[0]?.slice(3)))
    expect(versions).toEqual(versions.toSorted((one, other) => one - other))
    expect(versions.at(-1)).toBe(50)
    for (const state of states) expect(said(state)).toEqual([])
  })

  it('CFG-08 keeps what it had when a file turns into something that cannot be read', async () => {
    const path = await directory({ 'a.yaml': object('a') })
    const { until } = await following(path)
    await unlink(join(path, 'a.yaml'))
    await symlink('a.yaml', join(path, 'a.yaml'))
    const state = await until(({ problems }) => problems.length > 0)
    expect(held(state)).toEqual(['a=x'])
    await sleep(1300)
    expect(held(await until(() => true))).toEqual(['a=x'])
  })

  it.skipIf(process.getuid?.() === 0)(
    'CFG-08 chmod 000: the last good version stays (root may read anything: skipped)',
    async () => {
      const path = await directory({ 'a.yaml': object('a') })
      const { until } = await following(path)
      await chmod(join(path, 'a.yaml'), 0)
      const state = await until(({ problems }) => problems.length > 0)
      expect([held(state), said(state)]).toEqual([
        ['a=x'],
        ['a.yaml:cannot be read (EACCES) (the last good version stays in force)'],
      ])
      await chmod(join(path, 'a.yaml'), 0o600)
      expect(said(await until(({ problems }) => problems.length === 0))).toEqual([])
    },
  )

  it('CFG-08 keeps everything when the directory itself goes away, and goes on when it is back', async () => {
    const parent = await directory({ 'policies/a.yaml': object('a') })
    const path = join(parent, 'policies')
    const { until } = await following(path)
    await rename(path, join(parent, 'away'))
    const lost = await until(({ problems }) => problems.length > 0)
    expect([held(lost), said(lost)]).toEqual([
      ['a=x'],
      [
        `${path}:the directory cannot be read: there is nothing at this path (ENOENT) (all that was read before stays in force)`,
      ],
    ])
    await mkdir(path)
    await writeFile(join(path, 'a.yaml'), object('a', 'new'))
    expect(held(await until((state) => held(state).includes('a=new')))).toEqual(['a=new'])
  })

  it('takes what it never could read for anything, until it can be read or is gone', async () => {
    const path = await directory({ 'good.yaml': object('good'), 'huge.yaml': '', 'folder/a.yaml': object('a') })
    const outside = await directory({ 'b.yaml': object('b') })
    await truncate(join(path, 'huge.yaml'), 10_000_001)
    await symlink(outside, join(path, 'link'))
    const { until, latest, states } = await following(path)
    expect([held(latest()), unread(latest())]).toEqual([
      ['a=x', 'good=x'],
      ['huge.yaml', 'link'],
    ])
    await sleep(1500)
    expect(states).toHaveLength(1)
    await writeFile(join(path, 'huge.yaml'), object('huge'))
    expect(held(await until((state) => unread(state).length < 2))).toEqual(['a=x', 'good=x', 'huge=x'])
    await rm(join(path, 'link'))
    expect(unread(await until((state) => unread(state).length < 1))).toEqual([])
  })

  it('starts with a directory that is not there yet', async () => {
    const path = join(await directory(), 'later')
    const { until, latest } = await following(path)
    expect(said(latest())).toEqual([`${path}:the directory cannot be read: there is nothing at this path (ENOENT)`])
    await mkdir(path)
    await writeFile(join(path, 'a.yaml'), object('a'))
    expect(held(await until((state) => state.manifests.length > 0))).toEqual(['a=x'])
  })

  it('tells a state again that could not be put in force', async () => {
    const path = await directory({ 'a.yaml': object('a') })
    const told: (readonly string[])[] = []
    const source = createFileSource({ directory: path })
    cleanups.push(() => source.close())
    await source.start((state) => {
      told.push(held(state))
      if (told.length === 2) throw new Error('not now')
    })
    await writeFile(join(path, 'a.yaml'), object('a', 'new'))
    const end = performance.now() + 5000
    while (told.length < 3 && performance.now() < end) await sleep(10)
    expect(told).toEqual([['a=x'], ['a=new'], ['a=new']])
  })

  it('is silent after close, and leaves nothing running', async () => {
    const path = await directory({ 'a.yaml': object('a') })
    const { source, states } = await following(path)
    await writeFile(join(path, 'a.yaml'), object('a', 'new'))
    await source.close()
    await sleep(1300)
    expect(states.length).toBeLessThanOrEqual(2)
    const after = states.length
    await writeFile(join(path, 'a.yaml'), object('a', 'newer'))
    await sleep(1300)
    expect(states).toHaveLength(after)
    expect(await readdir(path)).toEqual(['a.yaml'])
  })

  it('lets a process end that only follows a directory', async () => {
    const path = await directory({ 'a.yaml': object('a') })
    const program = `import { createFileSource } from ${JSON.stringify(join(import.meta.dirname, '../../src/source/files.ts'))}
      await createFileSource({ directory: ${JSON.stringify(path)} }).start(() => undefined)`
    const run = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      timeout: 20_000,
      encoding: 'utf8',
    })
    expect([run.status, run.stderr]).toEqual([0, ''])
  }, 25_000)
})
