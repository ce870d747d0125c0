import { RE2JS } from 're2js'
import { failed, fault, ok } from '../model/result.ts'
import type { Path, Result } from '../model/result.ts'

/** A compiled pattern: tests whether it fits the text. */
export interface Regex {
  (text: string): boolean
  /**
   * Characters that it reads within a few milliseconds, whatever they are. It answers truly beyond that too, in time linear
   * in the text, but who judges strangers' text should not ask.
   */
  readonly limit: number
}

const maxPattern = 1024
const maxProgram = 1000
const longestText = 32_768
/** Instructions times characters: a pattern that keeps many states alive costs tens of nanoseconds for each of them. */
const work = 200_000

/** `whole`: the pattern is all of the text, as for Envoy and the Gateway API. `part`: somewhere in it, as for CEL. */
export type RegexScope = 'whole' | 'part'

/**
 * Compiles an RE2 pattern. The engine runs in time linear in the text (no backtracking, no look-around, no back-references),
 * so that no text can make a pattern explode (CVE-2026-35041).
 */
export function compileRegex(pattern: string, scope: RegexScope = 'whole', path: Path = []): Result<Regex> {
  if (pattern.length > maxPattern) {
    return failed([fault('bad-regex', path, `the pattern is longer than ${maxPattern} characters`)])
  }
  try {
    const compiled = RE2JS.compile(pattern)
    const size = compiled.programSize()
    if (size > maxProgram) {
      const say = `the pattern is too large (${size} instructions of at most ${maxProgram})`
      return failed([fault('bad-regex', path, say, 'make its repetitions smaller')])
    }
    const test = scope === 'whole' ? (text: string) => compiled.testExact(text) : (text: string) => compiled.test(text)
    const limit = Math.max(256, Math.min(longestText, Math.floor(work / Math.max(1, size))))
    return ok(Object.assign(test, { limit }))
  } catch (cause) {
    return failed([fault('bad-regex', path, why(cause), 'RE2 syntax: no look-around and no back-references')])
  }
}

const why = (cause: unknown): string =>
  cause instanceof Error ? cause.message.replace(/^error parsing regexp: /, '') : 'cannot be compiled'
