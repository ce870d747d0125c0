import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { styleText } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { check, checkDirectory } from '../../src/command/check.ts'
import type { CheckReport } from '../../src/command/check.ts'
import { pageOf, reportJson, showReport } from '../../src/command/show-report.ts'
import { untrustedSourceHint } from '../../src/command/untrusted-source.ts'
import { deny } from '../../src/model/decision.ts'
import { showPath } from '../../src/model/result.ts'
import { defaultSettings } from '../../src/settings.ts'
import { readDirectory } from '../../src/source/files.ts'
import { run } from '../support/command.ts'
import { request } from '../support/make.ts'

/* What `gatehouse check` says of a world in which a dozen things and more are wrong. */

const messy = 'test/command/messy'
const us = { namespace: 'gatehouse', name: 'gatehouse', ports: { grpc: 9001, http: 9002, matching: 9003 } }

const reports: Record<string, CheckReport> = {}
beforeAll(async () => {
  reports['a directory'] = await checkDirectory(messy, defaultSettings())
  reports['a cluster'] = await check(await readDirectory(messy), defaultSettings(), us)
})

const report = (name: string): CheckReport => {
  const one = reports[name]
  if (one === undefined) throw new Error(`no report of ${name}`)
  return one
}

const page = { width: 120, paint: (_: unknown, text: string): string => text }

describe.each(['a directory', 'a cluster'])('%s', (name) => {
  it('says each thing once', () => {
    const said = report(name).findings.map(
      ({ code, object, path, say }) => `${code} ${object} ${showPath(path)}: ${say}`,
    )
    expect(said.toSorted()).toEqual([...new Set(said)].toSorted())
    const places = report(name).findings.map(({ code, object, path }) => `${code} ${object} ${showPath(path)}`)
    expect(places.toSorted()).toEqual([...new Set(places)].toSorted())
  })

  it('tells a duplicate rule in one place, with the YAML that mends it, though compiler and doctor both see it', () => {
    const found = report(name).findings.filter(({ code }) => code === 'duplicate-rule')
    expect(found.map(({ path, fix }) => [showPath(path), fix])).toEqual([
      ['spec.rules[1].name', expect.stringContaining('name: pay-2')],
    ])
  })

  it('looks at the first of two objects of one name only', () => {
    const of = (object: string, code: string) =>
      report(name).findings.filter((one) => one.object === object && one.code === code)
    expect(of('HTTPRoute shop/twice', 'duplicate-object')).toHaveLength(1)
    expect(of('HTTPRoute shop/cart', 'shadowed-rule').length).toBeLessThanOrEqual(4)
  })

  it('names file, line, place and mend of everything', () => {
    for (const { code, file, line, path, say } of report(name).findings) {
      expect([code, file]).toEqual([code, expect.stringMatching(/^(policies|routes)\.yaml$/)])
      expect(line).toBeGreaterThan(0)
      expect(path.length).toBeGreaterThan(0)
      expect(say).not.toMatch(/…|undefined|\[object/)
    }
  })

  it('keeps one object together, and its findings in the order of its lines', () => {
    const names = report(name).findings.map(({ object }) => object)
    expect(names.filter((one, index) => one !== names[index - 1])).toEqual([...new Set(names)])
    for (const ofObject of Map.groupBy(report(name).findings, ({ object }) => object).values()) {
      const lines = ofObject.map(({ line }) => line ?? 0)
      expect(lines).toEqual(lines.toSorted((one, other) => one - other))
    }
  })

  it.each([80, 120, 160])('fits into %i columns, but for words and YAML that are longer', (width) => {
    const lines = showReport(report(name), { ...page, width })
    const long = lines.filter(
      (line) => line.length > width && / at {3}|\S+ \S+/.test(line.trim()) && !/^ {9}/.test(line),
    )
    expect(long.filter((line) => line.trim().split(' ').length > 2)).toEqual([])
  })

  it('shows a YAML once for an object, and counts everything at the end', () => {
    const lines = showReport(report(name), page)
    const keys = lines.filter((line) => line.trim() === 'path: /v1/ngf/shop/cart/audit')
    expect(keys).toHaveLength(1)
    expect(lines.at(-1)).toMatch(
      /^\d+ rules? protected, \d+ refusing everything, \d+ errors, \d+ warnings, \d+ notes in \d+ objects$/,
    )
  })
})

describe('what a directory and a cluster have to be told', () => {
  const codes = (name: string): ReadonlySet<string> => new Set(report(name).findings.map(({ code }) => code))
  it('is a dozen things and more', () => {
    expect([...codes('a directory')].toSorted()).toEqual([
      'answer-not-passed',
      'bad-cel',
      'computed-request-header',
      'duplicate-object',
      'duplicate-rule',
      'empty-response-headers',
      'filter-without-policy',
      'foreign-path',
      'forwarded-body',
      'missing-app-protocol',
      'missing-grant',
      'missing-path',
      'missing-reference',
      'missing-request-header',
      'missing-response-header',
      'policy-without-filter',
      'shadowed-rule',
      'short-timeout',
      'unknown-kind',
      'unknown-target',
      'unnamed-rule',
      'unsafe-response-header',
      'untrusted-gateway',
      'wrong-port',
      'wrong-protocol',
    ])
  })
  it('a rule that a finding is about is not told again among those that refuse everything', () => {
    const lines = showReport(report('a directory'), page)
    const refusing = lines.slice(lines.indexOf('Refusing everything:') + 1, -2)
    expect(refusing).toEqual([
      "  shop/cart/open: the rule's policy cannot be used [broken-policy]",
      "  shop/nowhere/_: the rule's policy cannot be used [broken-policy]",
      "  shop/elsewhere/_: the rule's policy cannot be used [broken-policy]",
    ])
  })
})

describe('the command', () => {
  it('prints JSON with stable fields', async () => {
    const { code, output } = await run(['check', messy, '--output', 'json'])
    const read: unknown = JSON.parse(output)
    expect(read).toEqual(JSON.parse(JSON.stringify(reportJson(report('a directory')))))
    expect(read).toMatchObject({
      findings: expect.arrayContaining([
        {
          severity: 'error',
          code: 'duplicate-rule',
          object: 'HTTPRoute shop/cart',
          file: 'routes.yaml',
          line: expect.any(Number),
          path: 'spec.rules[1].name',
          message: 'several rules are named "pay"; all of them are refused',
          mend: 'give each rule a name of its own',
          yaml: '# HTTPRoute shop/cart: spec.rules[1].name\nname: pay-2\n',
        },
      ]),
      rules: { protected: 1, refusing: expect.arrayContaining([{ rule: 'shop/cart/pay', reason: 'duplicate-rule' }]) },
      summary: { errors: expect.any(Number), warnings: expect.any(Number), notes: expect.any(Number) },
    })
    expect(code).toBe(1)
  })

  it.each([
    ['0 where nothing is an error', ['check', 'policies'], 0],
    ['0 for the same as JSON', ['check', 'policies', '--output', 'json'], 0],
    ['1 where something is', ['check', messy], 1],
    ['2 for a form that there is not', ['check', messy, '--output', 'xml'], 2],
    ['2 for a block of everybody', ['check', messy, '--no-such-flag'], 2],
  ])('ends with %s', async (_, args, code) => {
    expect((await run(args)).code).toBe(code)
  })

  it.each([
    ['nobody says', [], {}, 'warning'],
    ['a flag says so', ['--trusted-proxies=127.0.0.1,10.0.0.0/8'], {}, undefined],
    ['the environment says so, as for serve', [], { GATEHOUSE_TRUSTED_PROXIES: '10.0.0.0/8' }, undefined],
    ['a flag says that nobody else is', ['--trusted-proxies=127.0.0.1,::1'], {}, 'error'],
  ])('knows whose headers are believed: %s', async (_, args, environment, severity) => {
    const { output } = await run(['check', messy, '--output=json', ...args], { environment })
    const { findings } = JSON.parse(output) as { findings: { code: string; severity: string }[] }
    expect(findings.find(({ code }) => code === 'untrusted-gateway')?.severity).toBe(severity)
  })

  it('takes a directory although the environment of the service says --kubernetes', async () => {
    const { code, output } = await run(['check', 'policies'], { environment: { GATEHOUSE_KUBERNETES: 'true' } })
    expect(output).toContain('rules protected')
    expect(code).toBe(0)
  })
})

describe('what the report of small directories says', () => {
  const route = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { namespace: shop, name: cart }
spec: { rules: [{ name: pay }] }
`
  const policyOf = (spec: string): string => `apiVersion: gatehouse.dev/v1alpha1
kind: AuthPolicy
metadata: { namespace: shop, name: pay }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: cart }]
${spec}
`
  async function said(files: Readonly<Record<string, string>>): Promise<readonly string[]> {
    const directory = await mkdtemp(join(tmpdir(), 'gatehouse-check-'))
    try {
      for (const [name, text] of Object.entries({ 'route.yaml': route, ...files })) {
        await writeFile(join(directory, name), text)
      }
      const { findings } = await checkDirectory(directory, defaultSettings())
      return findings.map(({ severity, code, path, say }) => `${severity} ${code} ${showPath(path)}: ${say}`)
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  }
  const basic = policyOf('  authentication: [{ basic: { usersRef: { name: staff } } }]')
  const secret = (data: string): string =>
    `apiVersion: v1\nkind: Secret\nmetadata: { namespace: shop, name: staff }\n${data}\n`

  it.each([
    ['texts', 'stringData:\n  .htpasswd: |\n    # staff\n    ada', 5],
    ['bytes', `data:\n  x: eA==\n  .htpasswd: ${Buffer.from('# staff\nada').toString('base64')}`, 6],
  ])('a bad line of a password file is told with its Secret, entry, line and file, of %s', async (_, data, line) => {
    expect(await said({ 'policy.yaml': basic, 'staff.yaml': secret(data) })).toContain(
      'error bad-password-line spec.authentication[0].basic.usersRef: ' +
        `Secret shop/staff .htpasswd (staff.yaml:${line}), line 2 has no colon`,
    )
  })

  it.each([
    [{ cel: 'true' }, true],
    [{ cel: "request.method in ['GET', 'HEAD'] || identity.method == 'staff'" }, true],
    [{ cel: "identity.subject == 'anybody'" }, true],
    [{ cel: "request.host == 'localhost'" }, true],
    [{ cel: "request.method == 'POST'" }, false],
    [{ cel: "request.headers['x-team'] == 'a'" }, false],
    [{ kubernetes: { verb: 'get', resource: 'pods' } }, false],
  ])('a guest with %j: lets everybody in: %s', async (condition, open) => {
    const policy = policyOf(
      `  guest: { subject: anybody }\n  authorization: [{ cel: 'true' }, ${JSON.stringify(condition)}]`,
    )
    const say = 'at shop/cart/pay its conditions hold for a plain GET of /'
    const note = `note allows-everybody spec.guest: lets in everybody who presents no credential: ${say}`
    expect((await said({ 'policy.yaml': policy })).filter((one) => one.startsWith('note allows'))).toEqual(
      open ? [note] : [],
    )
  })
})

describe('colours', () => {
  const streams = (terminal: boolean): PassThrough =>
    Object.assign(new PassThrough(), { isTTY: terminal, columns: 90, getColorDepth: () => 8 })
  it('are for terminals only', () => {
    const text = (terminal: boolean): string => showReport(report('a directory'), pageOf(streams(terminal))).join('\n')
    expect(text(true)).toContain(styleText(['red', 'bold'], 'error', { validateStream: false }))
    expect(text(true).replaceAll(/\x1b\[\d+m/g, '')).toContain('HTTPRoute shop/cart\n  routes.yaml:')
    expect(text(false)).not.toContain('\x1b')
  })
  it('a terminal is as wide as it says, and no wider than can be read', () => {
    expect(pageOf(streams(true)).width).toBe(90)
    expect(pageOf(Object.assign(new PassThrough(), { columns: 400 })).width).toBe(160)
    expect(pageOf(new PassThrough()).width).toBe(120)
  })
})

describe('a gateway that is not trusted, in the log of serve', () => {
  const refused = (source: string | undefined) => ({
    decision: deny('untrusted-source'),
    request: { ...request(), via: 'ngf' as const, source },
  })
  it.each([
    ['10.244.1.17', '--trusted-proxies=127.0.0.0/8,10.244.1.17/32,'],
    ['fd00::1', '--trusted-proxies=127.0.0.0/8,fd00::1/128,'],
    [undefined, '--trusted-proxies=127.0.0.0/8,10.244.0.0/16,'],
  ])('%s is told once, with the flag', (source, flag) => {
    const said: string[] = []
    const hint = untrustedSourceHint(['127.0.0.0/8'], (line) => said.push(line))
    hint({ decision: deny('no-credential'), request: request() })
    expect(said).toEqual([])
    hint(refused(source))
    hint(refused('192.0.2.1'))
    expect(said).toEqual([expect.stringContaining(flag)])
  })
})
