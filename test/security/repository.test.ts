import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { authPolicyJsonSchema } from '../../src/policy/document.ts'
import { defaultSettings, settingOptions } from '../../src/settings.ts'
import { jwtBlock } from '../../src/authn/jwt-block.ts'
import { basic } from '../../src/authn/basic.ts'
import { root } from './child.ts'

/* What the repository's own files must and must not say. */

const read = (file: string): string => readFileSync(join(root, file), 'utf8')
const under = (folder: string, end: RegExp): readonly string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => end.test(name))
    .map((name) => join(folder, name))
const sources = under('src', /\.ts$/)
const running = [...sources, ...under('deploy', /\.(ya?ml|json|md|conf|cfg|sh)$/), 'Dockerfile', 'package.json']

describe('JWT-47 values that hold a secret are never compared byte by byte', () => {
  // A name that ends like a secret's, beside an operator or a method that stops at the first difference.
  const name = String.raw`[\w.]*(?:password|secret|digest|hash|mac|signature|token|credential|key)\b`
  const early = new RegExp(
    String.raw`(?:(?<left>${name}) (?:===|!==|==|!=) (?<right>[^\s)&|?;,]+))|(?:(?<other>[^\s(]+) (?:===|!==) (?<last>${name})(?![\w.(]))|${name}\.(?:equals|localeCompare|startsWith|includes)\((?!0\))|Buffer\.compare`,
    'i',
  )
  const harmless = /undefined|null|typeof|'[\da-zA-Z-]*'|\.length|kind|kid/
  // Looked at one by one: the form of a digest that stands in a file, and the name of a query parameter.
  const examined = ["if (bytes.toString('base64url') !== digest) return", '(key === name ? [value] : [])']
  const found = (text: string): readonly string[] =>
    text.split('\n').filter((line) => {
      const match = early.exec(line.replace(/\/\/.*/, ''))
      return match !== null && !harmless.test(match[0])
    })
  it('in src/authn', () => {
    const wrong = sources
      .filter((file) => file.startsWith('src/authn/'))
      .flatMap((file) => found(read(file)).map((line) => `${file}: ${line.trim()}`))
      .filter((line) => !examined.some((one) => line.includes(one)))
    expect(wrong).toEqual([])
  })
  it.each([
    'if (password === stored) return true',
    'return wanted !== digest',
    'if (mac.equals(other))',
    'return Buffer.compare(one, other) === 0',
    'const right = line.hash === computed',
  ])('would see: %s', (line) => {
    expect(found(line)).toHaveLength(1)
  })
  it('signatures and hashes are compared by node:crypto', () => {
    expect(read('src/authn/password/same-bytes.ts')).toContain('timingSafeEqual')
    expect(sources.filter((file) => read(file).includes('timingSafeEqual')).length).toBeGreaterThan(0)
  })
})

describe('CFG-23 defaults are the careful ones', () => {
  const settings = defaultSettings()
  it('settings loosen nothing', () => {
    expect(settings).toMatchObject({ allowHttpIssuers: false, allowOldNode: false, grpcReflection: false })
    expect(settings).toMatchObject({ envoyGatewayMetadata: false, adminListen: { host: '127.0.0.1' } })
  })
  it('nobody but this very machine is believed about forwarded headers', () => {
    expect(settings.trustedProxies).toEqual(['127.0.0.0/8', '::1/128'])
  })
  it('whatever loosens says so in its name, and there is no switch for certificates, expiry or audience', () => {
    const flags = settingOptions().map(({ option }) => option.long ?? '')
    expect(flags.filter((flag) => /insecure/.test(flag))).toEqual(['--insecure-http-issuers', '--insecure-old-node'])
    expect(flags.filter((flag) => /verify|skip|redirect|debug|expir|audience|allow/.test(flag))).toEqual([])
  })
  it('a jwt block takes asymmetric signatures only, and cannot do without audiences', () => {
    const block = jwtBlock.parse({ issuer: 'https://a.example', audiences: ['a'], jwks: { discovery: true } })
    expect(block.algorithms).toEqual(['RS256', 'PS256', 'ES256', 'EdDSA'])
    expect(block).toMatchObject({ clockSkewSeconds: 30, credential: [{ header: 'Authorization', scheme: 'Bearer' }] })
    expect(jwtBlock.safeParse({ issuer: 'https://a.example', jwks: { discovery: true } }).success).toBe(false)
  })
  it('a basic block takes neither DES crypt nor plain text', () => {
    expect(basic.schema.parse({ usersRef: { name: 'users' } })).toMatchObject({
      allowDesCrypt: false,
      allowPlaintext: false,
    })
  })
  it('a policy enforces, refuses ambiguous paths, and has no guest', () => {
    const { properties } =
      (authPolicyJsonSchema()['properties'] as Record<string, { properties: object }>)['spec'] ?? {}
    expect(properties).toMatchObject({
      mode: { default: 'Enforce' },
      ambiguousPath: { default: 'Deny' },
      preflight: { default: 'Authenticate' },
      authentication: { default: [] },
    })
  })
})

describe('OBS-08 there is no level at which the log tells more', () => {
  it('no setting raises it, and none of its words is a level', () => {
    const flags = settingOptions().map(({ option }) => option.long ?? '')
    expect(flags.filter((flag) => /level|verbose|trace|debug/.test(flag))).toEqual([])
    expect(
      settingOptions()
        .find(({ option }) => option.long === '--decision-log')
        ?.option.parseArg?.('all', ''),
    ).toBe('all')
  })
  it('the only logger is the decision log, and it has one thing to say', () => {
    expect(sources.filter((file) => /from 'pino'/.test(read(file)))).toEqual(['src/log.ts'])
    expect(read('src/log.ts').match(/logger\.\w+\(/g)).toEqual(['logger.info('])
    expect(sources.filter((file) => /console\.|debuglog|logger: true/.test(read(file)))).toEqual([])
  })
})

it('OBS-11 nothing turns on reports, heap dumps, profiles or the inspector', () => {
  const tells =
    /--(?:diagnostic-)?report-(?:on|uncaught|signal|fatal)|--heap|--inspect|--prof|--cpu-prof|writeHeapSnapshot|writeReport|node:inspector|--abort-on/
  expect(running.filter((file) => tells.test(read(file)))).toEqual([])
})

it('DEP-14 nothing relies on the permission model of Node', () => {
  expect(
    running.filter((file) => /--(?:experimental-)?permission|--allow-fs|process\.permission/.test(read(file))),
  ).toEqual([])
})

describe('DEP-15 secrets come as mounted files', () => {
  it('no setting takes one: what is not a switch, a number or a place is a file', () => {
    const secretive = settingOptions().filter(({ option }) =>
      /secret|password|token|key|credential/.test(option.long ?? ''),
    )
    expect(secretive.map(({ option }) => option.flags)).toEqual(['--tls-key <file>'])
  })
  it('no field of a policy takes one: they name Secrets', () => {
    const names: string[] = []
    const walk = (node: unknown): void => {
      if (typeof node !== 'object' || node === null) return
      for (const [name, value] of Object.entries(node)) {
        if (name === 'properties') names.push(...Object.keys(value as object))
        walk(value)
      }
    }
    walk(authPolicyJsonSchema())
    const secretive = new Set(names.filter((name) => /secret|password|passphrase|private/i.test(name)))
    expect([...secretive]).toEqual(['secretRef'])
  })
  it('src reads the environment at its door only', () => {
    expect(sources.filter((file) => /process\.env/.test(read(file)))).toEqual(['src/main.ts'])
  })
})

it('NRM-29 the README says which path is judged where a gateway rewrites', () => {
  expect(read('README.md')).toMatch(/the path that is judged is the one that the gateway tells/i)
})

describe('DEP-11 in part: what is shipped', () => {
  it('is listed whole by the software bill of materials that npm makes', () => {
    // With --omit=dev it leaves out packages that a development dependency needs too, jose among them.
    const flags = ['sbom', '--sbom-format=cyclonedx', '--package-lock-only']
    const text = execFileSync('npm', flags, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    const { components } = JSON.parse(text) as { components: { name: string; group?: string; version: string }[] }
    const listed = new Set(
      components.map(({ group, name, version }) => `${group === undefined ? '' : `${group}/`}${name}@${version}`),
    )
    const { packages } = JSON.parse(read('package-lock.json')) as {
      packages: Record<string, { version: string; dev?: boolean; devOptional?: boolean; optional?: boolean }>
    }
    const atRunTime = Object.entries(packages).flatMap(([path, { version, dev, devOptional, optional }]) =>
      path === '' || dev === true || devOptional === true || optional === true
        ? []
        : `${path.replace(/^.*node_modules\//, '')}@${version}`,
    )
    expect(atRunTime.length).toBeGreaterThan(50)
    expect(atRunTime.filter((one) => !listed.has(one))).toEqual([])
  }, 60_000)
  it('is the same to the byte, built twice', async () => {
    const place = await mkdtemp(join(tmpdir(), 'gatehouse-build-'))
    const digests = ['one', 'two'].map((name) => {
      const folder = join(place, name)
      // Types are checked elsewhere: what is asked is what comes out.
      execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', 'src/tsconfig.json', '--noCheck', '--outDir', folder], {
        cwd: root,
      })
      const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted()
      const hash = createHash('sha256')
      for (const file of files.filter((one) => one.endsWith('.js')))
        hash.update(file).update(readFileSync(join(folder, file)))
      return [files.length > 100, hash.digest('hex')]
    })
    await rm(place, { recursive: true })
    expect(digests[0]?.[0]).toBe(true)
    expect(digests[1]).toEqual(digests[0])
  }, 60_000)
})

describe('DEP-12 in part: what a Scorecard finds in files', () => {
  const tracked = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' }).split('\0').filter(Boolean)
  it('a licence, a security policy with a way to report, and one command for continuous integration', () => {
    expect(read('LICENSE')).toContain('Apache License')
    expect(read('SECURITY.md')).toMatch(/## Reporting[^]*privately/)
    expect(read('.ci/run')).toMatch(/^npm ci[^]*^npm test/m)
  })
  it('no program in binary form', () => {
    const binary = tracked.filter((file) => /\.(exe|dll|so|dylib|node|wasm|jar|class|o|a|pyc|whl|tgz|zip)$/.test(file))
    expect(binary).toEqual([])
    const executable = tracked.filter(
      (file) =>
        existsSync(join(root, file)) && readFileSync(join(root, file)).subarray(0, 4).toString('latin1') === '\x7fELF',
    )
    expect(executable).toEqual([])
  })
  it('fuzzing by properties', () => {
    expect(
      tracked.filter(
        (file) => /^test\/.*\.ts$/.test(file) && existsSync(join(root, file)) && /from 'fast-check'/.test(read(file)),
      ).length,
    ).toBeGreaterThan(5)
  })
  it('dangerous workflows and wide tokens: none, for there are no workflows but one script', () => {
    expect(tracked.filter((file) => /^\.(github|gitlab|circleci)/.test(file))).toEqual([])
  })
})

describe('DEP-03 in part: the image', () => {
  const text = read('Dockerfile')
  const stages = text.split(/^FROM /m).slice(1)
  const last = stages.at(-1) ?? ''
  it('is built on an exact version, never on latest', () => {
    expect(stages.length).toBeGreaterThan(1)
    for (const stage of stages)
      expect(stage.split(/\s/)[0]).toMatch(/^[^:\s]+:\d+\.\d+\.\d+[-\w.]*(@sha256:[0-9a-f]{64})?$/)
  })
  it('has no package manager of Node in its last stage, and runs as nobody', () => {
    for (const name of ['npm', 'npx', 'corepack', 'yarn']) expect(last).toMatch(new RegExp(`rm -rf [^\\n]*${name}`))
    expect(last).toMatch(/^USER 65532:65532$/m)
    expect(last).not.toMatch(/npm (ci|install|run)|apt-get|curl|^ADD /m)
  })
  it('starts without a shell', () => {
    expect(last).toMatch(/^ENTRYPOINT \[/m)
    expect(last).toMatch(/^CMD \[/m)
    expect(last).toMatch(/HEALTHCHECK[^[]*CMD \[/)
  })
  it('takes no secret at build time', () => {
    expect(text).not.toMatch(/^ARG|^ENV (?!NODE_ENV=production$)/m)
  })
})

describe('DEP-10 in part: what is installed', () => {
  interface Package {
    readonly version?: string
    readonly integrity?: string
    readonly resolved?: string
    readonly dev?: boolean
    readonly optional?: boolean
    readonly link?: boolean
  }
  const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, Package> }
  const all = Object.entries(packages).filter(([path]) => path !== '')
  const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string>>
  it('is known by SHA-512 to the last byte', () => {
    expect(all.length).toBeGreaterThan(100)
    expect(all.filter(([, one]) => !/^sha512-[\w+/]{86}==$/.test(one.integrity ?? '')).map(([path]) => path)).toEqual(
      [],
    )
  })
  it('comes from a registry: nothing by git, http, file or link', () => {
    const odd = all.filter(
      ([, { resolved = 'https://', link }]) =>
        link === true || !resolved.startsWith('https://') || /git/.test(resolved),
    )
    expect(odd.map(([path]) => path)).toEqual([])
    const ranges = ['dependencies', 'devDependencies'].flatMap((kind) => Object.entries(manifest[kind] ?? {}))
    expect(ranges.filter(([, range]) => !/^[\^~]?\d+\.\d+\.\d+$/.test(range))).toEqual([])
  })
  it('is no more at run time than we can watch', () => {
    expect(Object.keys(manifest['dependencies'] ?? {}).length).toBeLessThanOrEqual(22)
    const atRunTime = all.filter(([, { dev, optional }]) => dev !== true && optional !== true)
    expect(atRunTime.length).toBeLessThanOrEqual(180)
  })
  it('the image runs no script of a package', () => {
    expect(
      read('Dockerfile')
        .match(/npm (ci|install|prune)[^&\n]*/g)
        ?.every((one) => one.includes('--ignore-scripts')),
    ).toBe(true)
  })
})
