import { readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { apiServerProgram } from './api-server-program.ts'
import { apiServer, describeOnKubernetes } from './api-server.ts'
import type { ApiServer, GatewayApiVersion } from './api-server.ts'
import { startBackend, valuesOf } from './backend.ts'
import type { Backend } from './backend.ts'
import { ciliumGateway } from './cilium-gateway.ts'
import type { CiliumGateway } from './cilium-gateway.ts'
import { clusterGatehouse, clusterPorts } from './cluster-gatehouse.ts'
import type { ClusterGatehouse, ClusterPorts } from './cluster-gatehouse.ts'
import { describeWith } from './describe-with.ts'
import { authServiceAt, gatewayAt, mark } from './cluster-manifests.ts'
import type { KubeObject } from './kube-client.ts'
import { serviceAccountToken } from './kube-objects.ts'
import { freePorts, until } from './program.ts'
import { send } from './send.ts'
import type { Received, Sent } from './send.ts'

/** What a client sends to the Gateway. */
export type Asked = Omit<Sent, 'port'>

/** A cluster with everything in it: API server, gateway controller with Envoy, Gatehouse, backend. */
export interface ClusterStage {
  readonly api: ApiServer
  readonly gate: ClusterGatehouse
  readonly gateway: CiliumGateway
  readonly backend: Backend
  readonly ports: ClusterPorts
  /** A kubeconfig of Gatehouse's own account. */
  readonly kubeconfig: string
  readonly ask: (sent: Asked) => Promise<Received>
  /** Status and reason of one request, at a time when nobody else asks. */
  readonly judged: (sent: Asked & { readonly port?: number }) => Promise<readonly [number, string | undefined]>
  /** Asks until the answer has this status; tells after how many milliseconds it had. */
  readonly becomes: (status: number, sent: Asked, millis?: number) => Promise<number>
  readonly remove: (object: object) => Promise<void>
  /** Marked requests that arrived at the backend all the same. */
  readonly strangers: () => readonly string[]
  readonly close: () => Promise<void>
}

/** A `describe` for tests on such a stage: skipped, saying what is missing, or failed where CI=true. */
export async function describeCluster(title: string, body: () => void): Promise<void> {
  const program = await apiServerProgram()
  if (program.kind === 'missing') return describeOnKubernetes(title, body)
  return describeWith(['envoy'], `${title}, kube-apiserver ${program.version}`, body)
}

export interface StageOptions {
  readonly crds?: GatewayApiVersion
  readonly flags?: readonly string[]
  /** The port for matching, where it is free: only one test file can have it. */
  readonly matching?: number
}

/** Starts it all; nothing is protected yet. */
export async function clusterStage(options: StageOptions = {}): Promise<ClusterStage> {
  const { crds = 'v1.4.1', flags = [], matching } = options
  const api = await apiServer({ crds })
  const closing = [api.stop]
  const close = async (): Promise<void> => {
    for (const one of closing.toReversed()) await one()
  }
  try {
    const ports = await clusterPorts(matching)
    const [door = 0] = await freePorts(1)
    const backend = await startBackend()
    closing.push(backend.close)
    await api.apply(...(await deployed()), ...gatewayAt(door), authServiceAt(ports))
    const kubeconfig = await ownKubeconfig(api)
    const gate = await clusterGatehouse({ kubeconfig, service: 'default/auth-service', ports, flags })
    closing.push(gate.stop)
    const gateway = await ciliumGateway(api)
    closing.push(gateway.stop)
    return { api, gate, gateway, backend, ports, kubeconfig, close, ...clientOf(door, api, gate, backend) }
  } catch (cause) {
    await close()
    throw cause
  }
}

/**
 * What deploy/base gives Gatehouse: its definition, its account and its permissions. The announcement's example has the
 * Service in the namespace of the route, so what deploy/base allows beside the Service is allowed there.
 */
async function deployed(): Promise<readonly object[]> {
  const base = resolve(import.meta.dirname, '../../deploy/base')
  const files = ['namespace', 'service-account', 'crd', 'cluster-roles', 'roles']
  const texts = await Promise.all(files.map((name) => readFile(join(base, `${name}.yaml`), 'utf8')))
  return texts
    .flatMap((text) => parseAllDocuments(text).map((one) => one.toJS() as KubeObject))
    .map((one) => (one.kind === 'Role' || one.kind === 'RoleBinding' ? beside(one) : one))
}

/** The same for a Service of another name: the lease is called after it. */
function beside(one: KubeObject): KubeObject {
  const text = JSON.stringify({ ...one, metadata: { ...one.metadata, namespace: 'default' } })
  return JSON.parse(text.replace(/(?<="resourceNames":\[")gatehouse/g, 'auth-service')) as KubeObject
}

async function ownKubeconfig(api: ApiServer): Promise<string> {
  const token = await serviceAccountToken(api, 'gatehouse', 'gatehouse')
  const file = join(api.dir, 'gatehouse.kubeconfig')
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

function clientOf(
  door: number,
  api: ApiServer,
  gate: ClusterGatehouse,
  backend: Backend,
): Pick<ClusterStage, 'ask' | 'judged' | 'becomes' | 'remove' | 'strangers'> {
  const ask: ClusterStage['ask'] = (sent) => send({ port: door, ...sent })
  return {
    ask,
    judged: async (sent) => {
      // The lines of what was asked before may still be on their way.
      let before = -1
      while (before !== gate.decisions.length) {
        before = gate.decisions.length
        await new Promise((done) => setTimeout(done, 100))
      }
      const { status } = await send({ port: door, ...sent })
      await until(
        () => gate.decisions.length > before,
        () => `${status} for ${sent.path}, and no decision`,
        5000,
      )
      const last = gate.decisions.at(-1)
      return [status, last?.decision === 'allow' ? 'allow' : last?.reason]
    },
    becomes: async (status, sent, millis = 5000) => {
      const began = performance.now()
      let got = 0
      await until(
        async () => (got = (await ask(sent)).status) === status,
        () => `${sent.host} ${sent.path} stays ${got}, not ${status}:\n${gate.output().slice(-2000)}`,
        millis,
      )
      return performance.now() - began
    },
    remove: async (object) => {
      const { status } = await api.request('DELETE', await api.path(object as KubeObject))
      if (status >= 300) throw new Error(`not deleted: ${status}`)
    },
    strangers: () =>
      backend.seen
        .filter((one) => valuesOf(one, mark[0]).length > 0)
        .map((one) => `${one.method} ${valuesOf(one, 'host').join()}${one.url}`),
  }
}
