import { createKubeClient } from '../kubernetes/client.ts'
import type { KubeClient } from '../kubernetes/client.ts'
import { defaultKubeConfig } from '../kubernetes/kube-config.ts'
import { createReviewServer } from '../kubernetes/reviews.ts'
import { createSchemaReader } from '../kubernetes/schema-reader.ts'
import type { ReviewServer } from '../model/reviews.ts'
import type { Clock } from '../model/clock.ts'
import type { Telemetry } from '../model/telemetry.ts'
import type { OurService } from '../policy/gateway-api.ts'
import type { Listen } from '../setting-values.ts'
import type { Settings } from '../settings.ts'
import { createKubernetesSource } from '../source/kubernetes.ts'
import type { Source } from '../source/source.ts'

/** A cluster as `serve --kubernetes` and `check --kubernetes` use it. */
export interface Cluster {
  readonly client: KubeClient
  readonly source: Source
  readonly us: OurService
  /** The API server as a judge of tokens and permissions. */
  readonly reviewServer: ReviewServer
  readonly close: () => Promise<void>
}

export interface ClusterParts {
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly warn: (sentence: string) => void
}

/** Opens the cluster of the kubeconfig, or of the pod that this runs in. Nothing is called before the source starts. */
export function openCluster(settings: Settings, { clock, telemetry, warn }: ClusterParts): Cluster {
  const client = createKubeClient({ load: defaultKubeConfig, ticks: clock.ticks })
  const schemas = createSchemaReader({ load: defaultKubeConfig, ticks: clock.ticks })
  return {
    client,
    source: createKubernetesSource({ client, schemas, clock, telemetry, namespaces: settings.namespaces, warn }),
    us: ourService(settings),
    reviewServer: createReviewServer(client, 'cluster'),
    close: async () => {
      await Promise.all([client.close(), schemas.close()])
    },
  }
}

/** Our Service has the ports that we listen on: the manifests in deploy/ map them one to one. */
export const ourService = ({ service, grpcListen, httpListen, matchingListen }: Settings): OurService => ({
  ...service,
  ports: { grpc: portOf(grpcListen, 9001), http: portOf(httpListen, 9002), matching: portOf(matchingListen, 9003) },
})

const portOf = (listen: Listen, fallback: number): number => (listen.kind === 'on' ? listen.port : fallback)
