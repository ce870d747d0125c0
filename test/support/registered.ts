import { worldOf } from '../../src/cluster/objects.ts'
import { createKubeClient } from '../../src/kubernetes/client.ts'
import type { KubeClient } from '../../src/kubernetes/client.ts'
import { createController } from '../../src/kubernetes/controller.ts'
import type { ControllerOptions } from '../../src/kubernetes/controller.ts'
import { createLease } from '../../src/kubernetes/lease.ts'
import type { Lease, LeaseTimes } from '../../src/kubernetes/lease.ts'
import { createCompiler } from '../../src/policy/compile.ts'
import type { Compilation } from '../../src/policy/compile.ts'
import { createEvidence } from '../../src/registration/evidence.ts'
import type { Evidence } from '../../src/registration/evidence.ts'
import { ownMetadata } from '../../src/registration/own-object.ts'
import { offlineServices } from '../../src/services.ts'
import { createKubernetesSource } from '../../src/source/kubernetes.ts'
import { configOf } from './kube-source.ts'
import type { Cluster } from './kube-source.ts'

export const us = { namespace: 'gatehouse', name: 'gatehouse', ports: { grpc: 9001, http: 9002, matching: 9003 } }

/** A replica as far as registration goes: it follows a cluster, compiles, and writes what should be. */
export interface Registered {
  readonly evidence: Evidence
  readonly lease: Lease
  readonly warnings: readonly string[]
  /** Every write that it asked for: `apply status default/p`, `create Event`. The Lease's own are left out. */
  readonly writes: readonly string[]
  /** What it decides by, whether it holds the lease or not. */
  readonly compilation: () => Compilation | undefined
  readonly close: () => Promise<void>
}

export interface RegisteredOptions {
  readonly identity?: string
  readonly options?: ControllerOptions['options']
  readonly tls?: ControllerOptions['tls']
  readonly times?: LeaseTimes
  /** Milliseconds by which its clock goes before that of the others. */
  readonly skew?: number
  /** Stands between the replica and the API server, e.g. to cut it off. */
  readonly through?: (client: KubeClient) => KubeClient
}

/** Short terms, so that a test does not wait for a quarter of a minute. */
export const hasty: LeaseTimes = { duration: 3000, renewWithin: 2400, retry: 300 }

/** Starts a replica and waits until it has listed the cluster once. */
export async function registered(
  cluster: Cluster,
  {
    identity = 'one',
    options = {},
    tls,
    times = hasty,
    skew = 0,
    through = (client) => client,
  }: RegisteredOptions = {},
): Promise<Registered> {
  const clock = { now: () => Date.now() + skew, ticks: () => performance.now() }
  const counts: string[] = []
  const telemetry = { count: () => undefined, level: () => undefined }
  const plain = createKubeClient({ load: () => configOf(cluster) })
  const client = noted(through(plain), counts)
  const warnings: string[] = []
  const warn = (sentence: string): void => void warnings.push(sentence)
  const services = offlineServices()
  const compile = createCompiler(services, us)
  const evidence = createEvidence(clock.now())
  let world = worldOf([])
  const lease = createLease({
    client: through(plain),
    clock,
    namespace: us.namespace,
    name: 'gatehouse',
    identity,
    times,
    warn,
    metadata: () => ownMetadata(world, us),
    onChange: () => controller.wake(),
  })
  const parts = { client, lease, clock, telemetry, us, evidence, options, identity, warn }
  const controller = createController({ ...parts, ...(tls === undefined ? {} : { tls }) })
  const source = createKubernetesSource({ client: plain, clock, telemetry })
  let compilation: Compilation | undefined
  lease.start()
  await source.start(({ manifests }) => {
    compilation?.snapshot.release()
    compilation = compile(manifests)
    world = worldOf(manifests)
    controller.update({ world, reports: compilation.reports() })
  })
  return {
    evidence,
    lease,
    warnings,
    writes: counts,
    compilation: () => compilation,
    close: async () => {
      await source.close()
      await controller.close()
      await lease.close()
      compilation?.snapshot.release()
      await services.close()
      await plain.close()
    },
  }
}

/** The same client, with its writes on record. */
const noted = (client: KubeClient, writes: string[]): KubeClient => ({
  ...client,
  apply: (object, options, signal) => {
    const { namespace, name } = object.metadata
    writes.push(`apply ${options.subresource ?? object.kind} ${namespace ?? ''}/${name}`)
    return client.apply(object, options, signal)
  },
  create: (kind, object, options, signal) => {
    writes.push(`create ${kind.kind}`)
    return client.create(kind, object, options, signal)
  },
  update: (kind, object, signal) => {
    writes.push(`update ${kind.kind}`)
    return client.update(kind, object, signal)
  },
  remove: (kind, namespace, name, preconditions, signal) => {
    writes.push(`remove ${kind.kind} ${namespace}/${name}`)
    return client.remove(kind, namespace, name, preconditions, signal)
  },
})
