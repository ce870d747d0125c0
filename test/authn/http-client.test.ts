import { once } from 'node:events'
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { createHttpClient, HttpFailure } from '../../src/authn/http-client.ts'
import type { HttpAsk, HttpClient, HttpClientOptions, HttpFailureKind } from '../../src/authn/http-client.ts'
import { authority, opensslMissing } from '../support/certificates.ts'
import { bodyOf, httpServer, httpsServer, listen } from '../support/local-server.ts'
import type { LocalServer } from '../support/local-server.ts'

const open: { close: () => Promise<void> }[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()))
})

const kept = <T extends { close: () => Promise<void> }>(one: T): T => {
  open.push(one)
  return one
}
const client = (options: HttpClientOptions = {}): HttpClient => kept(createHttpClient(options))
const serve = async (...given: Parameters<typeof httpServer>): Promise<LocalServer> => kept(await httpServer(...given))

const ask = (url: string, more: Partial<HttpAsk> = {}): HttpAsk => ({
  url,
  method: 'GET',
  maxBytes: 65_536,
  timeout: 300,
  ...more,
})

async function failureOf(promise: Promise<unknown>): Promise<HttpFailure> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(HttpFailure)
  return error as HttpFailure
}

function drip(response: ServerResponse): void {
  response.writeHead(200)
  const timer = setInterval(() => response.write(' '), 50)
  response.on('close', () => clearInterval(timer))
}

function flood(response: ServerResponse): void {
  const more = (): void => {
    while (!response.destroyed && response.write(Buffer.alloc(65_536, 32)));
  }
  response.writeHead(200).on('drain', more)
  more()
}

describe('an exchange', () => {
  it('brings status, headers and body, asks for no compression, and sends the body as it is', async () => {
    const seen: unknown[] = []
    const server = await serve((request, response) => {
      void bodyOf(request).then((body) => {
        seen.push(request.method, request.url, request.headers['accept-encoding'], body)
        response.writeHead(418, { 'x-one': '1' }).end('grüß')
      })
    })
    const answer = await client().exchange(
      ask(`${server.url}/a?b=c`, { method: 'POST', body: 'token=%C3%BC', headers: { 'accept-encoding': 'gzip' } }),
    )
    expect(answer).toMatchObject({ status: 418, body: 'grüß' })
    expect(answer.headers.get('x-one')).toBe('1')
    expect(seen).toEqual(['POST', '/a?b=c', 'identity', 'token=%C3%BC'])
  })

  it('JWT-33 INT-05 redirects: the answer is the redirect itself, the other host sees no connection', async () => {
    const other = await serve((_, response) => response.end('{}'))
    for (const status of [301, 302, 303, 307, 308]) {
      const server = await serve((_, response) => response.writeHead(status, { location: `${other.url}/x` }).end())
      await expect(client().exchange(ask(server.url))).resolves.toMatchObject({ status, body: '' })
    }
    expect(other.connections()).toBe(0)
  })

  type Hostile = readonly [name: string, answer: Parameters<typeof httpServer>[0], kind: HttpFailureKind]
  const hostile: readonly Hostile[] = [
    ['INT-03 headers hang', () => undefined, 'timeout'],
    ['INT-03 JWT-33 body of one byte at a time', (_, response) => drip(response), 'timeout'],
    [
      'INT-03 RST mid-body',
      (request, response) => {
        response.writeHead(200, { 'content-length': 100 }).write('half', () => request.socket.resetAndDestroy())
      },
      'reset',
    ],
    ['INT-03 closed before the answer', (request) => request.socket.destroy(), 'reset'],
    [
      'INT-04 JWT-33 large body, announced',
      (_, response) => response.writeHead(200, { 'content-length': 1e8 }).write('x'),
      'too-large',
    ],
    ['INT-04 JWT-33 large body, chunked', (_, response) => flood(response), 'too-large'],
    [
      'INT-04 JWT-33 gzip bomb',
      (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(1e7))),
      'bad-encoding',
    ],
    [
      'INT-04 JWT-33 1,000 encodings',
      (_, response) =>
        response.writeHead(200, { 'content-encoding': Array.from({ length: 1000 }, () => 'gzip').join(', ') }).end('x'),
      'bad-encoding',
    ],
    ['headers without end', (_, response) => response.writeHead(200, { 'x-a': 'y'.repeat(100_000) }).end(), 'network'],
    ['not UTF-8', (_, response) => response.end(Buffer.from([0x22, 0xff, 0x22])), 'bad-encoding'],
  ]
  it.each(hostile)('%s', async (_, answer, kind) => {
    const server = await serve(answer)
    const started = performance.now()
    const failed = await failureOf(client().exchange(ask(server.url)))
    expect(failed.kind).toBe(kind)
    expect(performance.now() - started).toBeLessThan(1500)
  })

  it('INT-03 a server that does not speak, and one that speaks something else', async () => {
    const silent = kept(await listen(createTcpServer(() => undefined)))
    const odd = kept(await listen(createTcpServer((socket) => socket.end('220 smtp ready\r\n'))))
    expect((await failureOf(client().exchange(ask(silent.url)))).kind).toBe('timeout')
    expect((await failureOf(client().exchange(ask(odd.url)))).kind).toBe('network')
  })

  it('keeps a byte order mark, so that a strict reader can refuse it', async () => {
    const server = await serve((_, response) => response.end('\ufeff{}'))
    expect((await client().exchange(ask(server.url))).body.length).toBe(3)
  })

  it('ends when the caller goes away', async () => {
    const server = await serve(() => undefined)
    const stop = new AbortController()
    const failing = failureOf(client().exchange(ask(server.url, { signal: stop.signal, timeout: 5000 })))
    setTimeout(() => stop.abort(), 30)
    expect((await failing).kind).toBe('cancelled')
    expect((await failureOf(client().exchange(ask(server.url, { signal: stop.signal })))).kind).toBe('cancelled')
  })

  it('INT-22 a failure names the host and nothing of what was sent', async () => {
    const server = await serve((request) => request.socket.destroy())
    const secret = 'c4n4ry'
    const headers = { authorization: `Basic ${secret}` }
    const failed = await failureOf(
      client().exchange(ask(`${server.url}/${secret}?k=${secret}`, { method: 'POST', headers, body: secret })),
    )
    expect(JSON.stringify([failed.message, failed.stack, Object.entries(failed)])).not.toContain(secret)
    expect(failed.cause).toBeUndefined()
    const refused = await failureOf(client().exchange(ask(`https://user:${secret}@localhost:1/`)))
    expect(`${refused.message} ${refused.stack}`).not.toContain(secret)
  })
})

describe('refuse', () => {
  const usual: readonly (readonly [url: string, fine: boolean])[] = [
    ['https://idp.example.com/introspect', true],
    ['https://10.0.0.1/introspect', true],
    ['https://idp.shop.svc.cluster.local:8443/x?y=z', true],
    ['http://localhost:8080/x', true],
    ['http://127.0.0.1:8080', true],
    ['http://127.9.9.9/', true],
    ['http://[::1]:80/', true],
    ['http://idp.example.com/', false],
    ['http://localhost.example.com/', false],
    ['http://10.0.0.1/', false],
    ['https://user@idp.example.com/', false],
    ['https://user:pass@idp.example.com/', false],
    ['https://idp.example.com/#x', false],
    ['https://idp.example.com/#', false],
    ['ftp://idp.example.com/', false],
    ['file:///etc/passwd', false],
    ['idp.example.com', false],
    ['//idp.example.com/', false],
    ['https:\\\\idp.example.com/', false],
    ['https://idp.example.com/a\nb', false],
    ['', false],
    [`https://idp.example.com/${'a'.repeat(2048)}`, false],
    ['https://169.254.169.254/latest', false],
    ['https://0xa9fea9fe/', false],
    ['https://[fe80::1]/', false],
    ['https://[::ffff:169.254.169.254]/', false],
    ['https://[64:ff9b::169.254.169.254]/', false],
    ['https://[fd00:ec2::254]/', false],
    ['https://metadata.google.internal/', false],
    ['https://METADATA.google.internal./', false],
    ['https://0.0.0.0/', false],
    ['https://[::]/', false],
    ['https://255.255.255.255/', false],
    ['https://100.100.100.200/', false],
  ]
  it.each(usual)('INT-19 %s → %s', (url, fine) => {
    expect(client().refuse(url) === undefined).toBe(fine)
  })

  it.each([
    ['https://10.1.2.3/', false],
    ['https://[fd12::1]/', false],
    ['https://[64:ff9b::10.0.0.1]/', false],
    ['https://127.0.0.1/', false],
    ['https://localhost/', false],
    ['https://192.0.2.1/', true],
  ])('INT-24 with blockPrivate %s → %s', (url, fine) => {
    expect(client({ blockPrivate: true }).refuse(url) === undefined).toBe(fine)
  })

  it('takes http anywhere where that is asked for, but never link-local', () => {
    const loose = client({ allowHttp: true })
    expect(loose.refuse('http://idp.example.com/')).toBeUndefined()
    expect(loose.refuse('http://169.254.169.254/')).toBeDefined()
  })

  it('never throws, and never repeats what it was given', () => {
    const { refuse } = client()
    const strange = fc.string().map((text) => `https://u:c4n4ry@${text}`)
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.webUrl(), strange), (url) => {
        expect(refuse(url) ?? '').not.toContain('c4n4ry')
      }),
    )
  })
})

describe('INT-24 the address that was checked is the one dialled', () => {
  const resolving = (...answers: readonly string[][]): NonNullable<HttpClientOptions['lookup']> => {
    let turn = 0
    return () => {
      const addresses = answers[Math.min(turn++, answers.length - 1)] ?? []
      return Promise.resolve(addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })))
    }
  }

  it.each([
    ['a metadata address', {}, ['169.254.169.254']],
    ['a mixture of a good and a bad one', {}, ['127.0.0.1', '169.254.169.254']],
    ['link-local IPv6 with a zone', {}, ['fe80::1%eth0']],
    ['a private one with blocking on', { blockPrivate: true }, ['10.0.0.1']],
    ['this machine with blocking on', { blockPrivate: true }, ['127.0.0.1']],
  ])('%s: refused before a connection', async (_, options, addresses) => {
    const failed = await failureOf(
      client({ ...options, lookup: resolving(addresses) }).exchange(ask('https://idp.example.com/')),
    )
    expect(failed.kind).toBe('refused')
  })

  it('plain http to a name that turns out not to be this machine', async () => {
    const failed = await failureOf(client({ lookup: resolving(['192.0.2.1']) }).exchange(ask('http://localhost:1/')))
    expect(failed.kind).toBe('refused')
  })

  it('resolves once for each connection and dials the answer', async () => {
    const server = await serve((_, response) => response.end('ok'))
    const lookup = resolving(['127.0.0.1'], ['169.254.169.254'])
    const answer = await client({ allowHttp: true, lookup }).exchange(ask(`http://idp.example.com:${server.port}/`))
    expect(answer.body).toBe('ok')
    expect(server.connections()).toBe(1)
  })

  it('REL-09 a name that moves: the next connection goes to its new address, and none to the old one', async () => {
    const old = await serve((_, response) => response.setHeader('Connection', 'close').end('old'))
    const lookup = resolving(['127.0.0.1'], ['127.0.0.2'])
    const one = client({ allowHttp: true, lookup })
    const url = `http://idp.example.com:${old.port}/`
    expect((await one.exchange(ask(url))).body).toBe('old')
    const moved = createServer((_, response) => response.end('new')).listen(old.port, '127.0.0.2')
    await once(moved, 'listening')
    try {
      expect((await one.exchange(ask(url))).body).toBe('new')
      expect((await one.exchange(ask(url))).body).toBe('new')
      expect(old.connections()).toBe(1)
    } finally {
      moved.closeAllConnections()
      moved.close()
    }
  })

  it('REL-09 an idle connection is given up within seconds, so that a name that moved is not asked at its old address for long', async () => {
    const old = await serve((_, response) => response.end('old'))
    const lookup = resolving(['127.0.0.1'], ['127.0.0.2'])
    const one = client({ allowHttp: true, lookup })
    const url = `http://idp.example.com:${old.port}/`
    expect((await one.exchange(ask(url))).body).toBe('old')
    await new Promise((done) => setTimeout(done, 4500))
    // Nobody listens at the new address: had the old connection been used, there would be an answer.
    expect((await failureOf(one.exchange(ask(url)))).kind).toBe('network')
  })

  it('REL-09 a resolver that flaps: each try is bounded, and the first good answer is used', async () => {
    const server = await serve((_, response) => response.end('ok'))
    const gone = (): Promise<never> => Promise.reject(Object.assign(new Error('x'), { code: 'ENOTFOUND' }))
    const turns = [gone, () => new Promise<never>(() => undefined), () => Promise.resolve([]), gone]
    const lookup: NonNullable<HttpClientOptions['lookup']> = () =>
      turns.shift()?.() ?? Promise.resolve([{ address: '127.0.0.1', family: 4 }])
    const one = client({ allowHttp: true, lookup })
    const url = `http://idp.example.com:${server.port}/`
    const started = performance.now()
    const kinds: string[] = []
    for (let count = 0; count < 4; count += 1) kinds.push((await failureOf(one.exchange(ask(url)))).kind)
    expect(kinds).toEqual(['network', 'timeout', 'network', 'network'])
    expect(performance.now() - started).toBeLessThan(2000)
    expect((await one.exchange(ask(url))).body).toBe('ok')
  })

  it('an answer without addresses, and a resolver that fails', async () => {
    const https = ask('https://idp.example.com/')
    expect((await failureOf(client({ lookup: resolving([]) }).exchange(https))).kind).toBe('network')
    const failing = client({ lookup: () => Promise.reject(Object.assign(new Error('x'), { code: 'ENOTFOUND' })) })
    expect((await failureOf(failing.exchange(https))).message).toContain('ENOTFOUND')
  })
})

describe.skipIf(opensslMissing)('INT-20 TLS (needs openssl: apt-get install openssl)', () => {
  const ours = opensslMissing ? undefined : authority()
  const theirs = opensslMissing ? undefined : authority()
  const good = ours?.issue('DNS:localhost,IP:127.0.0.1')
  const cases = [
    ['signed by our authority', good, 'ok'],
    ['signed by another authority', theirs?.issue('DNS:localhost,IP:127.0.0.1'), 'network'],
    ['expired', ours?.issue('IP:127.0.0.1', { from: '200101000000Z', until: '200201000000Z' }), 'network'],
    ['not yet valid', ours?.issue('IP:127.0.0.1', { from: '490101000000Z', until: '491231000000Z' }), 'network'],
    ['for another host', ours?.issue('DNS:idp.example.com,IP:127.0.0.2'), 'network'],
  ] as const
  const secure = async (leaf: (typeof cases)[number][1], more = {}): Promise<LocalServer> =>
    kept(await httpsServer({ ...leaf, ...more }, (_, response) => response.end('ok')))

  it.each(cases)('a certificate %s', async (_, leaf, expected) => {
    const server = await secure(leaf)
    const told = await client({ ca: ours?.ca ?? '' })
      .exchange(ask(server.url, { timeout: 2000 }))
      .then(
        ({ body }) => body,
        (error: HttpFailure) => error.kind,
      )
    expect(told).toBe(expected)
  })

  it('only the system decides where no authority is given; the environment cannot turn verification off', async () => {
    const server = await secure(good)
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
    try {
      expect((await failureOf(client().exchange(ask(server.url, { timeout: 2000 })))).kind).toBe('network')
    } finally {
      delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']
    }
    const loose = client({ insecureSkipTlsVerify: true })
    expect((await loose.exchange(ask(server.url, { timeout: 2000 }))).body).toBe('ok')
  })

  it('TLS 1.1 is not spoken', async () => {
    const server = await secure(good, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' })
    const failed = await failureOf(client({ ca: ours?.ca ?? '' }).exchange(ask(server.url, { timeout: 2000 })))
    expect(failed.message).toMatch(/PROTOCOL|VERSION|ALERT|SSL/)
  })

  it('a session with one server opens no door to another of the same name', async () => {
    // The same ticket keys: a resumed session would be taken without a look at the certificate.
    const ticketKeys = Buffer.alloc(48, 7)
    const honest = await secure(good, { ticketKeys })
    const impostor = await secure(theirs?.issue('DNS:localhost,IP:127.0.0.1'), { ticketKeys })
    const one = client({ ca: ours?.ca ?? '' })
    expect((await one.exchange(ask(honest.url, { timeout: 2000 }))).body).toBe('ok')
    expect((await failureOf(one.exchange(ask(impostor.url, { timeout: 2000 })))).kind).toBe('network')
  })
})
