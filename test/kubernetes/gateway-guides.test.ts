import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { controllers } from '../../src/doctor/controllers.ts'
import { apiServer, describeOnKubernetes } from '../support/api-server.ts'
import type { ApiServer } from '../support/api-server.ts'
import { moduleFile, thirdParty } from '../support/go-module.ts'
import type { KubeObject } from '../support/kube-client.ts'
import { kustomized } from '../support/kustomize.ts'
import { until } from '../support/program.ts'

/* deploy/gateways: every folder applied to an API server that has the other projects' own definitions where Go's registry carries them. */

const folder = resolve(import.meta.dirname, '../../deploy/gateways')
const guides = [
  'agentgateway',
  'airlock-microgateway',
  'cilium',
  'cloud-provider-kind',
  'contour',
  'envoy-gateway',
  'gke',
  'istio/agentgateway',
  'istio/envoy',
  'kgateway',
  'nginx-gateway-fabric',
  'traefik',
] as const

/** Kinds whose definitions no registry carries: only looked at, in the form that their projects document. */
const unchecked = new Map<string, readonly string[]>([
  ['airlock-microgateway', ['EnvoyExtensionPolicy', 'EnvoyCluster', 'EnvoyHTTPFilter']],
  ['gke', ['GCPAuthzExtension', 'GCPAuthzPolicy', 'HealthCheckPolicy']],
  ['kgateway', ['GatewayExtension', 'TrafficPolicy']],
])

describe('the guides', () => {
  it('there is a folder with a README for every guide that the doctor names, and none besides', () => {
    const named = [...new Set([...controllers.values()].map(({ guide }) => guide).filter((guide) => guide !== ''))]
    const there = readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name !== 'common')
      .map(({ name }) => name)
    expect(there.toSorted()).toEqual(named.toSorted())
    expect(there.filter((name) => !existsSync(resolve(folder, name, 'README.md')))).toEqual([])
  })

  it('each README says what the gateway cannot do', () => {
    for (const name of new Set(guides.map((guide) => guide.split('/')[0] ?? '')))
      expect(readFileSync(resolve(folder, name, 'README.md'), 'utf8'), name).toContain('## What it cannot do')
  })
})

await describeOnKubernetes('the guides on an API server', () => {
  let api: ApiServer
  beforeAll(async () => {
    api = await apiServer({ crds: 'v1.4.1' })
    for (const [module, file] of Object.values(thirdParty))
      await api.apply(...definitions(await moduleFile(module, file)))
    await api.apply(...(await kustomized('deploy/base')))
    const refused = { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'HTTPRoute', metadata: { name: 'no' }, spec }
    const path = '/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes?dryRun=All'
    // The admission policies of the base are in force from here on.
    await until(
      async () => (await api.request('POST', path, refused)).status === 422,
      () => 'it did not come to that',
      20_000,
    )
  })
  afterAll(() => api.stop())

  it.each(guides)('%s applies, past Gatehouse’s own admission', async (guide) => {
    const objects = await kustomized(`deploy/gateways/${guide}`)
    const aside = unchecked.get(guide) ?? []
    expect(aside.filter((kind) => !objects.some((object) => object.kind === kind))).toEqual([])
    const taken = objects.filter(({ kind }) => !aside.includes(kind))
    await expect(api.apply(...taken)).resolves.toHaveLength(taken.length)
  })

  it.each(guides)('%s: one policy, for a rule that exists, asked about by its own key', async (guide) => {
    const objects = [...(await kustomized(`deploy/gateways/${guide}`)), ...filesOf(guide)]
    const { namespace, name, rule } = targetOf(objects)
    const route = objects.findLast((one) => one.kind === 'HTTPRoute' && one.metadata.name === name)
    expect(route?.metadata.namespace).toBe(namespace)
    expect(JSON.stringify(route?.['spec'])).toContain(`"name":"${rule}"`)
    const text = JSON.stringify([...objects.filter((one) => one !== route || guide !== 'gke'), meshConfig(guide)])
    const keys = [
      `/v1/check/${namespace}/${name}/${rule}/-`,
      `/v1/ngf/${namespace}/${name}/${rule}`,
      `/v1/traefik/${namespace}/${name}/${rule}`,
      JSON.stringify({ namespace, route: name, rule }),
      `{"name":"namespace","type":"Value","value":"${namespace}"},{"name":"route","type":"Value","value":"${name}"},{"name":"rule","type":"Value","value":"${rule}"}`,
    ]
    // GKE's load balancer sends no key: Gatehouse matches.
    expect(keys.some((key) => text.includes(key))).toBe(guide !== 'gke')
  })

  it('nothing lets requests through when Gatehouse is away', async () => {
    for (const guide of guides) {
      const text = JSON.stringify([await kustomized(`deploy/gateways/${guide}`), meshConfig(guide)])
      expect(text, guide).not.toMatch(/"(failOpen|failure_mode_allow|trustForwardHeader)":true|FailOpen/)
    }
  })
})

const spec = {
  rules: [
    {
      name: 'r',
      filters: [
        {
          type: 'ExternalAuth',
          externalAuth: {
            protocol: 'HTTP',
            backendRef: { namespace: 'gatehouse', name: 'gatehouse', port: 9003 },
            http: {},
          },
        },
      ],
    },
  ],
}

/** Charts carry definitions between lines of template; an object that is empty without them is none. */
function definitions(text: string): readonly KubeObject[] {
  const plain = text.replaceAll(/^\s*\{\{.*\}\}\s*$/gm, '')
  return parseAllDocuments(plain).flatMap((document) => (document.toJS() as KubeObject | null) ?? [])
}

/** What GKE's Gatehouse reads from files. */
function filesOf(guide: string): readonly KubeObject[] {
  if (guide !== 'gke') return []
  const texts = ['routes', 'policy'].map((name) =>
    readFileSync(resolve(folder, guide, 'policies', `${name}.yaml`), 'utf8'),
  )
  return texts.flatMap(definitions)
}

const meshConfig = (guide: string): unknown =>
  guide === 'istio/envoy' ? parse(readFileSync(resolve(folder, guide, 'mesh-config.yaml'), 'utf8')) : undefined

function targetOf(objects: readonly KubeObject[]): { namespace: string; name: string; rule: string } {
  const policy = objects.find(({ kind }) => kind === 'AuthPolicy')
  const spec = policy?.['spec'] as { readonly targetRefs: readonly { name: string; sectionName: string }[] } | undefined
  const targetRefs = spec?.targetRefs ?? []
  expect(targetRefs).toHaveLength(1)
  return {
    namespace: policy?.metadata.namespace ?? '',
    name: targetRefs[0]?.name ?? '',
    rule: targetRefs[0]?.sectionName ?? '',
  }
}
