import { readFileSync } from 'node:fs'
import { format } from 'prettier'
import { expect, it } from 'vitest'
import { withGeneratedParts } from './support/readme.ts'

it('DEP-18 the README says what the code does: run `npm run readme` after a change', async () => {
  const readme = readFileSync('README.md', 'utf8')
  const { prettier } = JSON.parse(readFileSync('package.json', 'utf8')) as { prettier: object }
  expect(await format(withGeneratedParts(readme), { ...prettier, parser: 'markdown' })).toBe(readme)
})
