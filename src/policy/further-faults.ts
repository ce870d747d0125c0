import { z } from 'zod'
import type { Finding, Path } from '../model/result.ts'
import type { PolicyCandidate } from './candidate.ts'
import { compilePolicy } from './compile-policy.ts'
import type { PolicyContext } from './compile-policy.ts'
import { authPolicySpec, gatewayGroup } from './document.ts'
import type { AuthPolicySpec } from './document.ts'

/*
 * What else is wrong with a policy whose document breaks the schema: its entries that can be read are compiled for what is wrong with
 * them, and for nothing else. Else each mistake would show only when the one before it is mended.
 */

/** Faults of a broken document besides those of its form. Paths start at the object. */
export function furtherFaults(candidate: PolicyCandidate, context: Omit<PolicyContext, 'onRelease' | 'advise'>) {
  const part = readablePart(candidate.manifest.object)
  if (part === undefined) return []
  const releases: (() => void)[] = []
  const result = compilePolicy(candidate, part.spec, {
    ...context,
    onRelease: (release) => releases.push(release),
    advise: () => undefined,
  })
  for (const release of releases) release()
  const findings: readonly Finding[] = result.ok ? [] : result.findings
  return findings.flatMap((finding) => {
    const path = part.place(finding.path)
    return path === undefined ? [] : [{ ...finding, path }]
  })
}

interface ReadablePart {
  readonly spec: AuthPolicySpec
  /** Where in the document a path of `spec` lies; undefined for what only the unreadable part could tell. */
  readonly place: (path: Path) => Path | undefined
}

const { authentication, authorization, response, ...others } = authPolicySpec.shape
const lists = response.unwrap().shape

const outline = z.looseObject({ spec: z.looseObject({}) })
const fields = z.looseObject({})

/** The entries and fields of a spec that are right by themselves. */
function readablePart(object: unknown): ReadablePart | undefined {
  const read = outline.safeParse(object)
  if (!read.success) return undefined
  const { spec } = read.data
  const inner = fields.safeParse(spec['response']).data ?? {}
  const kept = {
    authentication: rightOnes(authentication, spec['authentication']),
    authorization: rightOnes(authorization, spec['authorization']),
    headers: rightOnes(lists.headers, inner['headers']),
    remove: rightOnes(lists.remove, inner['remove']),
    removeQuery: rightOnes(lists.removeQuery, inner['removeQuery']),
  }
  const rest = Object.entries(others).filter(([key, schema]) => schema.safeParse(spec[key]).success)
  const values = ({ items }: Kept): readonly unknown[] => items.map(({ value }) => value)
  const made = authPolicySpec.safeParse({
    ...Object.fromEntries(rest.map(([key]) => [key, spec[key]])),
    targetRefs: [{ group: gatewayGroup, kind: 'HTTPRoute', name: 'any' }],
    authentication: values(kept.authentication),
    authorization: values(kept.authorization),
    response: {
      headers: values(kept.headers),
      remove: values(kept.remove),
      removeQuery: values(kept.removeQuery),
    },
  })
  return made.success ? { spec: made.data, place: (path) => placed(path, kept) } : undefined
}

interface Kept {
  readonly items: readonly { readonly at: number; readonly value: unknown }[]
  /** Nothing of the list was left out. */
  readonly whole: boolean
}

type List = z.ZodDefault<z.ZodArray<z.ZodType>>

function rightOnes(list: List, given: unknown): Kept {
  if (!Array.isArray(given)) return { items: [], whole: given === undefined }
  const { element } = list.unwrap()
  const items = given.flatMap((value: unknown, at) => (element.safeParse(value).success ? [{ at, value }] : []))
  return { items, whole: items.length === given.length }
}

function placed(path: Path, kept: Readonly<Record<string, Kept>>): Path | undefined {
  const at = path.findIndex((step) => typeof step === 'string' && Object.hasOwn(kept, step))
  const list = kept[String(path[at])]
  if (list === undefined) return path
  const index = path[at + 1]
  // What is said of a whole list is true of the whole list only, and what is missing may be under a misspelt key.
  if (typeof index !== 'number') return list.whole && list.items.length > 0 ? path : undefined
  return [...path.slice(0, at + 1), list.items[index]?.at ?? index, ...path.slice(at + 2)]
}
