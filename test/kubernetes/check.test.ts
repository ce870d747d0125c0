import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { readDirectory } from '../../src/source/files.ts'
import type { KubeObject } from '../../src/kubernetes/kube-object.ts'
import { crdYaml } from '../../src/command/crd.ts'
import { apiServer, describeOnKubernetes } from '../support/api-server.ts'
import type { ApiServer } from '../support/api-server.ts'

/* `gatehouse check --kubernetes` on a cluster in which much is wrong, as an operator runs it. */

const root = resolve(import.meta.dirname, '../..')

interface Ran {
  readonly code: number
  readonly output: string
}

interface Found {
  readonly findings: readonly {
    readonly code: string
    readonly severity: string
    readonly object: string
    readonly path: string
    readonly message: string
    readonly yaml: string | null
  }[]
  readonly summary: { readonly errors: number }
}

await describeOnKubernetes('check --kubernetes', () => {
  let api: ApiServer
  const check = (flags: readonly string[] = [], kubeconfig = api.kubeconfig): Promise<Ran> =>
    new Promise((done) => {
      const args = ['src/main.ts', 'check', '--kubernetes', ...flags]
      const options = { cwd: root, env: { ...process.env, KUBECONFIG: kubeconfig }, timeout: 60_000 }
      execFile(process.execPath, args, options, (error, stdout, stderr) =>
        done({ code: error === null ? 0 : Number(error.code), output: stdout + stderr }),
      )
    })
  const found = async (flags: readonly string[] = []): Promise<Found> =>
    JSON.parse((await check(['--output=json', ...flags])).output) as Found

  beforeAll(async () => {
    api = await apiServer({ crds: 'v1.4.1' })
    const definitions = parseAllDocuments(crdYaml()).map((one) => one.toJS() as KubeObject)
    await api.apply(...definitions)
    for (const name of ['shop', 'infra', 'gatehouse'])
      await api.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
    const { manifests } = await readDirectory(resolve(root, 'test/command/messy'))
    for (const { kind, object } of manifests) {
      // What the API server itself refuses is not there to be found: other kinds, a second object, a second rule of one name.
      const named = JSON.parse(JSON.stringify(object).replace('"name":"pay"', '"name":"first"')) as KubeObject
      if (kind === 'HTTPRoute' && JSON.stringify(object).includes('"rules":[]')) continue
      if (kind !== 'AuthPolciy') await api.apply(named)
    }
  })
  afterAll(() => api.stop())

  it('says each thing once, with what mends it, and ends with 1', async () => {
    const { findings, summary } = await found()
    const said = findings.map(({ code, object, path }) => `${code} ${object} ${path}`)
    expect(said.toSorted()).toEqual([...new Set(said)].toSorted())
    expect(new Set(findings.map(({ code }) => code)).size).toBeGreaterThanOrEqual(12)
    expect(summary.errors).toBeGreaterThan(0)
    const { code, output } = await check()
    expect(code).toBe(1)
    expect(output).toMatch(/^HTTPRoute shop\/cart$/m)
    expect(output.trimEnd().split('\n').at(-1)).toMatch(/^\d+ rules? protected, \d+ refusing everything, \d+ errors/)
    for (const line of output.split('\n')) expect(line.length).toBeLessThanOrEqual(160)
  })

  it('knows whom it would believe where it is told, and gives the argument of the Deployment', async () => {
    const of = async (flags: readonly string[]) =>
      (await found(flags)).findings.filter(({ code }) => code === 'untrusted-gateway')
    expect(await of([])).toMatchObject([
      { severity: 'warning', yaml: expect.stringContaining('- --trusted-proxies=') as string },
    ])
    expect(await of(['--trusted-proxies=127.0.0.1'])).toMatchObject([{ severity: 'error' }])
    expect(await of(['--trusted-proxies=10.244.0.0/16'])).toEqual([])
  })

  describe('where it cannot look', () => {
    it('ends with 2 and one sentence', async () => {
      const { code, output } = await check([], '/nonexistent')
      expect(code).toBe(2)
      expect(output.trim().split('\n')).toHaveLength(1)
    }, 60_000)
  })
})
