import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hashSync } from '@node-rs/bcrypt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkDirectory } from '../../src/command/check.ts'
import { reportJson } from '../../src/command/show-report.ts'
import { defaultSettings } from '../../src/settings.ts'
import { scriptedServer } from '../support/authorization-server.ts'
import type { ScriptedServer } from '../support/authorization-server.ts'
import { rawToken, testKey } from '../support/jwt-bench.ts'
import { until } from '../support/program.ts'
import { basic, send } from '../support/send.ts'
import { attributes, checker } from '../transport/grpc/serving.ts'
import { policy, secret, startChild } from './child.ts'
import type { Child } from './child.ts'

/* Secrets that can be found again, sent through every method, right and wrong, over both protocols; then everything that came out is searched. */

const canary = 'cAnArY'
const key = testKey('k1')
const issuer = 'https://idp.example.com'
const claims = { iss: issuer, aud: 'cart', sub: 'ada', exp: 4_000_000_000, private: `${canary}claim` }
const jwt = rawToken({ alg: key.alg, kid: key.kid }, claims, key.key)
const expired = rawToken({ alg: key.alg, kid: key.kid }, { ...claims, exp: 1 }, key.key)
const passwords = { right: `${canary}-password-right`, wrong: `${canary}-password-wrong` }
const apiKey = `${canary}-api-key-0123456789abcdef`
const clientSecret = `${canary}-client-secret-0123456789`
const opaque = `${canary}-opaque-token`

/** Every spelling in which the canary and the tokens could come to light. */
const traces = [
  canary,
  Buffer.from(canary).toString('hex'),
  Buffer.from(passwords.right).toString('base64').slice(0, 12),
  Buffer.from(`ada:${passwords.right}`).toString('base64').slice(4, 24),
  Buffer.from(`gatehouse:${clientSecret}`).toString('base64').slice(16, 36),
  Buffer.from(JSON.stringify(claims)).toString('base64url').slice(0, 40),
  ...[jwt, expired].map((token) => token.slice(-40)),
  '$2b$04$',
].map((one) => one.toLowerCase())
const found = (text: string): readonly string[] => traces.filter((one) => text.toLowerCase().includes(one))

let folder = ''
let server: ScriptedServer
let child: Child
let logged = ''
let bodies = ''
let grpc: ReturnType<typeof checker>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-secrets-'))
  server = await scriptedServer()
  const places = 'credential: [{ header: x-api-key }, { cookie: session }, { query: access_key }]'
  const introspection = `introspection: { endpoint: "${server.url}/introspect", client: { id: gatehouse, secretRef: { name: client, key: secret } }, audiences: [cart], cache: { seconds: 0 } }`
  await writeFile(
    join(folder, 'all.yaml'),
    [
      secret('jwks', { 'jwks.json': JSON.stringify({ keys: [key.jwk] }) }),
      secret('users', { '.htpasswd': `ada:${hashSync(passwords.right, 4)}` }),
      secret('keys', { ada: apiKey }),
      secret('client', { secret: clientSecret }),
      policy(
        'basic',
        'authentication: [{ basic: { usersRef: { name: users } } }]\nunauthenticated: { respond: Challenge }',
      ),
      policy(
        'jwt',
        `authentication: [{ jwt: { issuer: "${issuer}", audiences: [cart], jwks: { ref: { name: jwks } } } }]\nresponse: { headers: [{ name: x-user, value: { cel: identity.subject } }] }`,
      ),
      policy('opaque', `authentication: [{ ${introspection} }]\nunauthenticated: { respond: Challenge }`),
      policy(
        'keys',
        `authentication: [{ apiKey: { ${places}, keysRef: { name: keys } } }]\nauthorization: [{ cel: "int(request.headers['x-api-key'][0]) > 0" }]`,
      ),
    ].join(''),
  )
  child = await startChild({
    directory: folder,
    settings: ['--decision-log=all'],
    onStdout: (text) => (logged += text),
  })
  grpc = checker(`127.0.0.1:${child.grpcPort}`)
}, 40_000)
afterAll(async () => {
  grpc?.close()
  await child?.stop()
  await server?.close()
  await rm(folder, { recursive: true, force: true })
})

const cookie = `other=${canary}-other; session=${apiKey}`
const cases: readonly (readonly [rule: string, path: string, headers: Readonly<Record<string, string>>])[] = [
  ['basic', '/', { authorization: basic('ada', passwords.right) }],
  ['basic', '/', { authorization: basic('ada', passwords.wrong) }],
  ['basic', '/', { authorization: basic(`${canary}-password-in-the-user-field`, 'x') }],
  ['basic', '/', { authorization: `Basic !!${canary}!!` }],
  ['jwt', '/', { authorization: `Bearer ${jwt}` }],
  ['jwt', '/', { authorization: `Bearer ${expired}` }],
  ['jwt', '/', { authorization: `Bearer ${jwt.slice(0, -4)}AAAA` }],
  ['jwt', '/', { authorization: `Bearer ${canary}` }],
  ['jwt', '/', { authorization: `Bearer ${jwt}, Bearer ${jwt}` }],
  ['opaque', '/', { authorization: `Bearer ${opaque}` }],
  ['keys', '/', { 'x-api-key': apiKey }],
  ['keys', '/', { 'x-api-key': `${canary}-wrong` }],
  ['keys', '/', { cookie }],
  ['keys', `/?access_key=${apiKey}`, {}],
  ['keys', `/?access_key=${apiKey}&access_key=${canary}`, { cookie }],
  ['keys', `/%2e%2e/${canary}?x=${canary}`, { 'x-forwarded-uri': `/${canary}`, referer: `https://u:${canary}@h/` }],
  ['none', `/${canary}`, { authorization: basic('ada', passwords.right), 'proxy-authorization': `Bearer ${canary}` }],
]

async function askAll(): Promise<void> {
  for (const [rule, path, headers] of cases) {
    const answer = await send({
      port: child.httpPort,
      path: `/v1/check/shop/${rule}/pay/-${path}`,
      headers: Object.entries(headers),
    })
    bodies += `${answer.status} ${answer.body} ${answer.all('www-authenticate').join()} ${answer.all('x-user').join()}\n`
    const keyed = { context_extensions: { namespace: 'shop', route: rule, rule: 'pay' } }
    bodies += `${JSON.stringify(await grpc.check(attributes({ path, headers }, keyed)))}\n`
  }
}

describe('OBS-01 no secret byte comes out', () => {
  it('of logs, metrics, messages or answers, whatever the issuer does', async () => {
    const replies = [
      { active: true, sub: 'ada', aud: 'cart', exp: 4_000_000_000, token: opaque },
      { active: false },
      { error: 'server_error', error_description: `${canary} ${clientSecret}` },
      { active: true, aud: ['other', canary], exp: Number.POSITIVE_INFINITY },
    ]
    for (const reply of replies) {
      server.say(reply)
      await askAll()
    }
    server.say((response) => response.writeHead(401, { 'www-authenticate': canary }).end(`not JSON ${clientSecret}`))
    await askAll()
    server.say((response) => response.destroy(new Error(clientSecret)))
    await askAll()
    const expected = cases.length * 2 * 6
    await until(
      () => logged.split('\n').length > expected,
      () => `${logged.split('\n').length} of ${expected} lines`,
    )
    const lines = logged
      .trim()
      .split('\n')
      .map((one) => JSON.parse(one) as { decision: string; reason?: string })
    expect(lines.filter(({ decision }) => decision === 'allow').length).toBeGreaterThan(12)
    expect(new Set(lines.map(({ reason }) => reason)).size).toBeGreaterThan(6)
    expect(server.calls.some(({ body }) => body.includes(canary))).toBe(true) // the secret did go where it belongs
    expect(found(logged)).toEqual([])
    expect(found(bodies)).toEqual([])
    const { body } = await send({ port: child.adminPort, path: `/metrics?${canary}` })
    expect(body).toContain('gatehouse_decisions_total')
    expect(found(body)).toEqual([])
  }, 30_000)

  it('of the messages about edits that break every Secret', async () => {
    const before = child.output().length
    await writeFile(
      join(folder, 'all.yaml'),
      [
        secret('jwks', { 'jwks.json': `{"keys": [${canary}` }),
        secret('users', { '.htpasswd': `ada:$2b$04$${canary}\n${canary}\nbob:{SHA}${canary}` }),
        secret('keys', { ada: `gatehouse-key:${canary}`, bob: canary, eve: `${canary} ${canary}` }),
        secret('client', {}),
        policy('basic', 'authentication: [{ basic: { usersRef: { name: users } } }]'),
        policy(
          'jwt',
          `authentication: [{ jwt: { issuer: "${issuer}", audiences: [cart], jwks: { ref: { name: jwks } } } }]`,
        ),
        policy('keys', 'authentication: [{ apiKey: { keysRef: { name: keys } } }]'),
      ].join(''),
    )
    await until(
      () => child.output().slice(before).includes('Policies read again'),
      () => child.output().slice(before),
    )
    expect(child.output().slice(before)).toMatch(/users|jwks|keys/)
    expect(found(child.output())).toEqual([])
  })

  it('DEP-15 of the environment and the arguments of the process', async () => {
    for (const file of ['environ', 'cmdline']) {
      expect(found(await readFile(`/proc/${child.pid}/${file}`, 'latin1'))).toEqual([])
    }
  })
})

describe('OBS-07 addresses that hold a credential are refused without being repeated', () => {
  const login = `https://user:${canary}-password@idp.example.com`
  it.each([
    [
      'of a key set',
      `authentication: [{ jwt: { issuer: "${issuer}", audiences: [a], jwks: { uri: "${login}/keys" } } }]`,
    ],
    ['of an issuer', `authentication: [{ jwt: { issuer: "${login}", audiences: [a], jwks: { discovery: true } } }]`],
    [
      'of an introspection endpoint',
      `authentication: [{ introspection: { endpoint: "${login}/i", client: { id: a, secretRef: { name: client, key: secret } }, audiences: [a] } }]`,
    ],
    [
      'in a query beside another fault',
      `authentication: [{ jwt: { issuer: "${issuer}", audiences: [a], jwks: { uri: "http://idp.example.com/keys?api_key=${canary}" } } }]`,
    ],
  ])('%s', async (_, spec) => {
    const place = await mkdtemp(join(tmpdir(), 'gatehouse-userinfo-'))
    await writeFile(join(place, 'a.yaml'), policy('a', spec) + secret('client', { secret: clientSecret }))
    const report = await checkDirectory(place, defaultSettings())
    const text = JSON.stringify(reportJson(report))
    await rm(place, { recursive: true })
    expect(report.findings.map(({ severity }) => severity)).toContain('error')
    expect(text).toMatch(/insecure-url|user information|https/)
    expect(found(text)).toEqual([])
  })
})
