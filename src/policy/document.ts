import { z } from 'zod'
import { conditions } from '../authz/index.ts'
import { methods } from '../authn/index.ts'
import { responseHeader } from './response-headers.ts'

/*
 * The AuthPolicy, defined once: validation, the TypeScript type, the JSON schema and the README's reference come from here.
 */

export const apiVersion = 'gatehouse.dev/v1alpha1'
export const gatewayGroup = 'gateway.networking.k8s.io'

const objectNames = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/
const longestName = 253
const objectName = z
  .string()
  .regex(
    objectNames,
    'is not a Kubernetes object name: lower-case letters and digits, with hyphens and dots between them',
  )
  .max(longestName)

/** What the schema takes for the name of an object. */
export const isObjectName = (value: unknown): value is string =>
  typeof value === 'string' && value.length <= longestName && objectNames.test(value)

const entryName = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'is lower-case letters, digits and hyphens')
  .max(63)

export const targetRef = z.strictObject({
  group: z.literal(gatewayGroup).describe('API group of the target.'),
  kind: z.enum(['HTTPRoute', 'Gateway']).describe('What is protected: a route, or every route attached to a Gateway.'),
  name: objectName.describe('Name of the target, in the namespace of the policy.'),
  sectionName: objectName
    .optional()
    .describe('Rule name of an HTTPRoute (GEP-995) or listener name of a Gateway. Without it: all of them.'),
})

const authentication = z
  .strictObject({
    name: entryName.optional().describe('Name of the entry in logs and metrics; its kind where absent.'),
    ...methodBlocks(),
  })
  .refine((entry) => Object.keys(entry).filter((key) => key !== 'name').length === 1, {
    message: `has exactly one of ${Object.keys(methods).join(', ')}`,
  })

const authorization = z.strictObject(conditionBlocks()).refine((entry) => Object.keys(entry).length === 1, {
  message: `has exactly one of ${Object.keys(conditions).join(', ')}`,
})

const unauthenticated = z
  .strictObject({
    respond: z
      .enum(['Forbidden', 'Challenge', 'Redirect'])
      .describe('403; 401 with WWW-Authenticate; or a redirect to `location` (not through nginx-based gateways).'),
    location: z
      .url({ protocol: /^https?$/ })
      .max(2048)
      .optional()
      .describe('Where Redirect sends the client.'),
  })
  .refine((block) => (block.respond === 'Redirect') === (block.location !== undefined), {
    message: 'location goes with respond: Redirect',
  })

const denied = z.strictObject({
  body: z.string().max(8192).default('').describe('Body of every refusal. It must not explain the refusal.'),
  contentType: z
    .string()
    .regex(/^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(;[ \w="'.-]+)?$/, 'is a media type such as text/html')
    .default('text/plain')
    .describe('Content-Type of that body.'),
})

export const authPolicySpec = z.strictObject({
  targetRefs: z.array(targetRef).min(1).max(16).describe('What the policy is for (GEP-713).'),
  strategy: z
    .enum(['Defaults', 'Overrides'])
    .default('Defaults')
    .describe('Defaults: the most specific policy wins whole. Overrides: this one wins over more specific ones.'),
  mode: z
    .enum(['Enforce', 'Shadow'])
    .default('Enforce')
    .describe('Shadow: decide, count and log, but let the request through.'),
  authentication: z
    .array(authentication)
    .max(16)
    .default([])
    .describe('Ways to authenticate; any one that succeeds is enough.'),
  guest: z
    .strictObject({ subject: z.string().min(1).max(253).describe('Subject of those who present no credential.') })
    .optional()
    .describe('Used only where no credential of any kind was presented.'),
  authorization: z.array(authorization).max(32).default([]).describe('Conditions; every one must hold.'),
  response: z
    .strictObject({
      headers: z
        .array(responseHeader)
        .max(50)
        .default([])
        .describe("Set on allow, and always removed from the client's own request first."),
      remove: z
        .array(z.string().min(1).max(256))
        .max(50)
        .default([])
        .describe("Headers taken off the client's request."),
      removeQuery: z
        .array(z.string().min(1).max(128))
        .max(16)
        .default([])
        .describe(
          "Query parameters taken off the client's request, in whatever encoding. HTTP has no word for it: there, a request that has one is refused.",
        ),
    })
    .default({ headers: [], remove: [], removeQuery: [] })
    .describe('What the backend gets to see.'),
  unauthenticated: unauthenticated
    .default({ respond: 'Forbidden' })
    .describe('Answer to a missing or wrong credential.'),
  denied: denied.optional().describe('Body of refusals.'),
  preflight: z
    .enum(['Authenticate', 'Allow'])
    .default('Authenticate')
    .describe('Allow: CORS preflights pass without a credential.'),
  ambiguousPath: z
    .enum(['Deny', 'AsSent'])
    .default('Deny')
    .describe(
      'Paths that servers read differently (dot segments, %2F, //, ;). AsSent passes them where the rule is known by its key.',
    ),
})

/** An AuthPolicy's spec after validation, defaults filled in. */
export type AuthPolicySpec = z.output<typeof authPolicySpec>

export const authPolicy = z.strictObject({
  apiVersion: z.literal(apiVersion),
  kind: z.literal('AuthPolicy'),
  metadata: z.looseObject({ name: objectName, namespace: objectName.optional() }),
  spec: authPolicySpec,
  status: z.unknown().optional(),
})

/** JSON schema (draft 2020-12) of an AuthPolicy manifest, for editors and for `gatehouse check --schema`. */
export const authPolicyJsonSchema = (): Record<string, unknown> =>
  z.toJSONSchema(authPolicy, { io: 'input', unrepresentable: 'any' })

function methodBlocks() {
  return {
    basic: methods.basic.schema.optional(),
    jwt: methods.jwt.schema.optional(),
    introspection: methods.introspection.schema.optional(),
    apiKey: methods.apiKey.schema.optional(),
    kubernetesToken: methods.kubernetesToken.schema.optional(),
  }
}

function conditionBlocks() {
  return {
    scopes: conditions.scopes.schema.optional(),
    claims: conditions.claims.schema.optional(),
    cel: conditions.cel.schema.optional(),
    kubernetes: conditions.kubernetes.schema.optional(),
  }
}
