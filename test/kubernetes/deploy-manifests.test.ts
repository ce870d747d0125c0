import { expect, it } from 'vitest'
import { describeOnKubernetes } from '../support/api-server.ts'
import { all, one, overlays, podOf, tests, workload } from '../support/deploy-objects.ts'
import { kustomized } from '../support/kustomize.ts'

/* What an operator applies, before it meets a server. Built with kustomize, which wants the Go that the API server wants. */

const flag = (args: readonly string[], name: string): string | undefined =>
  args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3)

await describeOnKubernetes('what kustomize builds of deploy/', () => {
  it.each(all)('DEP-08 grace: %s ends later than preStop and drain together', async (folder) => {
    const { containers, terminationGracePeriodSeconds } = podOf(await kustomized(folder))
    const [{ args, lifecycle }] = containers
    const drain = Number(flag(args, 'drain-wait')) + Number(flag(args, 'drain-grace'))
    expect(terminationGracePeriodSeconds).toBeGreaterThanOrEqual(lifecycle.preStop.sleep.seconds + drain + 5)
  })

  it.each(all)('DEP-08 probes: %s has startup, readiness and a local liveness', async (folder) => {
    const [container] = podOf(await kustomized(folder)).containers
    const path = (probe: string) =>
      (container[probe] as { readonly httpGet: { readonly path: string; readonly port: string } }).httpGet
    expect(['startupProbe', 'readinessProbe', 'livenessProbe'].map(path)).toEqual([
      { path: '/healthz', port: 'admin' },
      { path: '/readyz', port: 'admin' },
      { path: '/healthz', port: 'admin' },
    ])
    expect(flag(container.args, 'admin-listen')).toBe('0.0.0.0:9004')
  })

  it.each(all)(
    'DEP-09 resources: %s asks for cpu and memory, limits memory, and gives V8 three quarters of it',
    async (folder) => {
      const [{ resources, env }] = podOf(await kustomized(folder)).containers
      expect(Object.keys(resources.requests).toSorted()).toEqual(['cpu', 'memory'])
      // No CPU limit: throttling is latency.
      expect(Object.keys(resources.limits)).toEqual(['memory'])
      expect(env).toContainEqual({ name: 'NODE_OPTIONS', value: '--max-old-space-size-percentage=75' })
    },
  )

  it.each([
    ['deploy/overlays/production', 'registry.example.com/gatehouse@sha256:'],
    ['deploy/overlays/openshift', 'registry.example.com/gatehouse@sha256:'],
    ['deploy/overlays/dev', 'gatehouse:'],
  ])('DEP-03 image: %s runs %s', async (folder, start) => {
    const [{ image }] = podOf(await kustomized(folder)).containers
    expect(image.startsWith(start)).toBe(true)
    expect(image.endsWith(':latest')).toBe(false)
  })

  it.each(all)(
    'DEP-05 and DEP-15: %s has a token only where it watches, and no secret in the environment',
    async (folder) => {
      const objects = await kustomized(folder)
      const { automountServiceAccountToken, containers } = podOf(objects)
      expect(one(objects, 'ServiceAccount')['automountServiceAccountToken']).toBe(false)
      expect(automountServiceAccountToken).toBe(containers[0].args.includes('--kubernetes'))
      expect(containers[0].env.every((variable) => Object.keys(variable).join() === 'name,value')).toBe(true)
      const insecure = containers[0].args.filter((arg) => arg.startsWith('--insecure'))
      expect(insecure.length > 0).toBe(folder.endsWith('/dev'))
    },
  )

  it('DEP-07: two replicas or more everywhere but on a laptop, a budget, spread over nodes and zones, a priority', async () => {
    for (const folder of overlays) {
      const objects = await kustomized(folder)
      const { spec } = workload(objects).template
      expect(
        (spec['topologySpreadConstraints'] as readonly { topologyKey: string }[]).map((it) => it.topologyKey),
      ).toEqual(['kubernetes.io/hostname', 'topology.kubernetes.io/zone'])
      expect(spec['priorityClassName']).toBe(one(objects, 'PriorityClass').metadata.name)
      if (folder.endsWith('/dev')) continue
      const { minReplicas } = one(objects, 'HorizontalPodAutoscaler')['spec'] as { readonly minReplicas: number }
      expect(Math.min(workload(objects).replicas ?? minReplicas, minReplicas)).toBeGreaterThanOrEqual(2)
      expect(one(objects, 'PodDisruptionBudget')['spec']).toMatchObject({ maxUnavailable: 1 })
    }
  })

  it('DEP-06: everything is denied but gateways, Prometheus, DNS, the API server and https', async () => {
    const objects = await kustomized('deploy/overlays/production')
    expect(one(objects, 'NetworkPolicy', 'default-deny')['spec']).toEqual({
      podSelector: {},
      policyTypes: ['Ingress', 'Egress'],
    })
    const { ingress, egress } = one(objects, 'NetworkPolicy')['spec'] as Record<'ingress' | 'egress', readonly Way[]>
    expect(ingress.map((way) => [way.from, way.ports.map(({ port }) => port)])).toEqual([
      [[{ namespaceSelector: { matchLabels: { 'gatehouse.dev/gateway': 'true' } } }], ['grpc', 'http', 'matching']],
      [[{ namespaceSelector: { matchLabels: { 'gatehouse.dev/metrics': 'true' } } }], ['admin']],
    ])
    expect(egress.map((way) => [...new Set(way.ports.map(({ port }) => port))])).toEqual([
      [53, 5353],
      [443, 6443, 8443],
    ])
    expect(JSON.stringify(egress[1])).toContain('"except":["169.254.0.0/16"]')
  })

  it('DEP-16: TLS with client certificates is a component, from a Secret in a file', async () => {
    const [{ args, volumeMounts }] = podOf(await kustomized(`${tests}/tls`)).containers
    expect(args.filter((arg) => arg.startsWith('--tls')).map((arg) => arg.split('=')[0])).toEqual([
      '--tls-cert',
      '--tls-key',
      '--tls-ca',
      '--tls-client-ca',
    ])
    expect(volumeMounts).toEqual([{ name: 'tls', mountPath: '/tls', readOnly: true }])
  })
})

interface Way {
  readonly from?: unknown
  readonly ports: readonly { readonly port: string | number }[]
}
