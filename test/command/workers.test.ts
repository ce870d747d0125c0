import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { byKey, check, guest, pause, rightKey, startChild } from '../security/child.ts'
import type { Child } from '../security/child.ts'
import { until } from '../support/program.ts'
import { send } from '../support/send.ts'

/* `--workers`: several processes behind one set of ports. */

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-workers-'))
  await writeFile(join(folder, 'all.yaml'), byKey('cart') + guest('open') + '---\nkind: Nonsense\n')
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const key = [['x-api-key', rightKey]] as const
const start = (...settings: string[]): Promise<Child> =>
  startChild({ directory: folder, settings: ['--workers=2', ...settings] })

/** Process ids of the workers. */
const workersOf = ({ pid }: Child): readonly number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)

const times = (text: string, part: string): number => text.split(part).length - 1

describe('workers', () => {
  it('deal out connections, and tell of themselves as one', async () => {
    const child = await start()
    try {
      expect(workersOf(child)).toHaveLength(2)
      // Each check has a connection of its own, so both workers look the key up for the first time once.
      for (let n = 0; n < 10; n++) expect(await check(child.httpPort, 'cart', key)).toBe(200)
      for (let n = 0; n < 10; n++) expect(await check(child.httpPort, 'cart')).toBe(403)
      expect(await child.metric('gatehouse_decisions_total')).toBe(20)
      expect(await child.metric('gatehouse_config_generation')).toBe(1)
      expect(await child.metric('gatehouse_config_rules')).toBe(2)
      await until(() => times(child.output(), '"decision":') === 20, child.output)
      const lines = child
        .output()
        .split('\n')
        .filter((line) => line.startsWith('{'))
      expect(lines.map((line) => (JSON.parse(line) as { decision: string }).decision).toSorted()).toEqual([
        ...Array.from({ length: 10 }, () => 'allow'),
        ...Array.from({ length: 10 }, () => 'deny'),
      ])
    } finally {
      await child.stop()
    }
  })

  it('say once what all of them see, also after an edit', async () => {
    const child = await start()
    const file = join(folder, 'later.yaml')
    try {
      await until(() => child.output().includes('Try:'), child.output)
      await pause(500)
      for (const said of ['Gatehouse is serving', 'this Nonsense has no apiVersion', '/readyz']) {
        expect([said, times(child.output(), said)]).toEqual([said, 1])
      }
      await writeFile(file, guest('later'))
      await until(async () => (await child.metric('gatehouse_config_rules')) === 3, child.output)
      for (let n = 0; n < 6; n++) await until(async () => (await check(child.httpPort, 'later')) === 200, child.output)
      await pause(500)
      expect(times(child.output(), 'Policies read again: generation 2')).toBe(1)
    } finally {
      await rm(file, { force: true })
      await child.stop()
    }
  })

  it('one that dies is told and replaced, while the other answers', async () => {
    const child = await start()
    try {
      const [first = 0, second] = workersOf(child)
      process.kill(first, 'SIGKILL')
      await until(() => child.output().includes(`Worker ${first} ended (SIGKILL)`), child.output)
      for (let n = 0; n < 10; n++) expect(await check(child.httpPort, 'cart', key)).toBe(200)
      await until(async () => (await send({ port: child.adminPort, path: '/readyz' })).status === 200, child.output)
      const now = workersOf(child)
      expect(now).toHaveLength(2)
      expect(now).toContain(second)
      expect(now).not.toContain(first)
    } finally {
      await child.stop()
    }
  })

  it('drain together: not ready, still answering, then gone with 0', async () => {
    const child = await start('--drain-wait=2')
    child.signal('SIGTERM')
    await until(async () => (await send({ port: child.adminPort, path: '/readyz' })).status === 503, child.output)
    for (let n = 0; n < 6; n++) expect(await check(child.httpPort, 'open')).toBe(200)
    expect(await child.ended).toBe(0)
    expect(times(child.output(), 'Stopping: not ready from now on')).toBe(1)
  })

  it('a port that is taken is one sentence and exit code 2', async () => {
    const child = await start()
    try {
      const taken = ['--http-listen=off', `--matching-listen=127.0.0.1:${child.httpPort}`]
      const failed = await startChild({ directory: folder, settings: ['--workers=3', ...taken] }).then(() => '', String)
      expect(failed).toContain('ended (2)')
      const said = `gatehouse: the matching listener cannot use 127.0.0.1:${child.httpPort}: the port is taken`
      expect(times(failed, said)).toBe(1)
    } finally {
      await child.stop()
    }
  })

  it('end when their supervisor does', async () => {
    const child = await start()
    const workers = workersOf(child)
    child.signal('SIGKILL')
    await child.ended
    const lives = (pid: number): boolean => {
      try {
        return process.kill(pid, 0)
      } catch {
        return false
      }
    }
    await until(
      () => !workers.some(lives),
      () => `still there: ${workers.filter(lives).join(', ')}`,
    )
    expect(workers).toHaveLength(2)
  })

  it('are for a directory', async () => {
    const failed = await start('--kubernetes').then(() => '', String)
    expect(failed).toContain('ended (2)')
    expect(failed).toContain('--workers is for a directory; with --kubernetes, run more replicas instead')
  })
})
