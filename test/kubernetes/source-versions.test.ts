import { expect, it, onTestFinished } from 'vitest'
import { watchedKinds } from '../../src/kubernetes/resources.ts'
import { apiServer, describeOnKubernetes } from '../support/api-server.ts'
import { follow } from '../support/kube-source.ts'
import type { Following } from '../support/kube-source.ts'

const ofGatewayApi = watchedKinds.filter(({ group }) => group.startsWith('gateway.networking'))

await describeOnKubernetes('a cluster whose Gateway API comes late, and is the newest', () => {
  it('is served without it, names what is missing, and follows all of it once it is there', async () => {
    const api = await apiServer({ crds: 'none' }) // its own, also when it is tried again: a definition comes but once
    onTestFinished(() => api.stop())
    const one = follow(api, { pace: { probe: 2000 } })
    onTestFinished(() => one.close())
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
    // A kind that was listed just before its object was made has it by a watch, some time later.
    const all = ['ReferenceGrant', 'GatewayClass', 'XMesh']
    const complete = (now: Following): boolean =>
      now.latest().problems.length === 1 && all.every((kind) => now.of(kind).length === 1)
    await one.sees(complete, 45_000)
    expect(one.latest().problems[0]?.say).toContain('AuthPolicy')
    // Either version is right: which one the server told of first is a matter of milliseconds.
    const [grant] = one.of('ReferenceGrant')
    expect(grant?.apiVersion).toMatch(/^gateway\.networking\.k8s\.io\/v1(beta1)?$/)
    expect(one.names('GatewayClass')).toEqual(['/class'])
    expect(one.names('XMesh')).toEqual(['/mesh'])
  }, 120_000)
})
