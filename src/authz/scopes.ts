import { z } from 'zod'
import { failed, fault, ok } from '../model/result.ts'
import type { Finding, Result } from '../model/result.ts'
import { holds } from './condition.ts'
import type { ConditionKind, ImmediateCondition } from './condition.ts'

type ScopesBlock = readonly string[]

const schema = z
  .array(z.string().max(256))
  .max(32)
  .describe('OAuth scopes; every one must be held (RFC 6749 §3.3: whole, case-sensitive words).')

/** RFC 6749 §3.3 scope-token: a space would be two scopes, and a quote would end the challenge that names it. */
const scopeToken = /^[\x21\x23-\x5b\x5d-\x7e]+$/

/** `scopes: [cart.write]`: every scope is held. */
export const scopes: ConditionKind<ScopesBlock, ImmediateCondition> = { kind: 'scopes', schema, compile }

function compile(required: ScopesBlock): Result<ImmediateCondition> {
  const findings = required.length === 0 ? [nothing([])] : required.flatMap(scopeFault)
  if (findings.length > 0) return failed(findings)
  return ok(({ identity }) =>
    required.every((scope) => identity.scopes.includes(scope)) ? holds : { kind: 'false', scopes: required },
  )
}

const nothing = (path: readonly number[]): Finding =>
  fault('nothing-to-check', path, 'names no scope, so everybody would hold it', 'name a scope, or leave the entry out')

function scopeFault(scope: string, index: number): readonly Finding[] {
  if (scope.trim() === '') return [nothing([index])]
  if (scopeToken.test(scope)) return []
  return [fault('bad-value', [index], 'is not one scope (RFC 6749 §3.3)', 'give each scope an entry of its own')]
}
