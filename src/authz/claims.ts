import { z } from 'zod'
import { claimAt } from '../model/identity.ts'
import { failed, fault, ok, under } from '../model/result.ts'
import type { Finding, Result } from '../model/result.ts'
import { fails, holds } from './condition.ts'
import type { ConditionKind, ImmediateCondition } from './condition.ts'
import { compileRegex } from './regex.ts'

const scalar = z.union([z.string().max(1024), z.number(), z.boolean()])

type Scalar = z.output<typeof scalar>

const tests = {
  equals: scalar.optional().describe('The claim is this value, of this type.'),
  contains: scalar.optional().describe('The claim is a list and holds this value.'),
  oneOf: z.array(scalar).min(1).max(256).optional().describe('The claim is one of these values.'),
  matches: z.string().max(1024).optional().describe('The claim is a string and all of it fits this RE2 pattern.'),
  exists: z.boolean().optional().describe('true: the claim is there and not null; false: it is not.'),
}

const claim = z
  .strictObject({
    path: z
      .array(z.string().min(1).max(256))
      .min(1)
      .max(16)
      .describe('Where the claim is: member names from the outside in; a digit string is a position in a list.'),
    ...tests,
  })
  .refine((entry) => Object.keys(tests).filter((test) => Object.hasOwn(entry, test)).length === 1, {
    message: `has exactly one of ${Object.keys(tests).join(', ')}`,
  })

type ClaimBlock = z.output<typeof claim>

const schema = z.array(claim).max(32).describe('Tests of claims; every one must hold.')

/** `claims: [ { path: [realm_access, roles], contains: clerk } ]`: own members of the claims only, and no type is converted. */
export const claims: ConditionKind<readonly ClaimBlock[], ImmediateCondition> = { kind: 'claims', schema, compile }

type Test = (value: unknown) => boolean

function compile(entries: readonly ClaimBlock[]): Result<ImmediateCondition> {
  if (entries.length === 0) return failed([fault('nothing-to-check', [], 'tests no claim', 'leave the entry out')])
  const findings: Finding[] = []
  const compiled = entries.flatMap((entry, index) => {
    const test = compileTest(entry)
    if (test.ok) return [{ path: entry.path, test: test.value }]
    findings.push(...test.findings.map((finding) => under([index], finding)))
    return []
  })
  if (findings.length > 0) return failed(findings)
  return ok(({ identity }) =>
    compiled.every(({ path, test }) => test(claimAt(identity.claims, path))) ? holds : fails,
  )
}

function compileTest({ equals, contains, oneOf, matches, exists }: ClaimBlock): Result<Test> {
  if (equals !== undefined) return ok((value) => value === equals)
  if (contains !== undefined) return ok((value) => Array.isArray(value) && value.includes(contains))
  if (oneOf !== undefined) {
    const wanted: ReadonlySet<unknown> = new Set<Scalar>(oneOf)
    return ok((value) => wanted.has(value))
  }
  if (matches !== undefined) return compileMatches(matches)
  return ok((value) => (value !== undefined && value !== null) === exists)
}

function compileMatches(pattern: string): Result<Test> {
  const regex = compileRegex(pattern, 'whole', ['matches'])
  if (!regex.ok) return regex
  const fits = regex.value
  return ok((value) => typeof value === 'string' && value.length <= fits.limit && fits(value))
}
