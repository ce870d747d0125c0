import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { authority } from '../support/certificates.ts'
import { ada, mark, policy, route, site, staff } from '../support/cluster-manifests.ts'
import { clusterGatehouse } from '../support/cluster-gatehouse.ts'
import { clusterStage, describeCluster } from '../support/cluster-stage.ts'
import type { ClusterStage } from '../support/cluster-stage.ts'
import type { KubeObject } from '../support/kube-client.ts'
import { until } from '../support/program.ts'

/*
 * The cluster of e2e.test.ts with TLS between gateway and Gatehouse. Nobody but Gatehouse tells the gateway so: it registers a
 * BackendTLSPolicy with its authority, and Envoy asks over TLS and believes that authority alone.
 */

await describeCluster('TLS to Gatehouse, end to end', suite)

function suite(): void {
  let stage: ClusterStage
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-served-'))
  const files = { cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key'), ca: join(folder, 'ca.crt') }
  const name = 'auth-service.default.svc'
  const tlsPolicy = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'BackendTLSPolicy',
    metadata: { namespace: 'default', name: 'auth-service' },
  }
  const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'default', name: 'auth-service-ca' } }
  const sent = { host: 'secure.test', headers: [ada] }

  /** Puts a certificate in place as a mounted Secret changes; gives the authority that signed it. */
  function serve(subjectAltName = `DNS:${name}`): string {
    const { ca, issue } = authority()
    const { cert, key } = issue(subjectAltName)
    writeFileSync(files.ca, ca)
    writeFileSync(files.key, key)
    writeFileSync(files.cert, cert)
    return ca
  }
  const read = async <T = KubeObject>(object: KubeObject): Promise<T | undefined> => {
    const { status, body } = await stage.api.request('GET', await stage.api.path(object))
    return status === 200 ? (body as T) : undefined
  }
  const authorityTold = async (): Promise<string | undefined> =>
    (await read<{ readonly data: Readonly<Record<string, string>> }>(map))?.data['ca.crt']
  const comes = (ca: string | undefined, millis = 10_000): Promise<void> =>
    until(
      async () => (await authorityTold()) === ca,
      () => stage.gate.output().slice(-2000),
      millis,
    )
  const flags = [`--tls-cert=${files.cert}`, `--tls-key=${files.key}`, `--tls-ca=${files.ca}`]
  const ca = serve()

  beforeAll(async () => {
    stage = await clusterStage({ flags, crds: 'v1.7.0' })
    const { http, matching, grpc } = stage.ports
    await stage.api.apply(
      ...site('secure', stage.backend.port),
      route('secure', 'site', sent.host, [
        { name: 'keyed', path: '/keyed', ask: { port: http, path: '/v1/check/secure/site/keyed/-' } },
        { name: 'matched', path: '/matched', ask: { port: matching } },
        { name: 'called', path: '/called', grpc },
      ]),
      policy('secure', 'site', 'site', undefined, staff),
    )
  }, 240_000)

  afterAll(async () => {
    await stage?.close()
    rmSync(folder, { recursive: true, force: true })
  }, 60_000)

  it('registers the authority and the name of its certificate for the ports that serve checks', async () => {
    await comes(ca)
    const service = await read({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { namespace: 'default', name: 'auth-service' },
    })
    const ours = {
      labels: { 'app.kubernetes.io/managed-by': 'gatehouse', 'app.kubernetes.io/instance': 'auth-service' },
      ownerReferences: [{ kind: 'Service', name: 'auth-service', uid: service?.metadata['uid'] }],
    }
    expect(await read(map)).toMatchObject({ metadata: ours })
    expect(await read(tlsPolicy)).toMatchObject({
      metadata: ours,
      spec: {
        targetRefs: ['grpc', 'http', 'matching'].map((sectionName) => ({
          kind: 'Service',
          name: 'auth-service',
          sectionName,
        })),
        validation: { caCertificateRefs: [{ kind: 'ConfigMap', name: 'auth-service-ca' }], hostname: name },
      },
    })
  })

  it.each(['/keyed', '/matched', '/called'])('has the gateway ask over TLS: %s', async (path) => {
    await stage.gateway.caughtUp()
    await stage.becomes(200, { ...sent, path }, 10_000)
    expect(await stage.judged({ ...sent, path, headers: [mark] })).toEqual([403, 'no-credential'])
  })

  it('is asked again after its certificate and authority were exchanged', { timeout: 60_000 }, async () => {
    const next = serve()
    await comes(next)
    // A gateway of either authority alone fails at one of the two ends: that both agree shows in the answer.
    await stage.becomes(200, { ...sent, path: '/keyed' }, 15_000)
    expect(await stage.judged({ ...sent, path: '/called', headers: [mark] })).toEqual([403, 'no-credential'])
  })

  it('keeps what it told while the files do not fit together, and says so once', { timeout: 60_000 }, async () => {
    const before = await authorityTold()
    writeFileSync(files.ca, authority().ca)
    const says = /still told the former of the TLS .* not signed by any authority of --tls-ca/g
    const said = (): number => [...stage.gate.output().matchAll(says)].length
    await until(
      () => said() > 0,
      () => stage.gate.output().slice(-2000),
    )
    await new Promise((done) => setTimeout(done, 2500))
    expect(said()).toBe(1)
    expect(await authorityTold()).toBe(before)
    await stage.becomes(200, { ...sent, path: '/keyed' })
    await comes(serve())
  })

  it('puts its objects back when somebody removes them', { timeout: 60_000 }, async () => {
    const told = await authorityTold()
    await stage.remove(map)
    await comes(told)
    await stage.remove(tlsPolicy)
    await until(
      async () => (await read(tlsPolicy)) !== undefined,
      () => stage.gate.output().slice(-2000),
    )
    await stage.becomes(200, { ...sent, path: '/keyed' }, 10_000)
  })

  it(
    'takes it all away once it serves no TLS any more, and leaves another’s of that name',
    { timeout: 90_000 },
    async () => {
      await stage.gate.stop()
      const ports = stage.ports
      const start = (more: readonly string[]) =>
        clusterGatehouse({ kubeconfig: stage.kubeconfig, service: 'default/auth-service', ports, flags: more })
      const plain = await start([])
      try {
        await comes(undefined, 30_000)
        expect(await read(tlsPolicy)).toBeUndefined()
        await stage.gateway.caughtUp()
        await stage.becomes(200, { ...sent, path: '/keyed' }, 10_000)
      } finally {
        await plain.stop()
      }
      await stage.api.apply({ ...map, data: { 'ca.crt': 'somebody else' } })
      const again = await start(flags)
      try {
        const foreign = 'There is a ConfigMap default/auth-service-ca that Gatehouse did not make'
        await until(() => again.output().includes(foreign), again.output, 30_000)
        expect(await authorityTold()).toBe('somebody else')
      } finally {
        await again.stop()
      }
    },
  )

  it('let no stranger in, all the time', () => expect(stage.strangers()).toEqual([]))
}
