import type { KubeObject } from './kube-client.ts'

/** The container, as far as the tests look at it. */
export interface Container {
  readonly args: readonly string[]
  readonly image: string
  readonly env: readonly { readonly name: string; readonly value?: string }[]
  readonly ports: readonly object[]
  readonly resources: {
    readonly requests: Readonly<Record<string, string>>
    readonly limits: Readonly<Record<string, string>>
  }
  readonly lifecycle: { readonly preStop: { readonly sleep: { readonly seconds: number } } }
  readonly [field: string]: unknown
}
/** Its pod. */
export interface PodSpec {
  readonly containers: readonly [Container]
  readonly terminationGracePeriodSeconds: number
  readonly automountServiceAccountToken: boolean
  readonly securityContext: object
  readonly [field: string]: unknown
}
/** Its Deployment. */
export interface Workload {
  readonly replicas?: number
  readonly template: { readonly metadata: object; readonly spec: PodSpec }
}

/** The overlays that an operator starts from. */
export const overlays = [
  'deploy/base',
  'deploy/overlays/dev',
  'deploy/overlays/production',
  'deploy/overlays/openshift',
]
/** The base with one component each. */
export const tests = 'test/kubernetes/overlays'
/** All that is built and applied. */
export const all = [...overlays, `${tests}/tls`, `${tests}/files`, `${tests}/namespaces`, `${tests}/trusted-proxies`]

/** The object of a kind and name. */
export const one = (objects: readonly KubeObject[], kind: string, name = 'gatehouse'): KubeObject => {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name)
  if (found === undefined) throw new Error(`there is no ${kind} ${name}`)
  return found
}
/** What the Deployment says. */
export const workload = (objects: readonly KubeObject[]): Workload => one(objects, 'Deployment')['spec'] as Workload
/** What the Deployment says of its pods. */
export const podOf = (objects: readonly KubeObject[]): PodSpec => workload(objects).template.spec
