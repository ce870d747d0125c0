import { apiVersion, authPolicyJsonSchema } from '../policy/document.ts'
import { statusSchema } from './status-schema.ts'
import { structural } from './structural-schema.ts'
import type { Schema } from './structural-schema.ts'

const [group = '', version = ''] = apiVersion.split('/')

const conditionOfFirst = (type: string): string => `.status.ancestors[0].conditions[?(@.type=="${type}")].status`

// A column shows the first of several values: ancestors are sorted so that the worst is first.
const printerColumns = [
  { name: 'Target', type: 'string', jsonPath: '.spec.targetRefs[0].name' },
  { name: 'Gateway', type: 'string', jsonPath: '.status.ancestors[0].ancestorRef.name' },
  { name: 'Accepted', type: 'string', jsonPath: conditionOfFirst('Accepted') },
  { name: 'Resolved', type: 'string', jsonPath: conditionOfFirst('ResolvedRefs'), priority: 1 },
  { name: 'Enforced', type: 'string', jsonPath: conditionOfFirst('Enforced') },
  {
    name: 'Why',
    type: 'string',
    jsonPath: '.status.ancestors[0].conditions[?(@.type=="Enforced")].reason',
  },
  {
    name: 'Message',
    type: 'string',
    jsonPath: '.status.ancestors[0].conditions[?(@.type=="Enforced")].message',
    priority: 1,
  },
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
]

/** The CustomResourceDefinition of AuthPolicy, made from the one definition in `policy/document.ts`. */
export function authPolicyCrd(): Schema {
  const { spec } = authPolicyJsonSchema()['properties'] as Readonly<Record<string, Schema>>
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `authpolicies.${group}`,
      labels: {
        'app.kubernetes.io/name': 'gatehouse',
        'app.kubernetes.io/part-of': 'gatehouse',
        // GEP-713: it reaches the rules of routes from Gateways and routes above them.
        'gateway.networking.k8s.io/policy': 'Inherited',
      },
    },
    spec: {
      group,
      scope: 'Namespaced',
      names: {
        kind: 'AuthPolicy',
        listKind: 'AuthPolicyList',
        plural: 'authpolicies',
        singular: 'authpolicy',
        shortNames: ['authp'],
        categories: ['gateway-api'],
      },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          additionalPrinterColumns: printerColumns,
          subresources: { status: {} },
          schema: { openAPIV3Schema: rootSchema(spec ?? {}) },
        },
      ],
    },
  }
}

const rootSchema = (spec: Schema): Schema => ({
  type: 'object',
  description: 'Who may pass at the rules of HTTPRoutes, and what their backends get to know of them.',
  required: ['spec'],
  properties: {
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    metadata: { type: 'object' },
    spec: structural(spec, 'spec'),
    status: statusSchema,
  },
})
