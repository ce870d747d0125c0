import type { Schema } from './structural-schema.ts'

/* PolicyStatus of the Gateway API (GEP-713), as far as an implementation writes it. */

const subdomain = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'

const condition: Schema = {
  type: 'object',
  required: ['lastTransitionTime', 'message', 'reason', 'status', 'type'],
  properties: {
    type: { type: 'string', maxLength: 316, description: 'Accepted, ResolvedRefs or Enforced.' },
    status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
    reason: { type: 'string', minLength: 1, maxLength: 1024, pattern: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$' },
    message: { type: 'string', maxLength: 32768, description: 'What is so, or what is missing.' },
    observedGeneration: {
      type: 'integer',
      format: 'int64',
      minimum: 0,
      description: 'Generation of the policy that this is said of.',
    },
    lastTransitionTime: { type: 'string', format: 'date-time', description: 'When `status` changed last.' },
  },
}

const ancestorRef: Schema = {
  type: 'object',
  description:
    'The Gateway (or Service of a mesh) through which the rules are reached; the target where there is none.',
  required: ['name'],
  properties: {
    group: { type: 'string', maxLength: 253, default: 'gateway.networking.k8s.io' },
    kind: { type: 'string', minLength: 1, maxLength: 63, default: 'Gateway' },
    namespace: { type: 'string', minLength: 1, maxLength: 63 },
    name: { type: 'string', minLength: 1, maxLength: 253 },
    sectionName: { type: 'string', minLength: 1, maxLength: 253, pattern: subdomain },
    port: { type: 'integer', format: 'int32', minimum: 1, maximum: 65535 },
  },
}

/** Schema of `status`: what each ancestor makes of the policy, the worst first. */
export const statusSchema: Schema = {
  type: 'object',
  description: 'Written by Gatehouse.',
  properties: {
    ancestors: {
      type: 'array',
      maxItems: 16,
      'x-kubernetes-list-type': 'atomic',
      description: 'Where the policy stands, one entry for each Gateway; the one that needs most attention is first.',
      items: {
        type: 'object',
        required: ['ancestorRef', 'conditions', 'controllerName'],
        properties: {
          ancestorRef,
          controllerName: { type: 'string', minLength: 1, maxLength: 253, description: 'gatehouse.dev/gatehouse' },
          conditions: {
            type: 'array',
            minItems: 1,
            maxItems: 8,
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['type'],
            items: condition,
          },
        },
      },
    },
  },
}
