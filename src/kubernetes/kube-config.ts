import type { KubeConfig } from '@kubernetes/client-node'
import { KubeError } from './kube-error.ts'

/**
 * The cluster of `$KUBECONFIG`, of `~/.kube/config`, or of the pod that this runs in. The library is loaded only here: it is large,
 * and most commands need none of it.
 */
export async function defaultKubeConfig(): Promise<KubeConfig> {
  const { KubeConfig } = await import('@kubernetes/client-node')
  const config = new KubeConfig()
  config.loadFromDefault()
  // What it makes up where it finds nothing.
  if (config.getCurrentCluster()?.server === 'http://localhost:8080') {
    throw new KubeError(0, 'NoCluster', 'there is no kubeconfig, and this is no pod of a cluster')
  }
  return config
}

/** The cluster of one kubeconfig file. */
export async function kubeConfigFile(path: string): Promise<KubeConfig> {
  const { KubeConfig } = await import('@kubernetes/client-node')
  const config = new KubeConfig()
  config.loadFromFile(path)
  return config
}
