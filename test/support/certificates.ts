import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A certificate authority of this run alone, and what it signs. */
export interface Authority {
  readonly ca: string
  readonly issue: (subjectAltName: string, lifetime?: Lifetime) => { readonly key: string; readonly cert: string }
}

/** `YYMMDDHHMMSSZ` */
export interface Lifetime {
  readonly from: string
  readonly until: string
}

export const opensslMissing = spawnSync('openssl', ['version']).status !== 0

/** Makes an authority in a temporary folder with the openssl command (apt-get install openssl). */
export function authority(): Authority {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-ca-'))
  const run = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  }
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text)
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8')
  write('index.txt', '')
  write('serial', '01')
  write(
    'ca.cnf',
    '[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n',
  )
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  run('req', '-x509', ...ec, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=test authority', '-days', '30')
  let count = 0
  return {
    ca: read('ca.pem'),
    issue: (subjectAltName, lifetime = { from: '200101000000Z', until: '491231235959Z' }) => {
      const name = `leaf${(count += 1)}`
      write(`${name}.ext`, `subjectAltName=${subjectAltName}\n`)
      run('req', '-new', ...ec, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`)
      const dates = ['-startdate', lifetime.from, '-enddate', lifetime.until]
      const io = ['-in', `${name}.csr`, '-out', `${name}.pem`, '-extfile', `${name}.ext`]
      run('ca', '-batch', '-config', 'ca.cnf', '-cert', 'ca.pem', '-keyfile', 'ca.key', ...dates, ...io)
      return { key: read(`${name}.key`), cert: read(`${name}.pem`) }
    },
  }
}
