import { afterEach, describe, expect, it } from 'vitest'
import { createEndpointDiscovery, metadataUrls } from '../../src/authn/endpoint-discovery.ts'
import type { EndpointDiscovery } from '../../src/authn/endpoint-discovery.ts'
import { createHttpClient } from '../../src/authn/http-client.ts'
import { httpServer, sendJson } from '../support/local-server.ts'
import type { LocalServer } from '../support/local-server.ts'

const open: (() => unknown)[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((close) => close()))
})

type Documents = Record<string, unknown>

async function idp(): Promise<LocalServer & { documents: Documents; paths: string[] }> {
  const documents: Documents = {}
  const paths: string[] = []
  const server = await httpServer((request, response) => {
    const path = request.url ?? ''
    paths.push(path)
    const document = documents[path]
    if (document === undefined) response.writeHead(404).end()
    else if (document !== hang) sendJson(response, document)
  })
  open.push(server.close)
  return { ...server, documents, paths }
}
const hang = Symbol('never answers')

function discovery(times = {}): EndpointDiscovery {
  const http = createHttpClient()
  const all = { refresh: 60_000, backoff: 60_000, longestBackoff: 60_000, timeout: 300, ...times }
  const made = createEndpointDiscovery(http, all, () => 0.5)
  open.push(made.close, http.close)
  return made
}

const path = '/.well-known/openid-configuration'
const soon = { refresh: 20, backoff: 20, longestBackoff: 20 }

describe('discovery', () => {
  it('finds the endpoint, while the first asker waits, and then without waiting', async () => {
    const server = await idp()
    server.documents[path] = { issuer: server.url, introspection_endpoint: `${server.url}/introspect` }
    const source = discovery().acquire(server.url)
    expect(await source.current()).toBe(`${server.url}/introspect`)
    expect(source.current()).toBe(`${server.url}/introspect`)
  })

  it('looks where OpenID Connect puts it, then where RFC 8414 does', async () => {
    const server = await idp()
    const issuer = `${server.url}/tenant`
    server.documents['/.well-known/oauth-authorization-server/tenant'] = {
      issuer,
      introspection_endpoint: `${server.url}/i`,
    }
    expect(await discovery().acquire(issuer).current()).toBe(`${server.url}/i`)
    expect(server.paths).toEqual(['/tenant' + path, '/.well-known/oauth-authorization-server/tenant'])
  })

  it.each([
    [
      'https://idp.example.com',
      [
        'https://idp.example.com/.well-known/openid-configuration',
        'https://idp.example.com/.well-known/oauth-authorization-server',
      ],
    ],
    [
      'https://idp.example.com/',
      [
        'https://idp.example.com/.well-known/openid-configuration',
        'https://idp.example.com/.well-known/oauth-authorization-server',
      ],
    ],
    [
      'https://idp.example.com/a/b',
      [
        'https://idp.example.com/a/b/.well-known/openid-configuration',
        'https://idp.example.com/.well-known/oauth-authorization-server/a/b',
      ],
    ],
  ])('the addresses of %s', (issuer, expected) => {
    expect(metadataUrls(issuer)).toEqual(expected)
  })

  const refused: readonly (readonly [string, (url: string) => unknown])[] = [
    ['INT-19 another issuer', (url) => ({ issuer: `${url}/`, introspection_endpoint: `${url}/i` })],
    ['INT-19 no issuer', (url) => ({ introspection_endpoint: `${url}/i` })],
    [
      'INT-19 an endpoint on another host',
      (url) => ({ issuer: url, introspection_endpoint: 'https://other.example.com/i' }),
    ],
    ['INT-19 an endpoint on another port', (url) => ({ issuer: url, introspection_endpoint: 'http://127.0.0.1:1/i' })],
    ['INT-19 a link-local endpoint', (url) => ({ issuer: url, introspection_endpoint: 'https://169.254.169.254/i' })],
    ['INT-19 an endpoint over http', (url) => ({ issuer: url, introspection_endpoint: 'http://idp.example.com/i' })],
    ['no endpoint', (url) => ({ issuer: url })],
    ['an endpoint that is no text', (url) => ({ issuer: url, introspection_endpoint: [`${url}/i`] })],
    ['a list', (url) => [{ issuer: url, introspection_endpoint: `${url}/i` }]],
    ['a server that hangs', () => hang],
  ]
  it.each(refused)('refuses %s', async (_, document) => {
    const server = await idp()
    server.documents[path] = document(server.url)
    const source = discovery().acquire(server.url)
    expect(await source.current()).toBeUndefined()
    expect(source.current()).toBeUndefined()
  })

  it('INT-19 keeps the last good one through an outage and a document that lies, and takes a new one', async () => {
    const server = await idp()
    server.documents[path] = { issuer: server.url, introspection_endpoint: `${server.url}/one` }
    const source = discovery(soon).acquire(server.url)
    expect(await source.current()).toBe(`${server.url}/one`)
    delete server.documents[path]
    await expect.poll(() => server.paths.length).toBeGreaterThan(3)
    expect(source.current()).toBe(`${server.url}/one`)
    server.documents[path] = { issuer: server.url, introspection_endpoint: 'https://evil.example.com/' }
    const before = server.paths.length
    await expect.poll(() => server.paths.length).toBeGreaterThan(before + 2)
    expect(source.current()).toBe(`${server.url}/one`)
    server.documents[path] = { issuer: server.url, introspection_endpoint: `${server.url}/two` }
    await expect.poll(() => source.current()).toBe(`${server.url}/two`)
  })

  it('finds an issuer that was down at the start', async () => {
    const server = await idp()
    const source = discovery(soon).acquire(server.url)
    expect(await source.current()).toBeUndefined()
    server.documents[path] = { issuer: server.url, introspection_endpoint: `${server.url}/i` }
    await expect.poll(async () => source.current()).toBe(`${server.url}/i`)
  })

  it('shares one upkeep, and ends it with its last user', async () => {
    const server = await idp()
    server.documents[path] = { issuer: server.url, introspection_endpoint: `${server.url}/i` }
    const all = discovery(soon)
    const [first, second] = [all.acquire(server.url), all.acquire(server.url)]
    await Promise.all([first.current(), second.current()])
    expect(server.paths.length).toBe(1)
    first.release()
    first.release()
    await expect.poll(() => server.paths.length).toBeGreaterThan(2)
    second.release()
    await new Promise((done) => setTimeout(done, 30))
    const ended = server.paths.length
    await new Promise((done) => setTimeout(done, 100))
    expect(server.paths.length).toBe(ended)
  })
})
