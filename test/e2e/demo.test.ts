import { execFile } from 'node:child_process'
import { dirname, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeWith } from '../support/describe-with.ts'
import { freePorts, startProgram, until } from '../support/program.ts'
import type { Program } from '../support/program.ts'
import { scenarios } from '../support/scenarios.ts'
import { needed } from '../support/tools.ts'

const run = promisify(execFile)
const root = resolve(import.meta.dirname, '../..')

await describeWith(['envoy', 'curl'], 'npm run demo', () => {
  let demo: Program

  beforeAll(async () => {
    const [port = 0] = await freePorts(1)
    demo = await startProgram({
      tool: { command: process.execPath, env: process.env },
      args: ['test/demo/demo.ts', String(port)],
      cwd: root,
      ready: (program, signal) => until(() => signal.aborted || program.output().includes('Ctrl-C'), program.output),
    })
  })

  afterAll(() => demo?.stop())

  it('prints curl lines that do what they say when pasted', { timeout: 60_000 }, async () => {
    const lines = demo
      .output()
      .split('\n')
      .filter((line) => line.startsWith('curl '))
    const said = lines.map((line) => Number(/# (\d+): /.exec(line)?.[1]))
    const curl = await needed('curl')
    const got: number[] = []
    for (const line of lines) {
      const { stdout } = await run('sh', ['-c', line], {
        env: { ...curl.env, PATH: `${dirname(curl.command)}:${curl.env['PATH']}` },
      })
      got.push(Number(/^HTTP\/1\.1 (\d+)/.exec(stdout)?.[1]))
    }
    expect(lines).toHaveLength(1 + (await scenarios()).flatMap(({ requests }) => requests).length)
    expect(got).toEqual(said)
  })

  it('shows each decision as it is made', () => expect(demo.output()).toMatch(/"decision":"allow".*"policy":/))

  it('ends cleanly on Ctrl-C', async () => {
    demo.signal('SIGINT')
    expect(await demo.ended).toBe(0)
  })
})
