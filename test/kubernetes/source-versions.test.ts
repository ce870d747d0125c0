import { afterAll, beforeAll, expect, it } from 'vitest'
import { watchedKinds } from '../../src/kubernetes/resources.ts'
import { apiServer, describeOnKubernetes } from '../support/api-server.ts'
import type { ApiServer } from '../support/api-server.ts'
import { follow } from '../support/kube-source.ts'

const ofGatewayApi = watchedKinds.filter(({ group }) => group.startsWith('gateway.networking'))

await describeOnKubernetes('a cluster whose Gateway API comes late, and is the newest', () => {
  let api: ApiServer
  beforeAll(async () => {
    api = await apiServer({ crds: 'none' })
  })
  afterAll(() => api.stop())

  it('is served without it, names what is missing, and follows all of it once it is there', async () => {
    const one = follow(api, { pace: { probe: 2000 } })
    await one.started
    const missing = one.latest().problems.filter(({ code }) => code === 'missing-crd')
    expect(missing).toHaveLength(ofGatewayApi.length + 1)
    expect(one.names('Service')).toContain('default/kubernetes')

    await api.install('v1.7.0')
    await api.apply(
      {
        apiVersion: 'gateway.networking.k8s.io/v1',
        kind: 'ReferenceGrant',
        metadata: { namespace: 'default', name: 'grant' },
        spec: { from: [{ group: '', kind: 'Service', namespace: 'a' }], to: [{ group: '', kind: 'Service' }] },
      },
      {
        apiVersion: 'gateway.networking.k8s.io/v1',
        kind: 'GatewayClass',
        metadata: { name: 'class' },
        spec: { controllerName: 'example.com/controller' },
      },
      {
        apiVersion: 'gateway.networking.x-k8s.io/v1alpha1',
        kind: 'XMesh',
        metadata: { name: 'mesh' },
        spec: { controllerName: 'example.com/controller' },
      },
    )
    await one.sees((now) => now.latest().problems.length === 1, 15_000)
    expect(one.latest().problems[0]?.say).toContain('AuthPolicy')
    // Either version is right: which one the server told of first is a matter of milliseconds.
    const [grant] = one.of('ReferenceGrant')
    expect(grant?.apiVersion).toMatch(/^gateway\.networking\.k8s\.io\/v1(beta1)?$/)
    expect(one.names('GatewayClass')).toEqual(['/class'])
    expect(one.names('XMesh')).toEqual(['/mesh'])
    await one.close()
  }, 60_000)
})
