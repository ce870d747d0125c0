import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  ada,
  credential,
  mark,
  namespace,
  passwordFile,
  policy,
  route,
  secret,
  site,
  staff,
} from '../support/cluster-manifests.ts'
import { clusterGatehouse, clusterPorts } from '../support/cluster-gatehouse.ts'
import { clusterStage, describeCluster } from '../support/cluster-stage.ts'
import type { ClusterStage } from '../support/cluster-stage.ts'
import { until } from '../support/program.ts'
import { send } from '../support/send.ts'
import { inParallel, startTraffic } from '../support/traffic.ts'

/*
 * The same cluster as in e2e.test.ts while it changes: Secrets, policies and namespaces come and go, the API server restarts and
 * is killed, and thousands of edits come at once. Answers stay right, and follow within seconds.
 */

await describeCluster('a cluster that changes, end to end', suite)

function suite(): void {
  let stage: ClusterStage

  beforeAll(async () => {
    stage = await clusterStage()
    await stage.api.apply(
      ...site('steady', stage.backend.port),
      route('steady', 'site', 'steady.test', [{ name: 'all', ask: { port: stage.ports.matching } }]),
      policy('steady', 'site', 'site', undefined, staff),
    )
    await stage.gateway.caughtUp()
    await stage.becomes(200, { path: '/', host: 'steady.test', headers: [ada] })
  }, 240_000)

  afterAll(() => stage?.close(), 60_000)

  describe('what changes', () => {
    const here = { path: '/', host: 'change.test' }

    beforeAll(async () => {
      await stage.api.apply(
        ...site('change', stage.backend.port),
        route('change', 'site', 'change.test', [
          { name: 'all', ask: { port: stage.ports.http, path: '/v1/check/change/site/all/-' } },
        ]),
        policy('change', 'site', 'site', 'all', staff),
      )
      await stage.gateway.caughtUp()
      await stage.becomes(200, { ...here, headers: [ada] })
    })

    it('takes a new password, and the old one no more', async () => {
      await stage.api.apply(secret('change', 'users', { '.htpasswd': passwordFile({ ada: 'engine' }) }))
      expect(await stage.becomes(403, { ...here, headers: [ada] })).toBeLessThan(2000)
      expect((await stage.ask({ ...here, headers: [credential('ada', 'engine')] })).status).toBe(200)
    })

    it(
      'CFG-21 denies once the Secret is gone, has lost its label, or the policy is gone, and recovers',
      { timeout: 60_000 },
      async () => {
        const users1 = secret('change', 'users', { '.htpasswd': passwordFile({ ada: 'notes' }) })
        await stage.api.apply(users1)
        await stage.becomes(200, { ...here, headers: [ada] })
        await stage.remove(users1)
        expect(await stage.becomes(403, { ...here, headers: [ada] })).toBeLessThan(2000)
        expect(await stage.judged({ ...here, headers: [mark, ada] })).toEqual([403, 'broken-policy'])
        await stage.api.apply(users1)
        await stage.becomes(200, { ...here, headers: [ada] })
        await stage.api.apply({
          ...users1,
          metadata: { namespace: 'change', name: 'users', labels: { 'gatehouse.dev/credentials': 'false' } },
        })
        expect(await stage.becomes(403, { ...here, headers: [ada] })).toBeLessThan(2000)
        await stage.api.apply(users1)
        await stage.becomes(200, { ...here, headers: [ada] })
        const site = policy('change', 'site', 'site', 'all', staff)
        await stage.remove(site)
        expect(await stage.becomes(403, { ...here, headers: [ada] })).toBeLessThan(2000)
        expect(await stage.judged({ ...here, headers: [mark, ada] })).toEqual([403, 'no-policy'])
        await stage.api.apply(site)
        await stage.becomes(200, { ...here, headers: [ada] })
      },
    )

    it('denies a policy that the API server took but that cannot be compiled, and that one only', async () => {
      await stage.api.apply(
        policy('change', 'site', 'site', 'all', { ...staff, authorization: [{ cel: 'identity.subject ==' }] }),
      )
      expect(await stage.becomes(403, { ...here, headers: [ada] })).toBeLessThan(2000)
      expect(await stage.judged({ ...here, headers: [mark, ada] })).toEqual([403, 'broken-policy'])
      expect((await stage.ask({ path: '/', host: 'steady.test', headers: [ada] })).status).toBe(200)
      await stage.api.apply(policy('change', 'site', 'site', 'all', staff))
      await stage.becomes(200, { ...here, headers: [ada] })
    })

    it('lets nobody in while a namespace goes away, and leaves the others alone', { timeout: 60_000 }, async () => {
      await stage.api.apply(
        ...site('doomed', stage.backend.port),
        route('doomed', 'site', 'doomed.test', [{ name: 'all', ask: { port: stage.ports.matching } }]),
        policy('doomed', 'site', 'site', undefined, staff),
      )
      await stage.gateway.caughtUp()
      await stage.becomes(200, { path: '/', host: 'doomed.test', headers: [ada] })
      const traffic = startTraffic(stage.ask, [
        {
          say: 'stranger in the namespace',
          sent: { path: '/', host: 'doomed.test', headers: [mark] },
          fits: (status) => status >= 400,
        },
        { say: 'elsewhere', sent: { ...here, headers: [ada] }, fits: (status) => status === 200 },
      ])
      await stage.remove(namespace('doomed'))
      const gone = async () => (await stage.api.request('GET', '/api/v1/namespaces/doomed')).status === 404
      await until(gone, () => 'the namespace stays', 40_000)
      await stage.gateway.caughtUp()
      await stage.becomes(404, { path: '/', host: 'doomed.test', headers: [ada] })
      const { wrong, asked } = await traffic.stop()
      expect(wrong).toEqual([])
      expect(asked).toBeGreaterThan(20)
    })
  })

  describe('trouble', () => {
    const here = { path: '/', host: 'trouble.test' }

    beforeAll(async () => {
      await stage.api.apply(
        ...site('trouble', stage.backend.port),
        route('trouble', 'site', 'trouble.test', [
          { name: 'all', ask: { port: stage.ports.http, path: '/v1/check/trouble/site/all/-' } },
        ]),
        policy('trouble', 'site', 'site', 'all', staff),
      )
      await stage.gateway.caughtUp()
      await stage.becomes(200, { ...here, headers: [ada] })
    })

    it.each([
      ['REL-12 a restart', () => stage.api.restart()],
      [
        'REL-12 kill -9 and five seconds of nothing',
        async () => {
          await stage.api.kill()
          await new Promise((done) => setTimeout(done, 5000))
          await stage.api.restart()
        },
      ],
    ] as const)(
      'answers rightly through %s of the API server, and picks up the next edit',
      { timeout: 120_000 },
      async (_, trouble) => {
        await stage.api.apply(secret('trouble', 'users', { '.htpasswd': passwordFile({ ada: 'notes' }) }))
        await stage.becomes(200, { ...here, headers: [ada] })
        const traffic = startTraffic(stage.ask, [
          { say: 'ada', sent: { ...here, headers: [ada] }, fits: (status) => status === 200 },
          { say: 'nobody', sent: { ...here, headers: [mark] }, fits: (status) => status === 403 },
          {
            say: 'a guess',
            sent: { ...here, headers: [mark, credential('eve', 'guess')] },
            fits: (status) => status === 403,
          },
          {
            say: 'ada by matching',
            sent: { path: '/', host: 'steady.test', headers: [ada] },
            fits: (status) => status === 200,
          },
          {
            say: 'nobody by matching',
            sent: { path: '/', host: 'steady.test', headers: [mark] },
            fits: (status) => status === 403,
          },
        ])
        await trouble()
        expect(await stage.gate.ready()).toBe(true)
        const { wrong, asked } = await traffic.stop()
        expect(wrong).toEqual([])
        expect(asked).toBeGreaterThan(200)
        await stage.api.apply(secret('trouble', 'users', { '.htpasswd': passwordFile({ ada: 'after the storm' }) }))
        expect(await stage.becomes(403, { ...here, headers: [ada] }, 15_000)).toBeLessThan(5000)
        expect((await stage.ask({ ...here, headers: [credential('ada', 'after the storm')] })).status).toBe(200)
      },
    )

    it(
      'REL-15 denies everything while it has not read the cluster yet, and is ready soon after it can',
      { timeout: 60_000 },
      async () => {
        const { api, kubeconfig } = stage
        await api.kill()
        const ports = await clusterPorts()
        const late = await clusterGatehouse({ kubeconfig, service: 'default/auth-service', ports, wait: false })
        try {
          const asked = { port: ports.http, path: '/v1/check/steady/site/all/-/', host: 'steady.test', headers: [ada] }
          expect(await late.ready()).toBe(false)
          expect((await send({ ...asked, port: ports.admin, path: '/healthz' })).status).toBe(200)
          expect((await send(asked)).status).toBe(403)
          await until(() => late.decisions.at(-1)?.reason === 'not-ready', late.output, 5000)
          await api.restart()
          const began = performance.now()
          await until(late.ready, late.output, 20_000)
          expect(performance.now() - began).toBeLessThan(5000)
          // A rule without `http.path` is not to be asked for by key, and a matching port of its own is not the Service's.
          expect((await send({ ...asked, headers: [mark, ada] })).status).toBe(403)
          expect(
            (
              await send({
                ...asked,
                port: ports.http,
                path: '/v1/check/trouble/site/all/-/',
                host: 'trouble.test',
                headers: [credential('ada', 'after the storm')],
              })
            ).status,
          ).toBe(200)
        } finally {
          await late.stop()
        }
      },
    )

    it(
      'comes to the right end of 3,000 quick edits, with no wrong answer on the way',
      { timeout: 180_000 },
      async () => {
        const count = 20
        const edits = 3000
        const names = Array.from({ length: count }, (_, index) => `r${index}`)
        const only = (subject: string) => ({ ...staff, authorization: [{ cel: `identity.subject == "${subject}"` }] })
        await stage.api.apply(
          secret('trouble', 'users', { '.htpasswd': passwordFile({ ada: 'notes' }) }),
          route(
            'trouble',
            'many',
            'many.test',
            names.slice(0, 10).map((name) => ({ name, path: `/${name}`, ask: { port: stage.ports.matching } })),
          ),
          route(
            'trouble',
            'more',
            'many.test',
            names.slice(10).map((name) => ({ name, path: `/${name}`, ask: { port: stage.ports.matching } })),
          ),
          ...names.map((name, index) => policy('trouble', name, index < 10 ? 'many' : 'more', name, only('ada'))),
        )
        await stage.gateway.caughtUp()
        for (const name of names) await stage.becomes(200, { path: `/${name}`, host: 'many.test', headers: [ada] })
        const path = await stage.api.path(policy('trouble', '', '', undefined, {}))
        const traffic = startTraffic(stage.ask, [
          {
            say: 'nobody',
            sent: { path: '/r1', host: 'many.test', headers: [mark] },
            fits: (status) => status === 403,
          },
          {
            say: 'a guess',
            sent: { path: '/r2', host: 'many.test', headers: [mark, credential('eve', 'guess')] },
            fits: (status) => status === 403,
          },
          { say: 'ada elsewhere', sent: { ...here, headers: [ada] }, fits: (status) => status === 200 },
        ])
        const began = performance.now()
        // The last edit of every policy lets ada in where its number is even.
        await inParallel(8, names, async (name, index) => {
          for (let edit = 1; edit <= edits / count; edit += 1) {
            const last = edit === edits / count
            const subject = last ? (index % 2 === 0 ? 'ada' : 'nobody') : `somebody-${edit}`
            const { status } = await stage.api.request(
              'PATCH',
              `${path.replace(/\/$/, '')}/${name}`,
              { spec: { authorization: only(subject).authorization } },
              'application/merge-patch+json',
            )
            expect(status).toBe(200)
          }
        })
        const took = performance.now() - began
        const { wrong } = await traffic.stop()
        const settled = await Promise.all(
          names.map((name, index) =>
            stage.becomes(index % 2 === 0 ? 200 : 403, {
              path: `/${name}`,
              host: 'many.test',
              headers: [ada],
            }),
          ),
        )
        expect(wrong).toEqual([])
        expect(Math.max(...settled)).toBeLessThan(5000)
        process.stderr.write(
          `3,000 edits in ${Math.round(took)} ms, in force ${Math.round(Math.max(...settled))} ms later\n`,
        )
      },
    )
  })

  it('let no stranger in, all the time, and told no secret', () => {
    expect(stage.strangers()).toEqual([])
    expect(stage.gate.output()).not.toMatch(/notes|analytical-engine|\{SHA\}[\w+/]/)
  })
}
