import { methods } from '../authn/index.ts'
import type { Authenticator, Method, MethodContext } from '../authn/method.ts'
import type { Services } from '../authn/services.ts'
import { allReads, noReads } from '../authz/cel-reads.ts'
import type { Condition, ConditionKind } from '../authz/condition.ts'
import { conditions } from '../authz/index.ts'
import { failed, fault, ok, under, weakness } from '../model/result.ts'
import type { Finding, Path, Result } from '../model/result.ts'
import type { PolicyCandidate } from './candidate.ts'
import { compileResponse } from './compile-response.ts'
import type { DataObjects } from './data-objects.ts'
import type { AuthPolicySpec } from './document.ts'
import type { Policy } from './snapshot.ts'

/** What compiling a policy needs of the world. */
export interface PolicyContext {
  readonly services: Services
  readonly data: DataObjects
  readonly onRelease: (release: () => void) => void
  /** Warnings and notes about a policy that compiles. */
  readonly advise: (findings: readonly Finding[]) => void
}

/** Turns a validated spec into closures, or tells everything that keeps it from working. Paths start at the object. */
export function compilePolicy(
  { id, manifest }: PolicyCandidate,
  spec: AuthPolicySpec,
  context: PolicyContext,
): Result<Policy> {
  const faults: Finding[] = []
  const take = <T>(result: Result<T>, at: Path): T | undefined => {
    if (result.ok) return result.value
    faults.push(...result.findings.map((finding) => under(['spec', ...at], finding)))
    return undefined
  }
  const authenticators = spec.authentication.flatMap((entry, index) => {
    const at = ['authentication', index] as const
    return take(compileMethod(entry, { id, namespace: manifest.namespace, at, context }), at) ?? []
  })
  const compiled = spec.authorization.flatMap((entry, index) => {
    const [kind = '', block] = Object.entries(entry)[0] ?? []
    return take(compileCondition(kind, block, context.services), ['authorization', index, kind]) ?? []
  })
  const response = take(compileResponse(spec.response), ['response'])
  faults.push(...emptiness(spec), ...duplicateNames(spec))
  if (faults.length > 0 || response === undefined) return failed(faults)
  const { reads, ...ofResponse } = response
  context.advise(openness(spec))
  return ok({
    name: id,
    mode: spec.mode,
    authenticators,
    guest: spec.guest && { subject: spec.guest.subject, method: 'guest', claims: {}, scopes: [], groups: [] },
    conditions: compiled,
    reads: allReads([...compiled.map((one) => one.reads ?? noReads), reads]),
    ...ofResponse,
    unauthenticated: unauthenticated(spec),
    denied: spec.denied,
    preflight: spec.preflight,
    ambiguousPath: spec.ambiguousPath,
  })
}

interface EntryContext {
  readonly id: string
  readonly namespace: string
  readonly at: Path
  readonly context: PolicyContext
}

function compileMethod(
  entry: AuthPolicySpec['authentication'][number],
  { id, namespace, at, context }: EntryContext,
): Result<Authenticator> {
  const { name: given, ...blocks } = entry
  const [kind = '', block] = Object.entries(blocks).find(([, value]) => value !== undefined) ?? []
  const name = given ?? kind
  const method = byName<Pick<Method<never>, 'compile'>>(methods, kind)
  if (method === undefined) return failed([fault('unknown-key', [], 'names no method')])
  const methodContext: MethodContext = {
    namespace,
    owner: `${id}/${name}`,
    name,
    read: (ref, defaultKey) => context.data.read(namespace, ref, defaultKey),
    select: (labels) => context.data.select(namespace, labels),
    object: (of, called) => context.data.get(of, namespace, called),
    services: context.services,
    onRelease: context.onRelease,
  }
  const result = method.compile(block as never, methodContext)
  if (!result.ok) return failed(result.findings.map((finding) => under([kind], finding)))
  context.advise(result.value.findings.map((finding) => under(['spec', ...at, kind], finding)))
  return ok(result.value.value)
}

function compileCondition(kind: string, block: unknown, { reviews }: Services): Result<Condition> {
  const condition = byName<Pick<ConditionKind<never>, 'compile'>>(conditions, kind)
  return condition === undefined
    ? failed([fault('unknown-key', [], 'names no condition')])
    : condition.compile(block as never, { reviews })
}

/** A row of a table by a stranger's string: own members only. */
const byName = <T>(table: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined

function unauthenticated({ unauthenticated: { respond, location } }: AuthPolicySpec): Policy['unauthenticated'] {
  switch (respond) {
    case 'Forbidden':
    case 'Challenge':
      return { respond }
    case 'Redirect':
      return { respond, location: location ?? '' }
  }
}

const emptiness = (spec: AuthPolicySpec): readonly Finding[] =>
  spec.authentication.length === 0 && spec.guest === undefined
    ? [
        fault(
          'nothing-to-check',
          ['spec', 'authentication'],
          'nobody could ever pass',
          'name a method, or `guest` to let everybody in',
        ),
      ]
    : []

function duplicateNames(spec: AuthPolicySpec): readonly Finding[] {
  const names = spec.authentication.map((entry) => entry.name ?? Object.keys(entry)[0])
  return names.flatMap((name, index) =>
    names.indexOf(name) === index
      ? []
      : [
          fault(
            'bad-value',
            ['spec', 'authentication', index, 'name'],
            `a second entry named "${name}"`,
            'give each entry a name of its own',
          ),
        ],
  )
}

/** What an operator should know of a policy that works: that it lets everybody in, or refuses nobody. */
const openness = (spec: AuthPolicySpec): readonly Finding[] => [
  ...(spec.guest !== undefined && spec.authorization.length === 0
    ? [
        {
          ...weakness('allows-everybody', ['spec', 'guest'], 'lets in everybody who presents no credential'),
          severity: 'note' as const,
        },
      ]
    : []),
  ...(spec.mode === 'Shadow'
    ? [
        {
          ...weakness(
            'allows-everybody',
            ['spec', 'mode'],
            'Shadow lets every request through; refusals are only logged',
          ),
          severity: 'note' as const,
        },
      ]
    : []),
]
