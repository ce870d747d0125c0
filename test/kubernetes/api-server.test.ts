import { afterAll, beforeAll, expect, it } from 'vitest'
import { apiServer, describeOnKubernetes } from '../support/api-server.ts'
import type { ApiServer } from '../support/api-server.ts'
import { newEnough } from '../support/go-toolchain.ts'
import { until } from '../support/program.ts'

/*
 * What the tests of Gatehouse take for granted about the server that they run on: that it is Kubernetes. What it says to
 * Gateway API objects is in gateway-api.test.ts.
 */

const configMap = (name: string, data: Record<string, string>, more: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', ...more },
  data,
})
const namespace = (name: string): object => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
const configMaps = '/api/v1/namespaces/default/configmaps'

it.each([
  ['go version go1.26.0 linux/amd64', true],
  ['go version go1.26.8 darwin/arm64', true],
  ['go version go1.30 linux/amd64', true],
  ['go version go2.0 linux/amd64', true],
  ['go version go1.25.9 linux/amd64', false],
  ['go version devel', false],
])('knows whether a Go can build it: %s', (version, can) => {
  expect(newEnough(version)).toBe(can)
})

await describeOnKubernetes('the API server of the tests', () => {
  let api: ApiServer

  beforeAll(async () => {
    api = await apiServer()
  }, 120_000)

  afterAll(() => api.stop())

  /** A service account with a token of the audience given, or of the API server's own. */
  async function account(name: string, audiences?: readonly string[]): Promise<string> {
    await api.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: 'default' } })
    const path = `/api/v1/namespaces/default/serviceaccounts/${name}/token`
    const { status, body } = await api.request<{ readonly status: { readonly token: string } }>('POST', path, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { ...(audiences === undefined ? {} : { audiences }), expirationSeconds: 600 },
    })
    expect(status).toBe(201)
    return body.status.token
  }

  it('says its version as a release does', async () => {
    const { body } = await api.request('GET', '/version')
    expect(body).toMatchObject({ gitVersion: 'v1.37.2', major: '1', minor: '37' })
  })

  it('knows its administrator by the token, and nobody without one', async () => {
    expect((await api.request('GET', configMaps)).status).toBe(200)
    expect((await api.as({ token: 'another' }).request('GET', configMaps)).status).toBe(401)
    await expect(fetch(`${api.server}/readyz`)).rejects.toThrow('fetch failed')
  })

  it('has each field of an object belong to whoever applied it', async () => {
    const other = api.as({ fieldManager: 'other', force: false })
    await api.apply(configMap('owned', { a: '1' }))
    await expect(other.apply(configMap('owned', { a: '2' }))).rejects.toThrow(/409 Conflict.*conflict with "test"/)
    await other.apply(configMap('owned', { b: '2' }))
    const { body } = await api.request('GET', `${configMaps}/owned`)
    expect(body['data']).toEqual({ a: '1', b: '2' })
    await api.apply(configMap('owned', {}))
    expect((await api.request('GET', `${configMaps}/owned`)).body['data']).toEqual({ b: '2' })
    await other.as({ force: true }).apply(configMap('owned', { a: '3', b: '2' }))
    await expect(api.as({ force: false }).apply(configMap('owned', { a: '4' }))).rejects.toThrow(
      /conflict with "other"/,
    )
  })

  it('refuses a field that it does not know', async () => {
    await expect(api.apply({ ...configMap('strict', {}), dat: {} })).rejects.toThrow(/\.dat: field not declared/)
  })

  it('applies YAML of several documents, each to the namespace that it names', async () => {
    const applied = await api.apply(`
      { apiVersion: v1, kind: Namespace, metadata: { name: several } }
---
# nothing
---
      { apiVersion: v1, kind: Service, metadata: { name: s, namespace: several }, spec: { ports: [{ port: 80 }] } }
`)
    expect(applied.map(({ kind, metadata }) => [kind, metadata.namespace])).toEqual([
      ['Namespace', undefined],
      ['Service', 'several'],
    ])
  })

  it('tells a watch every change, in order and from the version that it starts at', async () => {
    const [before] = await api.apply(configMap('watched', { n: '0' }))
    const watch = await api.watch(configMaps, before?.metadata.resourceVersion)
    await api.apply(configMap('watched', { n: '1' }))
    await api.request('DELETE', `${configMaps}/watched`)
    await watch.event(({ type }) => type === 'DELETED')
    expect(watch.events.map(({ type, object }) => [type, object['data']])).toEqual([
      ['MODIFIED', { n: '1' }],
      ['DELETED', { n: '1' }],
    ])
    watch.close()
    await until(watch.ended, () => 'the watch goes on')
  })

  it('lets one of two take a Lease', async () => {
    const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'l', namespace: 'default' } }
    const path = await api.path(lease)
    const [made] = await api.apply({ ...lease, spec: { holderIdentity: 'nobody', leaseDurationSeconds: 1 } })
    const taken = (holderIdentity: string): object => ({ ...made, spec: { holderIdentity, leaseDurationSeconds: 1 } })
    const answers = await Promise.all(['a', 'b'].map((who) => api.request('PUT', path, taken(who))))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 409]))
  })

  it('judges tokens of service accounts by their audience', async () => {
    const token = await account('caller', ['gatehouse'])
    const review = (audiences: readonly string[], some = token): Promise<unknown> =>
      api
        .request('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenReview',
          spec: { token: some, audiences },
        })
        .then(({ body }) => body['status'])
    expect(await review(['gatehouse', 'more'])).toMatchObject({
      authenticated: true,
      user: { username: 'system:serviceaccount:default:caller' },
      audiences: ['gatehouse'],
    })
    expect(await review(['shop'])).not.toHaveProperty('authenticated')
    expect(await review(['gatehouse'], `${token}x`)).not.toHaveProperty('authenticated')
    expect((await api.as({ token }).request('GET', configMaps)).status).toBe(401)
  })

  it('permits a service account what RBAC gives it, to itself and to a SubjectAccessReview', async () => {
    const token = await account('reader')
    const reader = api.as({ token })
    const mayList = async (resource: string): Promise<unknown> => {
      const { body } = await api.request('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: {
          user: 'system:serviceaccount:default:reader',
          resourceAttributes: { namespace: 'default', verb: 'list', resource },
        },
      })
      return (body['status'] as { readonly allowed?: boolean }).allowed
    }
    expect(await reader.request('GET', configMaps)).toMatchObject({ status: 403, body: { reason: 'Forbidden' } })
    expect(await mayList('configmaps')).toBe(false)
    await api.apply(`
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: reader, namespace: default }
rules: [{ apiGroups: [''], resources: [configmaps], verbs: [list] }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: reader, namespace: default }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader }
subjects: [{ kind: ServiceAccount, name: reader, namespace: default }]
`)
    await until(
      async () => (await reader.request('GET', configMaps)).status === 200,
      () => 'the role has no effect',
    )
    expect(await mayList('configmaps')).toBe(true)
    expect(await mayList('secrets')).toBe(false)
    expect((await reader.request('GET', '/api/v1/namespaces/default/secrets')).status).toBe(403)
    await expect(reader.apply(configMap('by-reader', {}))).rejects.toThrow(/403 Forbidden/)
  })

  it('collects what belonged to a deleted owner, and nothing else', async () => {
    const [owner] = await api.apply(configMap('owner', {}))
    const owned = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: owner?.metadata.uid }
    await api.apply(configMap('dependant', {}, { ownerReferences: [owned] }), configMap('neighbour', {}))
    await api.request('DELETE', `${configMaps}/owner`)
    await until(
      async () => (await api.request('GET', `${configMaps}/dependant`)).status === 404,
      () => 'the dependant is still there',
    )
    expect((await api.request('GET', `${configMaps}/neighbour`)).status).toBe(200)
  })

  it('empties and removes a deleted namespace', async () => {
    await api.apply(namespace('gone'), { ...configMap('in-it', {}), metadata: { name: 'in-it', namespace: 'gone' } })
    await api.request('DELETE', '/api/v1/namespaces/gone')
    await until(
      async () => (await api.request('GET', '/api/v1/namespaces/gone')).status === 404,
      () => 'the namespace is still there',
      25_000,
    )
    expect((await api.request('GET', '/api/v1/namespaces/gone/configmaps/in-it')).status).toBe(404)
  })

  it('serves a definition that comes late, and refuses it before', async () => {
    const route = { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'HTTPRoute' }
    expect((await api.request('GET', '/apis/gateway.networking.k8s.io/v1/httproutes')).status).toBe(404)
    await api.install('v1.4.1')
    const [made] = await api.apply({ ...route, metadata: { name: 'late' }, spec: {} })
    expect(made?.metadata.namespace).toBe('default')
  })

  it('keeps its data through kill -9 and a restart on the same port, and ends every watch', async () => {
    const [before] = await api.apply(configMap('kept', { some: 'data' }))
    const watch = await api.watch(configMaps)
    const pid = api.pid()
    await api.kill()
    await until(watch.ended, () => 'the watch goes on')
    await expect(api.request('GET', configMaps)).rejects.toThrow()
    await api.restart()
    expect(api.pid()).not.toBe(pid)
    const { body } = await api.request('GET', `${configMaps}/kept`)
    expect(body['data']).toEqual({ some: 'data' })
    expect(body.metadata.uid).toBe(before?.metadata.uid)
    expect((await api.request('GET', '/apis/gateway.networking.k8s.io/v1/httproutes')).status).toBe(200)

    // What was before the restart is not in its memory, so that whoever watched has to list again.
    const stale = await api.watch(configMaps, '1')
    const { object } = await stale.event(({ type }) => type === 'ERROR')
    expect(object).toMatchObject({ kind: 'Status', code: 410, reason: 'Expired' })
    await until(stale.ended, () => 'the stale watch goes on')
  }, 60_000)
})
