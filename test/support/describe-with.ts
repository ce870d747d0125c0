import { describe, expect, it } from 'vitest'
import { tool } from './tools.ts'
import type { ToolName } from './tools.ts'

/** A `describe` for tests that take real programs: skipped, saying how to get them, or failed where CI=true. */
export async function describeWith(names: readonly ToolName[], title: string, body: () => void): Promise<void> {
  const tools = await Promise.all(names.map(tool))
  const missing = tools.find((one) => one.kind === 'missing')
  const versions = tools.flatMap((one) => (one.kind === 'found' ? `${one.name} ${one.version}`.trim() : []))
  if (missing === undefined) describe(`${title} (${versions.join(', ')})`, body)
  else if (process.env['CI'] === 'true') it(title, () => expect.fail(missing.how))
  else describe.skip(`${title} (skipped: ${missing.how})`, body)
}
