import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { format } from 'prettier'
import { expect, it } from 'vitest'
import { gatehouse } from './support/gatehouse.ts'
import { withGeneratedParts } from './support/readme.ts'

const readme = readFileSync('README.md', 'utf8')

it('DEP-18 the README says what the code does: run `npm run readme` after a change', async () => {
  const { prettier } = JSON.parse(readFileSync('package.json', 'utf8')) as { prettier: object }
  expect(await format(withGeneratedParts(readme), { ...prettier, parser: 'markdown' })).toBe(readme)
})

/** Spaces at the end of a line are no part of a header, and no editor keeps them. */
const trimmed = (text: string): string => text.replaceAll(/[ \r]+$/gm, '').trim()

it('the README shows the answers that the shipped policies really get', async () => {
  const section = /\n## What it answers\n(.*?)\n## /s.exec(readme)?.[1] ?? ''
  const shown = [...section.matchAll(/^\$ (curl .*)\n((?:[^`\n].*\n)+)/gm)]
  expect(shown).toHaveLength(2)
  const served = await gatehouse({ directory: 'policies' })
  try {
    for (const [, command = '', answer = ''] of shown) {
      const here = command.replace('127.0.0.1:9002', `127.0.0.1:${served.httpPort}`)
      const { stdout } = await promisify(execFile)('sh', ['-c', here])
      expect(trimmed(stdout), command).toBe(trimmed(answer))
    }
  } finally {
    await served.close()
  }
})
