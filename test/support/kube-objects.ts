import type { ResourceKind } from '../../src/kubernetes/resources.ts'
import type { ApiServer } from './api-server.ts'

/** A definition of AuthPolicy that takes anything: for tests that are about its being there. */
export const authPolicyDefinition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'authpolicies.gatehouse.dev' },
  spec: {
    group: 'gatehouse.dev',
    scope: 'Namespaced',
    names: { kind: 'AuthPolicy', listKind: 'AuthPolicyList', plural: 'authpolicies', singular: 'authpolicy' },
    versions: [
      {
        name: 'v1alpha1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
} as const

/** So many ConfigMaps that Gatehouse reads. */
export const configMaps = (namespace: string, count: number) =>
  Array.from({ length: count }, (_, at) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { namespace, name: `map-${at}`, labels: { 'gatehouse.dev/credentials': 'true' } },
    data: { key: String(at) },
  }))

/** May read these kinds in the whole cluster, and nothing else. */
export const readerRole = (name: string, kinds: readonly ResourceKind[]) => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  metadata: { name },
  rules: kinds.map(({ group, plural }) => ({
    apiGroups: [group],
    resources: [plural],
    verbs: ['get', 'list', 'watch'],
  })),
})

export const bindingOf = (role: string, namespace: string, account: string) => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRoleBinding',
  metadata: { name: role },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
  subjects: [{ kind: 'ServiceAccount', namespace, name: account }],
})

/** Makes a service account and a token for it. */
export async function serviceAccountToken(api: ApiServer, namespace: string, name: string): Promise<string> {
  await api.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace, name } })
  const answer = await api.request<{ readonly status: { readonly token: string } }>(
    'POST',
    `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`,
    { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
  )
  return answer.body.status.token
}
