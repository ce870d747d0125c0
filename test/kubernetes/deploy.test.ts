import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { apiServer, describeOnKubernetes } from '../support/api-server.ts'
import type { ApiServer } from '../support/api-server.ts'
import { moduleFile, thirdParty } from '../support/go-module.ts'
import { all, one, tests, workload } from '../support/deploy-objects.ts'
import { kustomized } from '../support/kustomize.ts'
import { clusterGatehouse, clusterPorts } from '../support/cluster-gatehouse.ts'
import { serviceAccountToken } from '../support/kube-objects.ts'
import { until } from '../support/program.ts'

/* deploy/ as an operator applies it, on a real API server: kustomize builds it, the server's own admission judges it. */

await describeOnKubernetes('deploy/ on an API server', () => {
  let api: ApiServer
  beforeAll(async () => {
    api = await apiServer({ crds: 'v1.4.1' })
    await api.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } })
    await api.apply(await moduleFile(...thirdParty.podMonitor))
  })
  afterAll(() => api.stop())

  it.each(all)('%s applies', async (folder) => {
    await expect(api.apply(...(await kustomized(folder)))).resolves.toBeDefined()
  })

  it('the optional PodMonitor applies', async () => {
    const objects = await kustomized(`${tests}/pod-monitor`)
    await expect(api.apply(one(objects, 'PodMonitor'))).resolves.toHaveLength(1)
  })

  it.each(all)('DEP-01: Pod Security "restricted" takes the pod of %s', async (folder) => {
    const objects = await kustomized(folder)
    await api.apply(one(objects, 'Namespace'), one(objects, 'ServiceAccount'), one(objects, 'PriorityClass'))
    const { spec } = workload(objects).template
    const container = spec.containers[0]['securityContext']
    expect(container).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    const user = (spec.securityContext as { readonly runAsUser?: number }).runAsUser
    if (folder.endsWith('/openshift')) expect(user).toBeUndefined()
    else expect(user).toBeGreaterThanOrEqual(10_000)
    expect(await pod(spec)).toBe(201)
    // The namespace says no, and it is not that nothing is looked at.
    expect(await pod({ ...spec, hostNetwork: true })).toBe(403)
    expect(await pod({ ...spec, securityContext: { ...spec.securityContext, runAsNonRoot: false } })).toBe(403)
  })

  const pod = async (spec: object): Promise<number> => {
    const metadata = { generateName: 'try-', namespace: 'gatehouse' }
    const body = { apiVersion: 'v1', kind: 'Pod', metadata, spec }
    return (await api.request('POST', '/api/v1/namespaces/gatehouse/pods?dryRun=All', body)).status
  }

  describe('DEP-04 what the service account may do', () => {
    beforeAll(async () => {
      await api.apply(...(await kustomized('deploy/base')))
    })

    it.each<[verb: string, group: string, resource: string, namespace: string, allowed: boolean, name?: string]>([
      ['watch', 'gateway.networking.k8s.io', 'httproutes', '', true],
      ['list', 'gateway.networking.k8s.io', 'gatewayclasses', '', true],
      ['list', 'gateway.networking.x-k8s.io', 'xmeshes', '', true],
      ['watch', 'gatehouse.dev', 'authpolicies', '', true],
      ['list', '', 'secrets', 'shop', true],
      ['patch', 'gatehouse.dev', 'authpolicies/status', 'shop', true],
      ['create', 'events.k8s.io', 'events', 'shop', true],
      ['create', 'authentication.k8s.io', 'tokenreviews', '', true],
      ['create', 'authorization.k8s.io', 'subjectaccessreviews', '', true],
      ['create', 'coordination.k8s.io', 'leases', 'gatehouse', true],
      ['update', 'coordination.k8s.io', 'leases', 'gatehouse', true, 'gatehouse'],
      ['patch', 'gateway.networking.k8s.io', 'referencegrants', 'gatehouse', true],
      ['delete', 'gateway.networking.k8s.io', 'referencegrants', 'gatehouse', true],
      ['patch', 'gateway.networking.k8s.io', 'backendtlspolicies', 'gatehouse', true],
      ['patch', '', 'configmaps', 'gatehouse', true],
      // Nothing that is not its own.
      ['get', '', 'secrets', 'shop', false],
      ['patch', '', 'secrets', 'gatehouse', false],
      ['create', '', 'secrets', 'gatehouse', false],
      ['patch', 'gatehouse.dev', 'authpolicies', 'shop', false],
      ['patch', 'gateway.networking.k8s.io', 'httproutes', 'shop', false],
      ['patch', 'gateway.networking.k8s.io', 'httproutes/status', 'shop', false],
      ['patch', 'gateway.networking.k8s.io', 'referencegrants', 'shop', false],
      ['patch', '', 'configmaps', 'shop', false],
      ['update', 'coordination.k8s.io', 'leases', 'kube-system', false],
      ['update', 'coordination.k8s.io', 'leases', 'gatehouse', false, 'other'],
      ['create', '', 'pods', 'gatehouse', false],
      ['create', '', 'serviceaccounts/token', 'gatehouse', false],
      ['impersonate', '', 'users', '', false],
      ['list', 'rbac.authorization.k8s.io', 'clusterroles', '', false],
    ])('%s %s/%s in "%s": %s', async (verb, group, path, namespace, allowed, name) => {
      const [resource, subresource] = path.split('/')
      const resourceAttributes = { verb, group, resource, subresource, namespace, ...(name && { name }) }
      expect(await may('system:serviceaccount:gatehouse:gatehouse', resourceAttributes)).toBe(allowed)
    })

    it('no rule has a wildcard', async () => {
      for (const folder of all)
        for (const { kind, ...role } of await kustomized(folder))
          if (kind.endsWith('Role')) expect(JSON.stringify(role['rules'])).not.toContain('*')
    })

    it('with the component namespaces it reads the Secrets of the namespaces named and of no other', async () => {
      const binding = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/gatehouse-credentials'
      await api.request('DELETE', binding)
      await api.apply(...(await kustomized(`${tests}/namespaces`)))
      const reads = (namespace: string) =>
        may('system:serviceaccount:gatehouse:gatehouse', { verb: 'list', group: '', resource: 'secrets', namespace })
      expect(await Promise.all(['shop', 'gatehouse', 'default', ''].map(reads))).toEqual([true, true, false, false])
    })
  })

  const may = async (user: string, resourceAttributes: object): Promise<boolean> => {
    const { body } = await api.request<{ readonly status: { readonly allowed: boolean } }>(
      'POST',
      '/apis/authorization.k8s.io/v1/subjectaccessreviews',
      { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec: { user, resourceAttributes } },
    )
    return body.status.allowed
  }

  it('the service account is enough for all that Gatehouse does: nothing is forbidden to it', async () => {
    await api.apply(...(await kustomized('deploy/base')))
    const kubeconfig = await ownKubeconfig()
    const ports = await clusterPorts(9003)
    const flags = ['--grant-namespaces=gatehouse.dev/routes=true']
    const gate = await clusterGatehouse({ kubeconfig, service: 'gatehouse/gatehouse', ports, flags })
    try {
      await api.apply(...(await kustomized('deploy/gateways/agentgateway')))
      const there = async (path: string) =>
        (await api.request('GET', `/apis/${path}`)).body as { readonly items?: readonly object[] }
      const grants = 'gateway.networking.k8s.io/v1beta1/namespaces/gatehouse/referencegrants'
      const events = 'events.k8s.io/v1/namespaces/shop/events'
      const policy = 'gatehouse.dev/v1alpha1/namespaces/shop/authpolicies/cart-pay'
      await until(async () => (await there(grants)).items?.length === 1, gate.output, 20_000)
      await until(async () => ((await there(events)).items?.length ?? 0) > 0, gate.output, 20_000)
      await until(async () => JSON.stringify(await there(policy)).includes('"observedGeneration"'), gate.output, 20_000)
      expect(await there('coordination.k8s.io/v1/namespaces/gatehouse/leases/gatehouse')).toMatchObject({
        kind: 'Lease',
      })
      expect(gate.output()).not.toMatch(/forbidden|403|permission/i)
    } finally {
      await gate.stop()
    }
  }, 90_000)

  const ownKubeconfig = async (): Promise<string> => {
    const token = await serviceAccountToken(api, 'gatehouse', 'gatehouse')
    const file = join(api.dir, 'own.kubeconfig')
    const cluster = { server: api.server, 'certificate-authority-data': Buffer.from(api.ca).toString('base64') }
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster }],
      users: [{ name: 'gatehouse', user: { token } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'gatehouse' } }],
      'current-context': 'test',
    }
    await writeFile(file, JSON.stringify(config), { mode: 0o600 })
    return file
  }

  it('DEP-19: everything bears the labels, and taking it away leaves nothing', async () => {
    const objects = await kustomized('deploy/overlays/production')
    await api.apply(...objects)
    for (const { metadata } of objects)
      expect((metadata as { labels?: object }).labels).toMatchObject({ 'app.kubernetes.io/part-of': 'gatehouse' })
    const paths = await Promise.all(objects.map((object) => api.path(object)))
    for (const path of paths.toReversed()) await api.request('DELETE', path)
    const left = async () => {
      const answers = await Promise.all(paths.map((path) => api.request('GET', path)))
      return answers.filter(({ status }) => status !== 404).length
    }
    await until(
      async () => (await left()) === 0,
      () => 'something was left behind',
      30_000,
    )
  }, 45_000)
})
