import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { watchedKinds } from '../../src/kubernetes/resources.ts'
import { apiProxy } from '../support/api-proxy.ts'
import type { ApiProxy, Fault, SeenRequest } from '../support/api-proxy.ts'
import { apiServer, describeOnKubernetes } from '../support/api-server.ts'
import type { ApiServer } from '../support/api-server.ts'
import { bindingOf, configMaps, readerRole, serviceAccountToken } from '../support/kube-objects.ts'
import { follow } from '../support/kube-source.ts'
import type { Following } from '../support/kube-source.ts'

const mapsPath = '/api/v1/configmaps'
/** Two kinds are enough to see that the one does not disturb the other. */
const kinds = watchedKinds.filter(({ kind }) => kind === 'ConfigMap' || kind === 'Namespace')

const status = (code: number, more: object = {}, headers: Record<string, string> = {}): Fault => ({
  kind: 'answer',
  status: code,
  headers,
  body: { kind: 'Status', code, ...more },
})
const expired = status(410, { reason: 'Expired', message: 'too old resource version: 1 (2)' })

const isWatch = ({ query }: SeenRequest): boolean => query.get('watch') === 'true'
const ofMaps = ({ path }: SeenRequest): boolean => path === mapsPath
const isList = (seen: SeenRequest): boolean => ofMaps(seen) && !isWatch(seen)

const map = (name: string, value = 'one') => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { namespace: 'default', name, labels: { 'gatehouse.dev/credentials': 'true' } },
  data: { value },
})

const valueOf = (one: Following, name: string): unknown => {
  const object = one.of('ConfigMap').find((manifest) => manifest.name === name)?.object
  return (object as { readonly data?: { readonly value?: string } } | undefined)?.data?.value
}

await describeOnKubernetes('a cluster that fails', () => {
  let api: ApiServer
  let proxy: ApiProxy
  let one: Following

  beforeAll(async () => {
    api = await apiServer({ crds: 'none' })
  })
  afterAll(() => api.stop())
  beforeEach(async () => {
    await api.apply(map('steady'))
    proxy = await apiProxy(api)
    one = follow({ server: proxy.url, token: api.token }, { kinds })
    await one.started
    expect(one.names('ConfigMap')).toContain('default/steady')
  })
  afterEach(async () => {
    await one.close()
    await proxy.close()
  })

  const lists = (): number => proxy.seen.filter(isList).length
  /** Edits, and waits at most 5 s until that has arrived. */
  const converges = async (value: string): Promise<void> => {
    await api.apply(map('steady', value))
    await one.sees((now) => valueOf(now, 'steady') === value, 5000)
  }
  const rest = (millis: number): Promise<void> => new Promise((done) => setTimeout(done, millis))

  describe('connections', () => {
    it('REL-13 cut ones are opened again where they were, without a new list', async () => {
      await converges('before')
      const before = lists()
      for (let round = 0; round < 5; round += 1) {
        proxy.cut()
        await converges(`round-${round}`)
      }
      expect(lists()).toBe(before)
      expect(one.latest().problems).toEqual([])
    })

    it('that fall silent are given up and opened again where they were', async () => {
      await one.close()
      one = follow({ server: proxy.url, token: api.token }, { kinds, pace: { quiet: 1200 } })
      await one.started
      const before = lists()
      proxy.mute()
      await converges('heard again')
      expect(lists()).toBe(before)
    })

    it('REL-24 a server that is away changes nothing but one complaint, and is found again within 5 s', async () => {
      const { manifests } = one.latest()
      const states = one.states.length
      await proxy.down()
      await api.apply(map('steady', 'meanwhile'))
      await rest(6000)
      expect(one.levels.get('watches-behind')).toBe(2)
      expect(one.levels.get('watch-age-seconds')).toBeGreaterThanOrEqual(4)
      expect(one.counts.get('watch-failed')).toBeGreaterThan(2)
      expect(one.states.length).toBe(states + 1)
      expect(one.latest().manifests).toEqual(manifests)
      expect(one.latest().problems).toMatchObject([
        { code: 'api-unreachable', severity: 'warning', say: expect.stringContaining('does not answer') as string },
      ])
      await proxy.up()
      await one.sees((now) => valueOf(now, 'steady') === 'meanwhile', 5000)
      await one.sees((now) => now.latest().problems.length === 0, 5000)
    })

    it('that are taken and never answered are given up', async () => {
      proxy.fault = () => ({ kind: 'hang' })
      proxy.cut()
      await rest(6000)
      proxy.fault = () => undefined
      await converges('answered')
    })
  })

  describe('refusals', () => {
    it('REL-12 a storm of 500s: the last good state stays, attempts get rarer, and all is well 5 s after it', async () => {
      await converges('good')
      proxy.fault = () => status(500, { reason: 'InternalError' })
      proxy.cut()
      const from = proxy.seen.length
      await rest(5000)
      const tries = proxy.seen.slice(from).filter(ofMaps)
      expect(tries.length).toBeLessThan(12)
      expect(valueOf(one, 'steady')).toBe('good')
      expect(one.latest().problems.map(({ code }) => code)).toEqual(['api-unreachable'])
      proxy.fault = () => undefined
      await converges('better')
    })

    it('REL-12 429: nobody comes back before Retry-After', async () => {
      proxy.fault = (seen) =>
        ofMaps(seen) ? status(429, { reason: 'TooManyRequests' }, { 'retry-after': '1' }) : undefined
      proxy.cut()
      const from = proxy.seen.length
      await rest(3500)
      const times = proxy.seen
        .slice(from)
        .filter(ofMaps)
        .map(({ at }) => at)
      expect(times.length).toBeGreaterThan(1)
      for (const [index, at] of times.entries()) expect(at - (times[index - 1] ?? -Infinity)).toBeGreaterThan(950)
      proxy.fault = () => undefined
      await converges('after')
    })

    it('REL-12 403: what was read stays, and the watch goes on where it was', async () => {
      await converges('permitted')
      const before = lists()
      proxy.fault = (seen) => (ofMaps(seen) ? status(403, { reason: 'Forbidden' }) : undefined)
      proxy.cut()
      await one.sees((now) => now.latest().problems.some(({ code }) => code === 'missing-permission'))
      expect(valueOf(one, 'steady')).toBe('permitted')
      await api.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'another' } })
      await one.sees((now) => now.names('Namespace').includes('/another'))
      proxy.fault = () => undefined
      await converges('permitted again')
      expect(lists()).toBe(before)
      expect(one.latest().problems).toEqual([])
    })

    it('REL-12 401: a rotated token is read again at once', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'gatehouse-'))
      const tokenFile = join(folder, 'token')
      const first = await serviceAccountToken(api, 'default', 'first')
      const second = await serviceAccountToken(api, 'default', 'second')
      await api.apply(readerRole('maps', kinds), bindingOf('maps', 'default', 'first'))
      await api.apply({ ...bindingOf('maps', 'default', 'second'), metadata: { name: 'maps-second' } })
      await writeFile(tokenFile, first)
      await one.close()
      one = follow({ server: proxy.url, tokenFile }, { kinds })
      await one.started
      proxy.fault = ({ authorization }) => (authorization === `Bearer ${second}` ? undefined : status(401))
      await writeFile(tokenFile, second)
      const from = proxy.seen.length
      proxy.cut()
      await converges('with the second')
      const refused = proxy.seen.slice(from).filter(({ authorization }) => authorization === `Bearer ${first}`)
      expect(refused.length).toBeLessThanOrEqual(4)
      await rm(folder, { recursive: true })
    })
  })

  describe('history', () => {
    it('410 to a watch: one new list, no more', async () => {
      const before = lists()
      let sent = 0
      proxy.fault = (seen) => (ofMaps(seen) && isWatch(seen) && (sent += 1) === 1 ? expired : undefined)
      proxy.cut()
      await converges('listed')
      expect(sent).toBeGreaterThanOrEqual(1)
      expect(lists()).toBe(before + 1)
    })

    it('410 inside a watch: one new list, no more', async () => {
      const before = lists()
      const error = { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' } }
      expect(proxy.say(mapsPath, JSON.stringify(error))).toBe(1)
      await converges('listed')
      expect(lists()).toBe(before + 1)
    })

    it('a server that was set back to a backup is listed anew when it says so', async () => {
      const before = lists()
      proxy.say(mapsPath, '{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"1"}}}')
      await converges('from the backup')
      expect(lists()).toBe(before + 1)
    })

    it('410 again and again: at most one list a second of a kind', async () => {
      proxy.fault = (seen) => (ofMaps(seen) && isWatch(seen) ? expired : undefined)
      proxy.cut()
      const from = proxy.seen.length
      await rest(3500)
      const times = proxy.seen
        .slice(from)
        .filter(isList)
        .map(({ at }) => at)
      expect(times.length).toBeGreaterThan(1)
      for (const [index, at] of times.entries()) expect(at - (times[index - 1] ?? -Infinity)).toBeGreaterThan(990)
      proxy.fault = () => undefined
      await converges('calm')
    })

    it('a server that was killed and comes back: what it no longer remembers is listed anew', async () => {
      await converges('before the end')
      await proxy.down()
      for (let at = 0; at < 30; at += 1) await api.apply(map('steady', `unseen-${at}`), map(`new-${at}`))
      await api.request('DELETE', '/api/v1/namespaces/default/configmaps/new-0')
      await api.kill()
      await api.restart()
      await proxy.up()
      await one.sees((now) => valueOf(now, 'steady') === 'unseen-29', 5000)
      expect(one.names('ConfigMap')).toContain('default/new-29')
      expect(one.names('ConfigMap')).not.toContain('default/new-0')
    }, 60_000)

    it('a server that dies under us and comes back is followed within 5 s', async () => {
      await converges('alive')
      await api.kill()
      expect(valueOf(one, 'steady')).toBe('alive')
      await api.restart()
      await converges('alive again')
    }, 60_000)
  })

  describe('what is told wrongly', () => {
    it.each([
      ['what is no event', 'Bad Gateway'],
      ['an event of an unknown type', '{"type":"RENAMED","object":{}}'],
      ['an event without an object', '{"type":"ADDED"}'],
    ])('%s: listed anew', async (_, line) => {
      const before = lists()
      expect(proxy.say(mapsPath, line)).toBe(1)
      await converges('right')
      expect(lists()).toBe(before + 1)
    })

    it('REL-14 events told twice, late, or of another object of the name change nothing', async () => {
      await converges('now')
      const object = one.of('ConfigMap').find(({ name }) => name === 'steady')?.object as {
        readonly metadata: { readonly resourceVersion: string; readonly uid: string }
      }
      const say = (type: string, change: object): number =>
        proxy.say(
          mapsPath,
          JSON.stringify({ type, object: { ...object, metadata: { ...object.metadata, ...change } } }),
        )
      say('ADDED', {})
      say('DELETED', { resourceVersion: '1' })
      say('ADDED', { name: 'ghost', resourceVersion: '2' })
      await rest(300)
      expect(valueOf(one, 'steady')).toBe('now')
      expect(one.names('ConfigMap')).not.toContain('default/ghost')
      await converges('later')
    })
  })

  describe('lists of many pages', () => {
    it.each([
      ['breaks off', { kind: 'cut' } as const],
      ['has expired', expired],
      ['cannot be read', status(500)],
    ])('are taken whole or not at all when the second page %s', async (_, fault) => {
      await api.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'crowd' } })
      const made = configMaps('crowd', 600)
      for (let at = 0; at < made.length; at += 50)
        await Promise.all(
          made.slice(at, at + 50).map((each) => api.request('POST', '/api/v1/namespaces/crowd/configmaps', each)),
        )
      let broken = 0
      proxy.fault = (seen) => (isList(seen) && seen.query.has('continue') && (broken += 1) <= 2 ? fault : undefined)
      const fresh = follow({ server: proxy.url, token: api.token }, { kinds })
      await fresh.started
      const sizes = fresh.states.map(
        ({ manifests }) => manifests.filter(({ namespace }) => namespace === 'crowd').length,
      )
      expect(broken).toBeGreaterThanOrEqual(3)
      expect(new Set(sizes)).toEqual(new Set([600]))
      await fresh.close()
      await api.request('DELETE', '/api/v1/namespaces/crowd/configmaps')
    })
  })

  describe('at the start', () => {
    it('REL-15 no server: no state and one sentence; a whole state within 5 s of its coming', async () => {
      await proxy.down()
      const early = follow({ server: proxy.url, token: api.token }, { kinds })
      await rest(3000)
      expect(early.states).toEqual([])
      expect(early.warnings).toEqual([expect.stringMatching(/^Not ready: the API server does not answer/)])
      await proxy.up()
      await early.sees((now) => now.names('ConfigMap').includes('default/steady'), 5000)
      await early.started
      await early.close()
    })

    it('closing while there is no server ends everything', async () => {
      await proxy.down()
      const early = follow({ server: proxy.url, token: api.token }, { kinds })
      await rest(200)
      await early.close()
      await early.started
      expect(early.states).toEqual([])
    })

    it('a kind that is refused for a moment is not taken for missing', async () => {
      let refused = 0
      proxy.fault = (seen) => (isList(seen) && (refused += 1) === 1 ? status(403, { reason: 'Forbidden' }) : undefined)
      const fresh = follow({ server: proxy.url, token: api.token }, { kinds })
      await fresh.started
      expect(refused).toBe(2)
      expect(fresh.states.map(({ problems }) => problems)).toEqual([[]])
      expect(fresh.names('ConfigMap')).toContain('default/steady')
      await fresh.close()
    })
  })
})
