import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ciliumLike, isParent, listenersOf } from './cilium-like.ts'
import type { CiliumObjects, GatewayObject, RouteObject } from './cilium-objects.ts'
import type { KubeClient } from './kube-client.ts'
import { freePorts, listening, startInFolder, until } from './program.ts'
import { send } from './send.ts'
import { needed } from './tools.ts'

/** A gateway controller with a real Envoy: follows the API server, configures Envoy by files, writes statuses. */
export interface CiliumGateway {
  /** Resolves when everything applied before the call is in force in Envoy and told in statuses. */
  readonly caughtUp: () => Promise<void>
  /** Goes on with the configuration that it has, as a controller does that is behind. */
  readonly pause: () => Promise<void>
  readonly resume: () => void
  readonly output: () => string
  readonly stop: () => Promise<void>
}

export const ciliumController = 'io.cilium/gateway-controller'

/** Milliseconds between two looks at the API server. */
const period = 250

/** Starts it; the API server may come and go while it runs. */
export async function ciliumGateway(api: KubeClient): Promise<CiliumGateway> {
  const envoy = await needed('envoy')
  const [adminPort = 0] = await freePorts(1)
  let folder = ''
  const program = await startInFolder(async (path) => {
    folder = path
    for (const file of ['cds.json', 'lds.json']) await writeFile(join(path, file), resourcesFile([], 0))
    await writeFile(join(path, 'envoy.json'), JSON.stringify(bootstrap(adminPort, path)))
    const flags = ['--disable-hot-restart', '--concurrency', '1', '--drain-time-s', '1', '-l', 'warning']
    return { tool: envoy, args: ['-c', 'envoy.json', ...flags], ready: (_, signal) => listening(adminPort, signal) }
  })
  const statuses = createStatusWriter(api)
  let version = 0
  let inForce = ''
  let paused = false

  async function put(objects: CiliumObjects): Promise<void> {
    const { clusters, listeners } = ciliumLike(objects)
    const next = JSON.stringify({ clusters, listeners })
    if (next === inForce) return
    version += 1
    for (const [name, resources] of [
      ['cds', clusters],
      ['lds', listeners],
    ] as const) {
      await writeFile(join(folder, 'next'), resourcesFile(resources, version))
      await rename(join(folder, 'next'), join(folder, `${name}.json`))
      const at = String(version)
      await until(
        async () => (await versionOf(adminPort, name)) === at,
        () => `Envoy did not take ${name}:\n${program.output()}`,
      )
    }
    inForce = next
  }

  async function look(): Promise<void> {
    const objects = await readObjects(api)
    await put(objects)
    await statuses.write(objects)
  }

  // One look at a time; whoever asks for one gets a look that began after the question.
  let turn: Promise<unknown> = Promise.resolve()
  const inTurn = (): Promise<void> => {
    const mine = turn.then(look)
    turn = mine.catch(() => undefined)
    return mine
  }
  const timer = setInterval(() => {
    if (!paused) inTurn().catch(() => undefined)
  }, period)
  return {
    caughtUp: inTurn,
    pause: async () => {
      paused = true
      await turn // one that began before must not see what is applied next
    },
    resume: () => (paused = false),
    output: program.output,
    stop: async () => {
      clearInterval(timer)
      await turn
      await program.stop()
    },
  }
}

const resourcesFile = (resources: readonly object[], version: number): string =>
  JSON.stringify({ version_info: String(version), resources })

const bootstrap = (adminPort: number, folder: string): object => ({
  node: { id: 'gateway', cluster: 'gateway' },
  admin: { address: { socket_address: { address: '127.0.0.1', port_value: adminPort } } },
  dynamic_resources: {
    cds_config: { resource_api_version: 'V3', path_config_source: { path: join(folder, 'cds.json') } },
    lds_config: { resource_api_version: 'V3', path_config_source: { path: join(folder, 'lds.json') } },
  },
})

/** The version that Envoy has in force of its clusters or listeners. */
async function versionOf(adminPort: number, what: 'cds' | 'lds'): Promise<string | undefined> {
  const { body } = await send({ port: adminPort, path: `/stats?type=TextReadouts&filter=${what}.version_text` })
  return /"(\d+)"/.exec(body)?.[1]
}

const group = '/apis/gateway.networking.k8s.io'

async function readObjects(api: KubeClient): Promise<CiliumObjects> {
  const list = async <T>(path: string): Promise<readonly T[]> => {
    const { status, body } = await api.request<{ readonly items?: readonly T[] }>('GET', path)
    if (status === 404) return [] // a kind that came with a later version of the Gateway API
    if (status !== 200 || body.items === undefined) throw new Error(`${path}: ${status}`)
    return body.items
  }
  const classes = await list<{ metadata: { name: string }; spec: { controllerName: string } }>(
    `${group}/v1/gatewayclasses`,
  )
  const ours = new Set(
    classes.filter(({ spec }) => spec.controllerName === ciliumController).map(({ metadata }) => metadata.name),
  )
  const all = await list<GatewayObject>(`${group}/v1/gateways`)
  const gateways = all
    .filter(({ spec }) => ours.has(spec.gatewayClassName ?? ''))
    .map((one) => ({ ...one, kind: 'Gateway' as const }))
  const sets = await list<GatewayObject>(`${group}/v1/listenersets`)
  const admitted = sets.filter((set) => gateways.some((gateway) => admits(gateway, set)))
  return {
    gateways: [...gateways, ...admitted.map((one) => ({ ...one, kind: 'ListenerSet' as const }))],
    tlsPolicies: await list(`${group}/v1/backendtlspolicies`),
    configMaps: await list('/api/v1/configmaps'),
    routes: await list(`${group}/v1/httproutes`),
    services: await list('/api/v1/services'),
    grants: await list(`${group}/v1beta1/referencegrants`),
  }
}

/** Whether a Gateway takes the listeners of a set (GEP-1713); from selected namespaces, the tests have none. */
function admits({ metadata, spec }: GatewayObject, set: GatewayObject): boolean {
  const { name, namespace = set.metadata.namespace } = set.spec.parentRef ?? { name: '' }
  const from = spec.allowedListeners?.namespaces?.from ?? 'None'
  return (
    name === metadata.name &&
    namespace === metadata.namespace &&
    (from === 'All' || (from === 'Same' && namespace === set.metadata.namespace))
  )
}

/** Writes what a controller tells of Gateways and routes, once for each generation of them. */
function createStatusWriter(api: KubeClient): { readonly write: (objects: CiliumObjects) => Promise<void> } {
  const told = new Map<string, string>()
  const write = async (kind: string, { metadata }: GatewayObject | RouteObject, status: object): Promise<void> => {
    const text = JSON.stringify([metadata.generation, status])
    if (told.get(metadata.uid) === text) return
    const { name, namespace, generation: observedGeneration } = metadata
    const object = { apiVersion: 'gateway.networking.k8s.io/v1', kind, metadata: { name, namespace } }
    const path = `${await api.path(object)}/status?fieldManager=cilium&force=true`
    const stamped = stamp(status, { observedGeneration, lastTransitionTime: new Date().toISOString() })
    const { status: code } = await api.request('PATCH', path, { ...object, status: stamped }, applyPatch)
    // An object that was deleted in between has no status to write.
    if (code < 300 || code === 404) told.set(metadata.uid, text)
  }
  return {
    write: async ({ gateways, routes }) => {
      for (const gateway of gateways) await write(gateway.kind, gateway, gatewayStatus(gateway, routes))
      for (const route of routes) {
        const parents = parentsOf(route, gateways)
        if (parents.length > 0) await write('HTTPRoute', route, { parents })
      }
    },
  }
}

const applyPatch = 'application/apply-patch+yaml'

const conditions = (...types: readonly string[]): readonly object[] =>
  types.map((type) => ({ type, status: 'True', reason: type, message: '' }))

/** Fills in what every condition has to have. */
function stamp(status: unknown, fields: object): unknown {
  if (Array.isArray(status)) return status.map((one) => stamp(one, fields))
  if (typeof status !== 'object' || status === null) return status
  const whole = Object.fromEntries(Object.entries(status).map(([name, value]) => [name, stamp(value, fields)]))
  return 'reason' in whole ? { ...whole, ...fields } : whole
}

const gatewayStatus = (gateway: GatewayObject, routes: readonly RouteObject[]): object => ({
  ...(gateway.kind === 'Gateway' ? { addresses: [{ type: 'IPAddress', value: '127.0.0.1' }] } : {}),
  conditions: conditions('Accepted', 'Programmed'),
  listeners: gateway.spec.listeners.map(({ name }) => ({
    name,
    supportedKinds: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute' }],
    attachedRoutes: routes.filter((route) =>
      (route.spec.parentRefs ?? []).some(
        (ref) =>
          isParent(gateway, route, ref) && listenersOf(gateway, route, ref).some((listener) => listener.name === name),
      ),
    ).length,
    conditions: conditions('Accepted', 'Programmed', 'ResolvedRefs'),
  })),
})

const parentsOf = (route: RouteObject, gateways: readonly GatewayObject[]): readonly object[] =>
  (route.spec.parentRefs ?? [])
    .filter((ref) => gateways.some((gateway) => isParent(gateway, route, ref)))
    .map((ref) => ({
      parentRef: ref,
      controllerName: ciliumController,
      conditions: conditions('Accepted', 'ResolvedRefs'),
    }))
