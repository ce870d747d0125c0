import { execFile } from 'node:child_process'
import { mkdir, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { goToolchain } from './go-toolchain.ts'

const run = promisify(execFile)
const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'gatehouse')

/** A Go module of which a file is wanted; the sum is go.sum's, of the whole module. */
export interface GoModule {
  readonly path: string
  readonly version: string
  readonly sum: string
}

interface Downloaded {
  readonly Dir?: string
  readonly Sum?: string
  readonly Error?: string
}

/** Reads a file of a Go module, which Go's own cache keeps; refuses one of another sum. */
export async function moduleFile({ path, version, sum }: GoModule, file: string): Promise<string> {
  await mkdir(cache, { recursive: true })
  const go = await goToolchain(cache)
  // The sum is checked here, so that no checksum database has to be in reach.
  const env = { ...go.env, GOFLAGS: '-mod=mod', GONOSUMDB: '*', GOTOOLCHAIN: 'local' }
  const args = ['mod', 'download', '-json', `${path}@${version}`]
  // Where it fails, what it prints says why.
  const { stdout } = await run(go.command, args, { env, cwd: '/', maxBuffer: 1024 * 1024 }).catch((cause: unknown) => {
    const failed = cause as { readonly stdout?: string }
    if (!failed.stdout) throw cause
    return { stdout: failed.stdout }
  })
  const { Dir, Sum, Error: failure } = JSON.parse(stdout) as Downloaded
  if (Dir === undefined) throw new Error(`${path}@${version}: ${failure ?? 'was not downloaded'}`)
  if (Sum !== sum) throw new Error(`${path}@${version} has the sum ${Sum ?? 'none'}, not ${sum}`)
  return readFile(join(Dir, file), 'utf8')
}

/** Definitions of other projects' kinds: what deploy/ is tried with. None of it is kept in this repository. */
export const thirdParty = {
  envoyGateway: [
    {
      path: 'github.com/envoyproxy/gateway',
      version: 'v1.9.1',
      sum: 'h1:vAVp6/AlBXJ1aOhp1mxL7fNEzVEfjADUguUhm2wzxQY=',
    },
    'charts/gateway-crds-helm/templates/generated/gateway.envoyproxy.io_securitypolicies.yaml',
  ],
  contour: [
    {
      path: 'github.com/projectcontour/contour',
      version: 'v1.33.8',
      sum: 'h1:QoOfwqWws+CVRFpsRC2+f1DmB5IdurtyUtepIsiWfE0=',
    },
    'examples/contour/01-crds.yaml',
  ],
  istio: [
    { path: 'istio.io/api', version: 'v1.31.4', sum: 'h1:AcnncYrlDj1PJkym7h88Gggkef4MAra8QpGaXRMsr+E=' },
    'kubernetes/customresourcedefinitions.gen.yaml',
  ],
  traefik: [
    {
      path: 'github.com/traefik/traefik/v3',
      version: 'v3.7.13',
      sum: 'h1:T8wy9KuaFzCkmXCqAzDy7t73pBDR1DHrJe3pqXpNXTw=',
    },
    'docs/content/reference/dynamic-configuration/traefik.io_middlewares.yaml',
  ],
  cilium: [
    {
      path: 'github.com/cilium/cilium',
      version: 'v1.20.2',
      sum: 'h1:dqiEGIcXc+gqCLYG/l7VCFJ8GHyb4HUrwbZOpkX5dL8=',
    },
    'pkg/k8s/apis/cilium.io/client/crds/v2/ciliumnetworkpolicies.yaml',
  ],
  podMonitor: [
    {
      path: 'github.com/prometheus-operator/prometheus-operator',
      version: 'v0.85.0',
      sum: 'h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=',
    },
    'example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml',
  ],
} as const satisfies Readonly<Record<string, readonly [GoModule, string]>>
