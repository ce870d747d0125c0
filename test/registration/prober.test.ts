import { createServer } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { createProber } from '../../src/kubernetes/probe.ts'
import { createEvidence } from '../../src/registration/evidence.ts'
import type { ProbeOutcome } from '../../src/registration/evidence.ts'
import { gatehouse } from '../support/gatehouse.ts'
import { until } from '../support/program.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

const rule = 'shop/cart/pay'
const clock = { now: Date.now, ticks: () => performance.now() }

/** A gateway on loopback that asks (or does not); gives its port. */
async function gateway(answer: (path: string) => Promise<number>): Promise<number> {
  const server = createServer((request, response) => {
    void answer(request.url ?? '').then((status) => response.writeHead(status).end('the backend'))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  closing.push(() => new Promise((done) => server.close(done)))
  const at = server.address()
  return typeof at === 'object' && at !== null ? at.port : 0
}

/** A real Gatehouse whose policy refuses strangers, and what a gateway gets when it asks it. */
async function asking() {
  const house = await gatehouse({
    files: {
      'policy.yaml': `
apiVersion: gatehouse.dev/v1alpha1
kind: AuthPolicy
metadata: { namespace: shop, name: pay }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: cart, sectionName: pay }]
  authentication: [{ apiKey: { keysRef: { name: keys } } }]
---
apiVersion: v1
kind: Secret
metadata: { namespace: shop, name: keys }
stringData: { uptime: monitor-key-for-the-example-only }
`,
    },
  })
  closing.push(house.close)
  return {
    house,
    ask: async (path: string) => (await fetch(`http://127.0.0.1:${house.httpPort}/v1/check/${rule}/-${path}`)).status,
  }
}

/** What a probe through the gateway on this port comes to. */
async function probed(
  port: number,
  records: readonly { readonly rule: string | undefined }[] = [],
): Promise<ProbeOutcome | undefined> {
  const evidence = createEvidence(Date.now())
  const prober = createProber({ evidence, clock, pace: { gap: 20, proved: 60_000, unproved: 60_000 } })
  let told = 0
  const recording = setInterval(() => {
    for (const record of records.slice(told)) if (record.rule !== undefined) evidence.seen(record.rule, Date.now())
    told = records.length
  }, 20)
  prober.update([
    {
      gateway: 'Gateway infra/edge',
      rule,
      address: '127.0.0.1',
      port,
      scheme: 'http',
      host: 'shop.example',
      method: 'GET',
      path: '/pay',
      headers: {},
    },
  ])
  const met = () => evidence.probe('Gateway infra/edge', rule, Date.now())
  await until(
    () => met() !== undefined,
    () => 'nothing was probed',
  )
  clearInterval(recording)
  await prober.close()
  return met()
}

describe('a probe without credentials', () => {
  it('CFG-19 proves a gateway that asks: it was refused, and the check was ours', async () => {
    const { house, ask } = await asking()
    const port = await gateway(ask)
    expect(await probed(port, house.records)).toEqual({ kind: 'refused' })
    expect(house.records.map((record) => record.rule)).toEqual([rule])
  })

  it('CFG-19 finds a gateway that ignores the filter', async () => {
    const port = await gateway(() => Promise.resolve(200))
    expect(await probed(port)).toEqual({ kind: 'passed', status: 200 })
  })

  it('proves nothing by a refusal that was not ours', async () => {
    const port = await gateway(() => Promise.resolve(403))
    expect(await probed(port)).toEqual({ kind: 'unclear', say: 'it was refused (403), but no check was seen here' })
  })

  it('proves nothing by an error, though it was asked', async () => {
    const { house, ask } = await asking()
    const port = await gateway(async (path) => ((await ask(path)) === 403 ? 500 : 200))
    expect(await probed(port, house.records)).toEqual({ kind: 'unclear', say: 'it was answered 500' })
  })

  it('proves nothing where nobody answers', async () => {
    expect(await probed(1)).toMatchObject({ kind: 'unclear', say: 'nothing answers at 127.0.0.1:1 (ECONNREFUSED)' })
  })
})
