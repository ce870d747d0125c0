import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { watchedKinds } from '../../src/kubernetes/resources.ts'
import { examineSchema } from '../../src/kubernetes/schema-fields.ts'
import { createSchemaReader } from '../../src/kubernetes/schema-reader.ts'
import { apiProxy } from '../support/api-proxy.ts'
import { apiServer, describeOnKubernetes, gatewayApiVersions } from '../support/api-server.ts'
import type { ApiServer, GatewayApiVersion } from '../support/api-server.ts'
import type { KubeObject } from '../support/kube-client.ts'
import { bindingOf, readerRole, serviceAccountToken } from '../support/kube-objects.ts'
import { configOf, follow } from '../support/kube-source.ts'
import type { Cluster, Following } from '../support/kube-source.ts'
import { until } from '../support/program.ts'

const experimental = async (plural: string, version: GatewayApiVersion = 'v1.4.1'): Promise<KubeObject> => {
  const path = `crds/${version}/gateway.networking.k8s.io_${plural}.yaml`
  const text = await readFile(resolve(import.meta.dirname, path), 'utf8')
  return parseAllDocuments(text)[0]?.toJS() as KubeObject
}

/** As the standard channel has it: without these properties and values, and the validation rules that speak of them. */
function without(value: unknown, names: readonly string[]): unknown {
  if (Array.isArray(value))
    return value
      .filter((one) => !names.includes(one as string) && !speaksOf(one, names))
      .map((one) => without(one, names))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, inner]) => (names.includes(name) ? [] : [[name, without(inner, names)]])),
  )
}

const speaksOf = (value: unknown, names: readonly string[]): boolean =>
  typeof value === 'object' &&
  value !== null &&
  'rule' in value &&
  names.some((name) => String(value.rule).includes(name))

interface Definition {
  readonly names: { readonly kind: string }
  readonly versions: readonly { readonly name: string; readonly schema: { readonly openAPIV3Schema: object } }[]
}

const route = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { namespace: 'default', name: 'cart' },
  spec: { parentRefs: [{ name: 'edge' }], rules: [{ name: 'all' }] },
}

const filterSays = "the cluster's HTTPRoute has no ExternalAuth filter, so no rule can ask Gatehouse by one"
const routeSays = "the cluster's HTTPRoute has no useDefaultGateways, so every route has to name its Gateways"
const gatewaySays = "the cluster's Gateway has no defaultScope, so no Gateway can be a default one"

await describeOnKubernetes('what the definitions of a cluster have', () => {
  let api: ApiServer
  let closing: (() => Promise<void>)[] = []

  const following = (cluster: Cluster): Following => {
    const schemas = createSchemaReader({ load: () => configOf(cluster), ticks: () => performance.now() })
    const one = follow(cluster, { schemas, pace: { look: 1000, probe: 1500 } })
    closing.push(one.close, schemas.close)
    return one
  }
  const said = (one: Following): readonly string[] =>
    one.latest().problems.flatMap(({ code, say }) => (code === 'missing-field' ? [say] : []))
  const says = (one: Following, sentences: readonly string[]): Promise<void> =>
    until(
      () => JSON.stringify(said(one)) === JSON.stringify(sentences),
      () => `it says: ${said(one).join('; ')}`,
      20_000,
    )
  const standard = async (): Promise<void> => {
    await api.apply(
      without(await experimental('httproutes'), ['ExternalAuth', 'externalAuth', 'useDefaultGateways']) as KubeObject,
      without(await experimental('gateways'), ['defaultScope']) as KubeObject,
    )
  }

  beforeAll(async () => {
    api = await apiServer({ crds: 'none' })
    await standard()
  })
  afterEach(async () => {
    for (const close of closing) await close()
    closing = []
  })
  afterAll(() => api.stop())

  it('is named where it is too little, while all else is followed; and not any more once it is mended', async () => {
    const one = following(api)
    await one.started
    await says(one, [filterSays, routeSays, gatewaySays])
    const [problem] = one.latest().problems.filter(({ code }) => code === 'missing-field')
    expect(problem).toEqual({
      code: 'missing-field',
      severity: 'warning',
      path: [],
      say: filterSays,
      mend: "install the experimental channel of the Gateway API's definitions, 1.4 or newer",
    })
    await api.apply(route)
    await one.sees((now) => now.names('HTTPRoute').includes('default/cart'))

    await api.apply(await experimental('httproutes'))
    await says(one, [gatewaySays])
    await api.apply(await experimental('gateways'))
    await says(one, [])
    // The other way round too: somebody's pipeline may bring the standard channel back.
    await standard()
    await says(one, [filterSays, routeSays, gatewaySays])
    expect(one.warnings).toEqual([])
  }, 90_000)

  it('is looked at anew when a kind is gone and comes again', async () => {
    await standard()
    const one = following(api)
    await one.started
    await says(one, [filterSays, routeSays, gatewaySays])
    await api.request('DELETE', await api.path(await experimental('httproutes')))
    await says(one, [gatewaySays])
    await one.sees((now) => now.latest().problems.some(({ say }) => say.startsWith('the cluster has no HTTPRoute')))
    expect(said(one)).toEqual([gatewaySays])
    await api.apply(await experimental('httproutes'))
    await one.sees(
      (now) => now.latest().problems.every(({ say }) => !say.startsWith('the cluster has no HTTPRoute')),
      20_000,
    )
    await says(one, [gatewaySays])
  }, 90_000)

  it('is told by `gatehouse check --kubernetes`', async () => {
    await standard()
    const output = await new Promise<string>((done) => {
      const args = ['src/main.ts', 'check', '--kubernetes']
      const options = {
        cwd: resolve(import.meta.dirname, '../..'),
        env: { ...process.env, KUBECONFIG: api.kubeconfig },
      }
      execFile(process.execPath, args, options, (_, stdout, stderr) => done(stdout + stderr))
    })
    for (const sentence of [filterSays, routeSays, gatewaySays]) expect(output).toContain(sentence)
  }, 60_000)

  it('can be read by an account with no rights but those to the objects', async () => {
    await standard()
    const token = await serviceAccountToken(api, 'default', 'reader')
    await api.apply(readerRole('reader', watchedKinds), bindingOf('reader', 'default', 'reader'))
    const one = following({ ...api, token })
    await one.started
    await says(one, [filterSays, routeSays, gatewaySays])
  }, 60_000)

  it('keeps nothing waiting while it cannot be read, says nothing of that, and is read once it can', async () => {
    await standard()
    const proxy = await apiProxy(api)
    closing.push(proxy.close)
    const schemaCalls = (): readonly string[] =>
      proxy.seen.flatMap(({ path }) => (path.startsWith('/openapi') ? [path] : []))
    let fault = 'hang'
    proxy.fault = ({ path }) => {
      if (!path.startsWith('/openapi') || fault === '') return undefined
      return fault === 'hang' ? { kind: 'hang' } : { kind: 'answer', status: 503 }
    }
    const silent = following({ server: proxy.url, token: api.token })
    await silent.started
    await until(
      () => schemaCalls().length > 0,
      () => 'it never looks',
    )
    expect(said(silent)).toEqual([])
    fault = '503'
    proxy.cut()
    await until(
      () => schemaCalls().length > 4,
      () => 'it does not try again',
    )
    expect(said(silent)).toEqual([])
    fault = ''
    await says(silent, [filterSays, routeSays, gatewaySays])
    // A few lines tell that nothing changed; the document is not read a second time.
    const count = schemaCalls().length
    await until(
      () => schemaCalls().length > count + 2,
      () => 'it does not look again',
    )
    expect(new Set(schemaCalls().slice(count))).toEqual(new Set(['/openapi/v3']))
    expect(silent.warnings).toEqual([])
  }, 60_000)
})

describe('a schema', () => {
  const documentOf = (spec: object): unknown => ({
    components: {
      schemas: {
        some: { type: 'object' },
        route: {
          'x-kubernetes-group-version-kind': [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', version: 'v1' }],
          properties: { spec },
        },
      },
    },
  })
  const routes = new Set(['HTTPRoute'])

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['a text', 'no'],
    ['no schemas', { components: {} }],
    ['schemas that are none', { components: { schemas: { one: null, two: 'no', three: [] } } }],
  ])('that is %s says nothing, and is looked at again', (_, document) => {
    expect(examineSchema(document, routes)).toEqual({ whole: false, missing: [] })
  })

  it.each<[string, object]>([
    ['refers to another', { $ref: '#/components/schemas/other' }],
    ['takes anything', { 'x-kubernetes-preserve-unknown-fields': true }],
    [
      'has a type of any value',
      {
        properties: {
          useDefaultGateways: {},
          rules: { items: { properties: { filters: { items: { properties: { type: { type: 'string' } } } } } } },
        },
      },
    ],
  ])('that %s is believed to have everything', (_, spec) => {
    expect(examineSchema(documentOf(spec), routes)).toEqual({ whole: true, missing: [] })
  })

  it.each(gatewayApiVersions)('of the experimental channel of %s has everything', async (version) => {
    const schemas = await Promise.all(
      ['httproutes', 'gateways'].map(async (plural) => {
        const { names, versions } = (await experimental(plural, version))['spec'] as Definition
        const served = versions.find(({ name }) => name === 'v1')?.schema.openAPIV3Schema
        return { ...served, 'x-kubernetes-group-version-kind': [{ kind: names.kind }] }
      }),
    )
    const judge = (all: readonly object[]) =>
      examineSchema({ components: { schemas: { ...all } } }, new Set(['HTTPRoute', 'Gateway']))
    expect(judge(schemas)).toEqual({ whole: true, missing: [] })
    const stripped = judge(schemas.map((one) => without(one, ['ExternalAuth']) as object))
    expect(stripped.missing.map(({ name }) => name)).toEqual(['ExternalAuth filter'])
  })

  it('is asked only about kinds that are there', () => {
    expect(examineSchema(documentOf({ properties: {} }), new Set(['Gateway'])).missing).toEqual([])
    expect(examineSchema(documentOf({ properties: {} }), routes).missing.map(({ name }) => name)).toEqual([
      'ExternalAuth filter',
      'useDefaultGateways',
    ])
  })
})
