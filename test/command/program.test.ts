import { execFile, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { verify } from '@node-rs/argon2'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { run } from '../support/command.ts'

let directory = ''
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gatehouse-command-'))
  await writeFile(
    join(directory, 'a.yaml'),
    'apiVersion: gatehouse.dev/v1alpha1\nkind: AuthPolicy\nmetadata: { namespace: shop, name: p }\nspec:\n  targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: cart }]\n  guset: { subject: a }\n',
  )
})
afterAll(() => rm(directory, { recursive: true, force: true }))

const atTerminal = `
import os, pty, sys
typing = sys.stdin.buffer.read()
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
shown = b''
try:
    while True:
        piece = os.read(terminal, 4096)
        if not piece: break
        shown += piece
        if typing and b': ' in shown:
            os.write(terminal, typing)
            typing = b''
except OSError:
    pass
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`

const off = [
  '--grpc-listen',
  'off',
  '--http-listen',
  '127.0.0.1:0',
  '--matching-listen',
  'off',
  '--admin-listen',
  'off',
]

describe('help', () => {
  it('tells commands and examples', async () => {
    const { code, output } = await run(['--help'])
    expect(code).toBe(0)
    expect(output).toMatch(/serve.*check.*hash.*Examples:/s)
  })
  it('tells every setting with its default and its variable', async () => {
    const { output } = await run(['serve', '--help'])
    expect(output.replaceAll(/\s+/g, ' ')).toContain(
      '--grpc-listen <host:port> Envoy ext_authz over gRPC, or "off". (default: 0.0.0.0:9001) [GATEHOUSE_GRPC_LISTEN]',
    )
  })
  it('prints its version', async () => {
    expect((await run(['--version'])).output).toBe('1.2.3\n')
  })
})

describe('bad command lines: one sentence, exit 2', () => {
  const table: readonly (readonly [string, readonly string[], Parameters<typeof run>[1], RegExp])[] = [
    ['an unknown command', ['sevre'], {}, /unknown command 'sevre'\s+\(Did you mean serve\?\)/],
    [
      'an unknown flag',
      ['serve', '--grpc-lisen', 'off'],
      {},
      /unknown option '--grpc-lisen'\s+\(Did you mean --grpc-listen\?\)/,
    ],
    [
      'a bad address',
      ['serve', '--http-listen', 'nine'],
      {},
      /'--http-listen <host:port>' argument 'nine' is invalid. Write host:port/,
    ],
    ['a bad number', ['serve', '--drain-wait', '-1'], {}, /Write a whole number/],
    ['a bad choice', ['serve', '--decision-log', 'some'], {}, /Write one of all, denied, off/],
    [
      'an unknown variable',
      ['serve', ...off],
      { environment: { GATEHOUSE_GRPC_LISTN: 'off' } },
      /GATEHOUSE_GRPC_LISTN is not a setting; did you mean "GATEHOUSE_GRPC_LISTEN"/,
    ],
    [
      'a bad variable',
      ['serve'],
      { environment: { GATEHOUSE_DRAIN_WAIT: 'x' } },
      /environment variable GATEHOUSE_DRAIN_WAIT is 'x', which is invalid. Write a whole number from 0 to 3600/,
    ],
    [
      'a variable that check does not know either',
      ['check'],
      { environment: { GATEHOUSE_TRUSTED_PROXY: '10.0.0.0/8' } },
      /GATEHOUSE_TRUSTED_PROXY is not a setting; did you mean "GATEHOUSE_TRUSTED_PROXIES"/,
    ],
    [
      'a bad variable of check',
      ['check'],
      { environment: { GATEHOUSE_TRUSTED_PROXIES: 'garbage' } },
      /GATEHOUSE_TRUSTED_PROXIES is 'garbage', which is invalid. "garbage" is no address and no CIDR block/,
    ],
    [
      'proxies that are no addresses, where nobody would ask them',
      ['serve', ...off, '--http-listen', 'off', '--trusted-proxies', 'garbage'],
      {},
      /'--trusted-proxies <cidr,...>' argument 'garbage' is invalid. "garbage" is no address/,
    ],
    ['the same for check', ['check', '--trusted-proxies', '10.0.0.0/33'], {}, /"10.0.0.0\/33" is no address/],
    ['proxies that are everybody', ['check', '--trusted-proxies', '0.0.0.0/0'], {}, /"0.0.0.0\/0" is everybody/],
    ['a budget below the margin', ['serve', '--grpc-budget', '19'], {}, /from 20 to 60000. 10 ms of them are kept/],
    ['the same over HTTP', ['check', '--http-budget', '10'], {}, /from 20 to 60000. 10 ms of them are kept/],
    [
      'a switch that is neither',
      ['serve'],
      { environment: { GATEHOUSE_GRPC_REFLECTION: 'yes' } },
      /GATEHOUSE_GRPC_REFLECTION is true or false, not "yes"/,
    ],
    ['half of TLS', ['serve', ...off, '--tls-cert', 'x.pem'], {}, /--tls-cert and --tls-key go together/],
    [
      'a certificate that is not there',
      ['serve', ...off, '--tls-cert', 'x.pem', '--tls-key', 'y.pem'],
      {},
      /[xy]\.pem cannot be read/,
    ],
    ['DEP-13 an old Node', ['serve', ...off], { node: '20.20.2' }, /Node\.js 20\.20\.2 has known vulnerabilities/],
  ]
  it.each(table)('%s', async (_, args, options, message) => {
    const { code, messages } = await run(args, options)
    expect(messages).toMatch(message)
    expect(messages).not.toMatch(/\n\s+at /)
    expect(code).toBe(2)
  })
  it.each(['grpc', 'http', 'matching', 'admin'])('a port in use, for %s', async (name) => {
    const holder = createServer().listen(0, '127.0.0.1')
    await new Promise((done) => holder.once('listening', done))
    const { port } = holder.address() as AddressInfo
    const { code, messages } = await run(['serve', directory, ...off, `--${name}-listen`, `127.0.0.1:${port}`])
    expect(messages).toContain(`cannot use 127.0.0.1:${port}: the port is taken; choose another with --${name}-listen`)
    expect(code).toBe(2)
    await new Promise((done) => holder.close(done))
  })
})

describe('check', () => {
  it('CFG-17 tells file, line, path, what and mend, and exits 1', async () => {
    const { code, output } = await run(['check', directory])
    expect(output).toContain(
      [
        'AuthPolicy shop/p',
        '  a.yaml:6: error: there is no key "guset" here [unknown-key]',
        '    at   spec.guset',
        '    mend did you mean "guest"?',
        '',
      ].join('\n'),
    )
    expect(code).toBe(1)
  })
  it.each([
    [
      'is not there',
      () => '/nowhere/at/all',
      'there is nothing at this path (ENOENT)',
      /mend make it, or name the dir/,
    ],
    ['is a file', () => join(directory, 'a.yaml'), 'this is no directory (ENOTDIR)', /mend name the directory that/],
  ])('tells of a directory that %s: path, cause and mend', async (_, place, why, mend) => {
    const { code, output } = await run(['check', place()])
    expect(output.replaceAll(/\n +/g, ' ')).toContain(
      `${place()} ${place()}: error: the directory cannot be read: ${why} [unreadable-source]`,
    )
    expect(output).toMatch(mend)
    expect(code).toBe(1)
  })
  it('is content with the shipped policies, and points out who lets everybody in', async () => {
    const { code, output } = await run(['check', 'policies'])
    expect(output).toMatch(/^\d+ rules protected, 0 refusing everything, \d+ notes? in \d+ objects?$/m)
    expect(output).not.toContain('error')
    expect(code).toBe(0)
  })
  it('prints a JSON schema', async () => {
    const { output } = await run(['check', '--schema'])
    expect(JSON.parse(output)).toMatchObject({
      type: 'object',
      properties: { spec: { properties: { targetRefs: { type: 'array' } } } },
    })
  })
})

describe('a reader that has seen enough', () => {
  it.each([
    ['check', 1],
    ['crd', 0],
    ['serve', 0],
  ])('ends %s with nothing but its exit code', async (command, code) => {
    const more = { check: [directory], crd: [], serve: ['--help'] }[command] ?? []
    const args = [command, ...more]
    const script = `{ "$0" src/main.ts "$@"; echo $? >&2; } | true`
    const { stderr } = await promisify(execFile)('sh', ['-c', script, process.execPath, ...args])
    expect(stderr).toBe(`${code}\n`)
  })
})

describe('hash', () => {
  it('makes a password line from standard input', async () => {
    const { code, output } = await run(['hash', 'password', '--user', 'ada'], { input: 'analytical-engine\n' })
    expect(output).toMatch(/^ada:\$argon2id\$v=19\$m=\d+,t=\d+,p=1\$/)
    expect(code).toBe(0)
  })
  it('makes a key and its line, and shows the key once', async () => {
    const { output, messages } = await run(['hash', 'key', '--generate', '--expires', '9999-01-31'])
    expect(output).toMatch(/^\$gatehouse-key\$/)
    expect(messages).toMatch(/shown this once: \S{30,}/)
    expect(output).not.toContain(/once: (\S+)/.exec(messages)?.[1])
  })
  it.each([
    ['nothing', ['hash', 'password'], '', /no password was given/],
    ['two lines', ['hash', 'password'], 'a\nb\n', /one line/],
    [
      'what is not UTF-8',
      ['hash', 'password'],
      Buffer.from('fffe', 'hex'),
      /^gatehouse: what was given is not UTF-8 text\n$/,
    ],
    ['half a character', ['hash', 'key'], Buffer.from('12345678\u20ac').subarray(0, -1), /is not UTF-8/],
    ['a colon in the user', ['hash', 'password', '--user', 'a:b'], 'x', /no colon/],
    ['a bad date', ['hash', 'key', '--generate', '--expires', 'soon'], '', /"soon" is not a date/],
    ['a date that is past', ['hash', 'key', '--generate', '--expires', '2020-01-31'], '', /"2020-01-31" is past/],
    ['a secret in the arguments', ['hash', 'password', 'hunter2'], '', /too many arguments/],
  ] as const)('refuses %s', async (_, args, input, message) => {
    const { code, messages } = await run(args, { input })
    expect(messages).toMatch(message)
    expect(code).toBe(2)
  })
})

describe('hash at a terminal', () => {
  /** A real one, by Python's `pty`: the script types what it is given once it is asked, and tells all that was shown. */
  const terminal = (typing: string, ...args: readonly string[]): Promise<{ shown: string; code: number }> =>
    new Promise((done, fail) => {
      const child = spawn('python3', ['-c', atTerminal, process.execPath, 'src/main.ts', 'hash', ...args])
      let shown = ''
      child.stdout.on('data', (chunk: Buffer) => (shown += chunk.toString('latin1')))
      child.on('error', fail).on('close', (code) => done({ shown, code: code ?? -1 }))
      child.stdin.end(Buffer.from(typing, 'utf8'))
    })

  it('asks twice, shows nothing of it, and makes a line that the password fits', async () => {
    const { shown, code } = await terminal('analytical engine\ranalytical engine\r', 'password', '--user', 'ada')
    expect(shown).toMatch(/^Password: \r\nPassword again: \r\nada:\$argon2id\$\S+\r\n$/)
    expect(code).toBe(0)
    expect(await verify(/\$argon2id\S+/.exec(shown)?.[0] ?? '', 'analytical engine')).toBe(true)
  })
  it('takes characters back, whole ones', async () => {
    const { shown } = await terminal('caf\u00e9\u007fe\u20ac\b\rcafe\r', 'password')
    expect(await verify(/\$argon2id\S+/.exec(shown)?.[0] ?? '', 'cafe')).toBe(true)
  })
  it.each([
    ['two different ones', 'one two three\rthree two one\r', /gatehouse: the two do not match\r\n$/],
    ['nothing', '\r\r', /gatehouse: no password was given\r\n$/],
    ['Ctrl-C', 'half\u0003', /Password: \r\ngatehouse: stopped\r\n$/],
  ])('refuses %s', async (_, typing, message) => {
    const { shown, code } = await terminal(typing, 'password')
    expect(shown).toMatch(message)
    expect(code).toBe(2)
  })
})

describe('serve', () => {
  it('tells which directory cannot be read and why, and waits for it', async () => {
    const { code, messages } = await run(['serve', '/nowhere/at/all', ...off], { stopAfter: /No rules yet/ })
    expect(messages).toContain(
      '/nowhere/at/all: error: the directory cannot be read: there is nothing at this path (ENOENT); make it',
    )
    expect(messages).toContain('waiting for the directory: until then every check is refused')
    expect(code).toBe(0)
  })
  it('says where it listens, what it protects and what to paste, and stops at a signal', async () => {
    const { code, messages } = await run(['serve', 'policies', ...off, '--decision-log', 'off'], {
      stopAfter: /Try:[^]*curl[^]*\n/,
    })
    expect(messages).toMatch(/HTTP +127\.0\.0\.1:\d+/)
    expect(messages).toContain('intranet/wiki/pages')
    expect(messages.match(/^ {2}curl -i .*http:\/\/127\.0\.0\.1:\d+\/v1\/check\/\S+$/gm)).toHaveLength(3)
    expect(messages).toContain('Stopping')
    expect(code).toBe(0)
  })
})
