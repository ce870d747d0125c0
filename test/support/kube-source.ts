import { KubeConfig } from '@kubernetes/client-node'
import { createKubeClient } from '../../src/kubernetes/client.ts'
import type { KubeClient } from '../../src/kubernetes/client.ts'
import type { Counter, Gauge } from '../../src/model/telemetry.ts'
import type { Manifest } from '../../src/policy/manifest.ts'
import { createKubernetesSource } from '../../src/source/kubernetes.ts'
import type { KubernetesSourceOptions } from '../../src/source/kubernetes.ts'
import type { SourceState } from '../../src/source/source.ts'
import { until } from './program.ts'

/** Where a client goes, and as whom. */
export interface Cluster {
  readonly server: string
  /** PEM; without it the server is asked over plain HTTP, as a proxy on loopback may be. */
  readonly ca?: string
  readonly token?: string
  readonly tokenFile?: string
}

/** A configuration as a kubeconfig would give it. */
export function configOf({ server, ca, token, tokenFile }: Cluster): KubeConfig {
  const config = new KubeConfig()
  const trust = ca === undefined ? { skipTLSVerify: true } : { caData: Buffer.from(ca).toString('base64') }
  config.loadFromClusterAndUser(
    { name: 'test', server, skipTLSVerify: false, ...trust },
    {
      name: 'test',
      ...(token === undefined ? {} : { token }),
      ...(tokenFile === undefined ? {} : { authProvider: { name: 'tokenFile', config: { tokenFile } } }),
    },
  )
  return config
}

/** A source on a cluster that remembers everything it told. */
export interface Following {
  readonly client: KubeClient
  readonly states: SourceState[]
  readonly warnings: string[]
  readonly counts: Map<Counter, number>
  readonly levels: Map<Gauge, number>
  /** Resolves with the first state. */
  readonly started: Promise<void>
  readonly latest: () => SourceState
  readonly of: (kind: string) => readonly Manifest[]
  /** `namespace/name` of what it has of a kind, in order. */
  readonly names: (kind: string) => readonly string[]
  /** Waits until what it told last is as it should be. */
  readonly sees: (holds: (following: Following) => boolean, millis?: number) => Promise<void>
  readonly close: () => Promise<void>
}

/** Starts to follow a cluster; does not wait for it. */
export function follow(cluster: Cluster, options: Partial<KubernetesSourceOptions> = {}): Following {
  const client = createKubeClient({ load: () => configOf(cluster) })
  const states: SourceState[] = []
  const warnings: string[] = []
  const counts = new Map<Counter, number>()
  const levels = new Map<Gauge, number>()
  const source = createKubernetesSource({
    client,
    clock: { now: Date.now, ticks: () => performance.now() },
    telemetry: {
      count: (event) => counts.set(event, (counts.get(event) ?? 0) + 1),
      level: (gauge, value) => levels.set(gauge, value),
    },
    warn: (sentence) => warnings.push(sentence),
    ...options,
  })
  const of: Following['of'] = (kind) => following.latest().manifests.filter((one) => one.kind === kind)
  const following: Following = {
    client,
    states,
    warnings,
    counts,
    levels,
    started: source.start((state) => states.push(state)),
    latest: () => states.at(-1) ?? { manifests: [], problems: [] },
    of,
    names: (kind) =>
      of(kind)
        .map(({ namespace, name }) => `${namespace}/${name}`)
        .sort(),
    sees: (holds, millis = 5000) =>
      until(
        () => holds(following),
        () => {
          const { manifests, problems } = following.latest()
          const kinds = Map.groupBy(manifests, ({ kind }) => kind)
          const sizes = [...kinds].map(([kind, ones]) => `${kind} ${ones.length}`).join(', ')
          return `after ${millis} ms it sees ${sizes || 'nothing'}; ${problems.map(({ say }) => say).join('; ')}`
        },
        millis,
      ),
    close: async () => {
      await source.close()
      await client.close()
    },
  }
  return following
}
