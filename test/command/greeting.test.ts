import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { greeting } from '../../src/command/greeting.ts'
import type { Settings } from '../../src/settings.ts'
import { authority, opensslMissing } from '../support/certificates.ts'
import { gatehouse } from '../support/gatehouse.ts'

/* The lines that `serve` prints are pasted into a shell here, as they are. */

const shell = promisify(execFile)

/** Rules of every kind: open, behind a host, behind a wildcard, and one that a policy of the whole route protects. */
const policies = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { namespace: shop, name: cart }
spec:
  hostnames: ['*.shop.example']
  rules: [{ name: pay }, { name: look }]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { namespace: shop, name: stock }
spec: { hostnames: [stock.example], rules: [{ name: all }] }
---
apiVersion: gatehouse.dev/v1alpha1
kind: AuthPolicy
metadata: { namespace: shop, name: cart, annotations: { gatehouse.dev/try: "-H 'X-API-Key: a-key-for-the-test'" } }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: cart }]
  authentication: [{ apiKey: { keysRef: { name: keys } } }]
---
apiVersion: gatehouse.dev/v1alpha1
kind: AuthPolicy
metadata: { namespace: shop, name: stock, annotations: { gatehouse.dev/try: '' } }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: stock }]
  guest: { subject: anybody }
---
apiVersion: v1
kind: Secret
metadata: { namespace: shop, name: keys }
stringData: { ada: a-key-for-the-test }
`

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-greeting-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function linesToPaste(settings: Partial<Settings>, paste: (lines: readonly string[]) => Promise<void>) {
  const one = await gatehouse({ files: { 'a.yaml': policies }, settings })
  try {
    const state = one.state()
    const lines = state === undefined ? [] : greeting('here', one.running.addresses, state)
    await paste(lines.filter((line) => line.startsWith('  curl ')))
  } finally {
    await one.close()
  }
}

const statusOf = async (line: string): Promise<string> =>
  (await shell('sh', ['-c', `${line.replace('curl -i', 'curl -s -o /dev/null -w %{http_code}')}`])).stdout

const statuses = (lines: readonly string[]): Promise<readonly string[]> => Promise.all(lines.map(statusOf))

describe('three lines that work when pasted', () => {
  it('with the host that the rule serves', () =>
    linesToPaste({}, async (lines) => {
      expect(lines).toEqual([
        expect.stringMatching(
          /^ {2}curl -i -H 'X-API-Key: .*' -H 'Host: www\.shop\.example' http:\S+\/shop\/cart\/\w+\/-\/$/,
        ),
        expect.stringMatching(/^ {2}curl -i -H 'Host: stock\.example' http:\S+\/shop\/stock\/all\/-\/$/),
        expect.stringMatching(/^ {2}curl -i -H 'Host: www\.shop\.example' http:/),
      ])
      expect(await statuses(lines)).toEqual(['200', '200', '403'])
    }))

  it.skipIf(opensslMissing)('over TLS', async () => {
    const { cert, key } = authority().issue('DNS:gatehouse.example')
    const files = { tlsCert: join(folder, 'cert.pem'), tlsKey: join(folder, 'key.pem') }
    await writeFile(files.tlsCert, cert)
    await writeFile(files.tlsKey, key)
    await linesToPaste(files, async (lines) => {
      for (const line of lines) expect(line).toMatch(/^ {2}curl -i -k .*https:\/\/127\.0\.0\.1:/)
      expect(await statuses(lines)).toEqual(['200', '200', '403'])
    })
  })
})
