import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe } from 'vitest'
import { opensslMissing } from './certificates.ts'

/** A `describe` for tests that make certificates: skipped where there is no openssl command. */
export const describeIfOpenssl = describe.skipIf(opensslMissing && process.env['CI'] === undefined)

const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

/** Runs openssl in a folder of its own that goes afterwards. */
function inFolder<T>(work: (run: (...args: string[]) => void, folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-chain-'))
  try {
    return work((...args) => void execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' }), folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** PEM of a server certificate that nobody else signed, and that may sign no other. */
export const selfSigned = (subjectAltName: string): string =>
  inFolder((run, folder) => {
    const uses = ['basicConstraints=critical,CA:FALSE', 'keyUsage=critical,digitalSignature']
    const extensions = [...uses, `subjectAltName=${subjectAltName}`].flatMap((one) => ['-addext', one])
    run('req', '-x509', ...ec, '-keyout', 'key', '-out', 'cert', '-subj', '/CN=alone', '-days', '30', ...extensions)
    return readFileSync(join(folder, 'cert'), 'utf8')
  })

/** PEM of a certificate, of the authority that signed it, and of the one that signed that. */
export const signedBetween = (
  subjectAltName: string,
): { readonly leaf: string; readonly between: string; readonly root: string } =>
  inFolder((run, folder) => {
    writeFileSync(join(folder, 'between.ext'), 'basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n')
    writeFileSync(join(folder, 'leaf.ext'), `subjectAltName=${subjectAltName}\n`)
    run('req', '-x509', ...ec, '-keyout', 'root.key', '-out', 'root.pem', '-subj', '/CN=root', '-days', '30')
    for (const [name, issuer] of [
      ['between', 'root'],
      ['leaf', 'between'],
    ] as const) {
      run('req', '-new', ...ec, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`)
      const by = ['-CA', `${issuer}.pem`, '-CAkey', `${issuer}.key`, '-CAcreateserial']
      run('x509', '-req', '-in', `${name}.csr`, ...by, '-out', `${name}.pem`, '-days', '30', '-extfile', `${name}.ext`)
    }
    const [leaf = '', between = '', root = ''] = ['leaf', 'between', 'root'].map((name) =>
      readFileSync(join(folder, `${name}.pem`), 'utf8'),
    )
    return { leaf, between, root }
  })
