import { z } from 'zod'
import type { AuthRequest } from '../model/request.ts'
import { failed, fault, ok } from '../model/result.ts'
import type { Result } from '../model/result.ts'
import { clusterUserOf, noReviewReasons } from '../model/reviews.ts'
import type { AccessAttributes, AccessReviewed, NoReview } from '../model/reviews.ts'
import { fails, holds } from './condition.ts'
import type { Condition, ConditionContext, ConditionKind, Verdict } from './condition.ts'

const fromRequest = 'FromRequest'

/** What RBAC compares to the letter: a wildcard here would ask for everything at once, and `*` is what rules have, not questions. */
const word = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/
const verb = z
  .string()
  .max(63)
  .regex(/^([a-z]+|FromRequest)$/, 'is a verb in lower case, or FromRequest')

const schema = z
  .strictObject({
    verb: verb.describe('What the user has to be allowed to do. FromRequest: what the HTTP method stands for.'),
    group: z.string().max(253).regex(word, 'is not an API group').optional().describe('API group; core where absent.'),
    resource: z.string().max(253).regex(word, 'is not a resource').optional().describe('Plural name, e.g. `pods`.'),
    subresource: z.string().max(253).regex(word, 'is not a subresource').optional().describe('E.g. `log`.'),
    name: z
      .string()
      .min(1)
      .max(253)
      .regex(/^[^\x00-\x1f\x7f/*]+$/, 'is not a name')
      .optional()
      .describe('Name of the object; all of them where absent.'),
    namespace: z
      .string()
      .max(63)
      .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'is not a namespace')
      .optional()
      .describe('Namespace of the object; every one of them (or none) where absent.'),
    path: z
      .string()
      .max(2048)
      .regex(/^(\/[^\x00-\x20\x7f?#*]*|FromRequest)$/, 'is a path from its slash on, or FromRequest')
      .optional()
      .describe('Instead of a resource: a URL as in `nonResourceURLs`. FromRequest: the path of the request.'),
  })
  .refine(
    ({ resource, path }) => (resource === undefined) !== (path === undefined),
    'has exactly one of resource, path',
  )
  .refine(
    ({ path, group, subresource, name, namespace }) =>
      path === undefined || [group, subresource, name, namespace].every((one) => one === undefined),
    'has group, subresource, name and namespace only with a resource',
  )
  .describe('The RBAC of the cluster lets the user do this (SubjectAccessReview).')

type Block = z.infer<typeof schema>

/** `kubernetes: { verb: get, resource: pods }`: the cluster's RBAC lets the user do that (SubjectAccessReview). */
export const kubernetes: ConditionKind<Block> = { kind: 'kubernetes', schema, compile }

function compile(block: Block, { reviews }: ConditionContext = { reviews: undefined }): Result<Condition> {
  if (reviews === undefined) {
    return failed([
      fault('no-cluster', [], 'asks the Kubernetes API server, and there is none', 'serve with --kubernetes'),
    ])
  }
  const attributesOf = block.path === undefined ? resourceAttributes(block) : pathAttributes(block.verb, block.path)
  return ok(({ request, identity }, signal) => {
    const user = clusterUserOf(identity)
    if (user === undefined) return reserved
    const attributes = attributesOf(request)
    if (attributes === undefined) return fails
    const answer = reviews.accessReview({ user, attributes, late: request.late }, signal)
    return answer instanceof Promise ? answer.then(verdictOf) : verdictOf(answer)
  })
}

const reserved: Verdict = {
  kind: 'error',
  cause: new Error('a name of a user or group that Kubernetes keeps for itself (system:), and no token of the cluster'),
}

function verdictOf(answer: AccessReviewed | NoReview): Verdict {
  switch (answer.kind) {
    case 'allowed':
      return holds
    case 'denied':
      return fails
    case 'unavailable':
      return { kind: 'unavailable', reason: noReviewReasons[answer.why] }
  }
}

/** What a request asks for in these words; undefined where it is nothing that anybody could be allowed. */
type AttributesOf = (request: AuthRequest) => AccessAttributes | undefined

function resourceAttributes({ verb, group = '', resource = '', ...rest }: Block): AttributesOf {
  const { subresource = '', name = '', namespace = '' } = rest
  const fixed = { kind: 'resource', group, resource, subresource, name, namespace } as const
  if (verb !== fromRequest) return () => ({ ...fixed, verb })
  return ({ method }) => {
    const meant = verbs.get(method)
    return meant === undefined ? undefined : { ...fixed, verb: meant }
  }
}

/** HTTP methods as the API server itself reads them; nothing is watched or listed by a request of somebody else's API. */
const verbs: ReadonlyMap<string, string> = new Map([
  ['GET', 'get'],
  ['HEAD', 'get'],
  ['POST', 'create'],
  ['PUT', 'update'],
  ['PATCH', 'patch'],
  ['DELETE', 'delete'],
])

const pathAttributes =
  (verb: string, path: string): AttributesOf =>
  ({ method, target }) => {
    const asked = verb === fromRequest ? pathVerb(method) : verb
    const place = path === fromRequest ? plainPath(target) : path
    return asked === undefined || place === undefined ? undefined : { kind: 'path', verb: asked, path: place }
  }

/** For URLs the verb is the method in lower case. HTTP methods are case-sensitive: `get` is not GET, and nobody's verb. */
const pathVerb = (method: string): string | undefined => (/^[A-Z]+$/.test(method) ? method.toLowerCase() : undefined)

/** RBAC compares decoded paths; one that can be decoded in two ways belongs to nobody. */
const plainPath = ({ path, ambiguous }: AuthRequest['target']): string | undefined =>
  ambiguous === undefined && path.startsWith('/') ? decodeURIComponent(path) : undefined
