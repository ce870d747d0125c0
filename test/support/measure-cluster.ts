import { readFileSync } from 'node:fs'
import { crdYaml } from '../../src/command/crd.ts'
import { apiServer } from './api-server.ts'
import type { ApiServer } from './api-server.ts'
import { clusterGatehouse, clusterPorts } from './cluster-gatehouse.ts'
import type { ClusterGatehouse } from './cluster-gatehouse.ts'
import { authServiceAt, gatewayAt, namespace, policy, route, secret, staff, passwordFile } from './cluster-manifests.ts'
import { until } from './program.ts'
import { inParallel } from './traffic.ts'

/*
 * What deploy/base's requests and limits were measured with: `node test/support/measure-cluster.ts ROUTES POLICIES dist/main.js`,
 * four rules a route. Prints memory and processor time of one `gatehouse serve --kubernetes` on a real API server.
 */

const [, , ...given] = process.argv
const [routes = 10_000, policies = 2_000] = given.slice(0, 2).map(Number)
const main = given[2] ?? 'dist/main.js'
const perNamespace = 100

const host = 'cluster.test'

async function fill(api: ApiServer, ports: { readonly http: number }): Promise<void> {
  const spaces = Array.from({ length: Math.ceil(routes / perNamespace) }, (_, at) => `team-${at}`)
  await inParallel(8, spaces, async (name) => {
    await api.apply(namespace(name), secret(name, 'users', { '.htpasswd': passwordFile({ ada: 'notes' }) }))
  })
  await inParallel(
    16,
    Array.from({ length: routes }, (_, at) => at),
    async (at) => {
      const space = `team-${at % spaces.length}`
      const rules = ['one', 'two', 'three', 'four'].map((name) => ({
        name,
        path: `/${name}`,
        ask: { port: ports.http, path: `/v1/check/${space}/route-${at}/${name}/-` },
      }))
      await create(api, route(space, `route-${at}`, `r${at}.${host}`, rules))
    },
  )
  await inParallel(
    16,
    Array.from({ length: policies }, (_, at) => at),
    async (at) => {
      await create(api, policy(`team-${at % spaces.length}`, `policy-${at}`, `route-${at}`, undefined, staff))
    },
  )
}

async function create(api: ApiServer, object: Parameters<ApiServer['path']>[0]): Promise<void> {
  const { metadata, ...rest } = object
  const path = await api.path({ ...rest, metadata: { namespace: metadata?.namespace ?? '' } })
  const { status } = await api.request('POST', path, object)
  if (status !== 201) throw new Error(`${path}: ${status}`)
}

/** Memory in MiB, now and at its most, and processor time in seconds. */
function used(pid: number) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const mib = (name: string): number => Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024)
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return { now: mib('VmRSS'), most: mib('VmHWM'), cpu: (Number(fields[11]) + Number(fields[12])) / 100 }
}

async function measured<T>(gate: ClusterGatehouse, what: string, work: () => Promise<T>): Promise<T> {
  const [began, before] = [performance.now(), used(gate.pid)]
  const result = await work()
  const [seconds, after] = [(performance.now() - began) / 1000, used(gate.pid)]
  const cpu = after.cpu - before.cpu
  process.stdout.write(
    `${what.padEnd(34)} ${seconds.toFixed(1).padStart(7)} s, ${cpu.toFixed(2).padStart(6)} s of processor, ${after.now} MiB (most ${after.most})\n`,
  )
  return result
}

const rest = (millis: number): Promise<void> => new Promise((done) => setTimeout(done, millis))

/** Until it has used next to nothing for two seconds. */
const calm = async ({ pid, output }: ClusterGatehouse): Promise<void> => {
  let last = -1
  await until(
    async () => {
      await rest(2000)
      const { cpu } = used(pid)
      const idle = cpu - last < 0.3
      last = cpu
      return idle
    },
    () => `it does not come to rest: ${output().slice(-1000)}`,
    600_000,
  )
}

const api = await apiServer({ crds: 'v1.7.0', controllers: false })
const ports = await clusterPorts()
try {
  await api.apply(crdYaml(), ...gatewayAt(8080), authServiceAt(ports))
  const began = performance.now()
  await fill(api, ports)
  process.stdout.write(
    `${routes} routes of 4 rules, ${policies} policies, made in ${Math.round((performance.now() - began) / 1000)} s\n`,
  )
  const start = performance.now()
  const gate = await clusterGatehouse({
    kubeconfig: api.kubeconfig,
    service: 'default/auth-service',
    ports,
    main,
    wait: false,
  })
  try {
    await until(gate.ready, gate.output, 180_000)
    process.stdout.write(
      `ready after ${((performance.now() - start) / 1000).toFixed(1)} s, ${JSON.stringify(used(gate.pid))}\n`,
    )
    await measured(gate, 'until all statuses are written', () => calm(gate))
    await measured(gate, 'nothing for 30 s', () => rest(30_000))
    await measured(gate, 'one changed policy', async () => {
      const path = await api.path(policy('team-0', 'policy-0', '', undefined, {}))
      const change = { spec: { response: { headers: [{ name: 'x-edge', value: { text: 'a' } }] } } }
      await api.request('PATCH', path, change, 'application/merge-patch+json')
      await rest(5000)
    })
    await measured(gate, '20 changed routes, one after another', async () => {
      for (let at = 0; at < 20; at += 1) {
        const path = await api.path(route(`team-${at}`, `route-${at}`, '', []))
        await api.request('PATCH', path, { spec: { hostnames: [`new${at}.${host}`] } }, 'application/merge-patch+json')
        await rest(500)
      }
      await rest(5000)
    })
    process.stdout.write(
      gate
        .output()
        .split('\n')
        .filter((line) => !line.startsWith('{'))
        .slice(-4)
        .join('\n') + '\n',
    )
  } catch (cause) {
    process.stdout.write(`${gate.output().slice(-6000)}\n`)
    throw cause
  } finally {
    await gate.stop()
  }
} finally {
  await api.stop()
}
