import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect } from 'node:http2'
import type { ClientHttp2Session, OutgoingHttpHeaders } from 'node:http2'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { exchange, statuses, wire } from './raw.ts'
import { prefix, removed, serving } from './serving.ts'

let keyed: Awaited<ReturnType<typeof serving>>
let matching: Awaited<ReturnType<typeof serving>>
beforeAll(async () => {
  keyed = await serving()
  matching = await serving({ kind: 'matching' })
})
afterAll(async () => {
  await keyed.close()
  await matching.close()
})

const head = (line: string, ...fields: readonly string[]): string =>
  [line, 'Host: shop.example', ...fields, '', ''].join('\r\n')
const ada = 'Authorization: Bearer ada'
const ask = (line: string, ...fields: readonly string[]) => exchange(keyed.port, head(line, ...fields))
const status = async (line: string, ...fields: readonly string[]): Promise<number | undefined> =>
  statuses(await ask(line, ...fields))[0]
const reason = (): string | undefined => {
  const decision = keyed.records.at(-1)?.decision
  return decision?.kind === 'deny' ? decision.reason : undefined
}

describe('an allow', () => {
  it('CTR-03 CTR-14 is a bare 200: what is set, what is removed, and not a byte more', async () => {
    const gone = [...removed, 'authorization']
    const emptied = gone.filter((name) => /^[a-z-]+$/.test(name)).map((name) => `${name}: `)
    const named = `x-envoy-auth-headers-to-remove: ${gone.join(', ')}`
    expect(await ask(`GET ${prefix}/cart HTTP/1.1`, ada)).toBe(
      ['HTTP/1.1 200 OK', 'x-user: ada', ...emptied, named, 'content-length: 0', '', ''].join('\r\n'),
    )
  })
  it('CTR-03 over HTTP/2 as well', async () => {
    const { headers, body } = await second(keyed.port, { ':path': `${prefix}/cart`, authorization: 'Bearer ada' })
    expect({ ...headers }).toMatchObject({ ':status': 200, 'x-user': 'ada', 'content-length': '0' })
    const names = [':status', 'authorization', 'content-length', 'x-envoy-auth-headers-to-remove', 'x-groups', 'x-user']
    expect(Object.keys(headers).sort()).toEqual(names)
    expect(body).toBe('')
  })
  it('HDR-01 HDR-04 names every spelling that the client used, however often', async () => {
    const text = await ask(`GET /v1/check/shop/cart/guests/-/ HTTP/1.1`, 'X_User: admin', 'x-groups: a', 'X-Groups: b')
    expect(text).toContain('x-user: anonymous\r\n')
    expect(text).toContain(
      'x-envoy-auth-headers-to-remove: x_user, x.user, x-groups, x_groups, x.groups, authorization\r\n',
    )
  })
  it('HDR-12 nothing that Connection names goes', async () => {
    const text = await ask(`GET ${prefix}/ HTTP/1.1`, ada, 'Connection: x-user, authorization, keep-alive')
    expect(text).toContain('x-user: ada\r\n')
    expect(keyed.records.at(-1)?.request.headers.get('authorization')).toEqual(['Bearer ada'])
  })
  it('HDR-06 bytes above ASCII go out as they are', async () => {
    expect(await ask('GET /v1/check/shop/cart/latin/-/ HTTP/1.1', ada)).toContain('x-user: Jos\u00e9\r\n')
    const { headers } = await second(keyed.port, {
      ':path': '/v1/check/shop/cart/latin/-/',
      authorization: 'Bearer ada',
    })
    expect(headers['x-user']).toBe('Jos\u00e9')
  })
  it('E1 that cannot be written is a refusal', async () => {
    expect(await ask('GET /v1/check/shop/cart/unwritable/-/ HTTP/1.1', ada)).toBe(
      'HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n',
    )
    const { headers } = await second(keyed.port, {
      ':path': '/v1/check/shop/cart/unwritable/-/',
      authorization: 'Bearer ada',
    })
    expect(headers[':status']).toBe(403)
  })
})

describe('a refusal', () => {
  it('CTR-03 is a 403 without a word by default', async () => {
    expect(await ask(`GET ${prefix}/cart HTTP/1.1`)).toBe('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n')
  })
  it('CTR-12 carries each challenge in a line of its own', async () => {
    expect(await ask('GET /v1/check/shop/cart/ask/-/ HTTP/1.1')).toBe(
      'HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer realm="test"\r\nwww-authenticate: Basic realm="Staff", charset="UTF-8"\r\n' +
        'cache-control: no-store\r\ncontent-length: 0\r\n\r\n',
    )
    const { headers } = await second(keyed.port, { ':path': '/v1/check/shop/cart/ask/-/' })
    expect(headers['www-authenticate']).toBe('Bearer realm="test", Basic realm="Staff", charset="UTF-8"')
  })
  it('carries the policy’s own body, whole', async () => {
    const { text } = await plain(keyed.port, 'GET', '/v1/check/shop/cart/words/-/')
    expect(text).toBe('403 text/html 13 Not for you.\n')
  })
  it('to a HEAD has the length of the body and not the body', async () => {
    const text = await ask('HEAD /v1/check/shop/cart/words/-/ HTTP/1.1')
    expect(text).toBe('HTTP/1.1 403 Forbidden\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\r\n')
  })
  it('sends the client to a login', async () => {
    const text = await ask('GET /v1/check/shop/cart/login/-/ HTTP/1.1')
    expect(text).toMatch(/^HTTP\/1\.1 302 Found\r\nlocation: https:\/\/login\.example\/\r\n/)
  })
  it('REL-22 before the first snapshot', async () => {
    const early = await serving({ unready: true })
    expect(statuses(await exchange(early.port, head(`GET ${prefix}/ HTTP/1.1`, ada)))).toEqual([403])
    expect(early.records[0]?.decision).toMatchObject({ reason: 'not-ready' })
    await early.close()
  })
  it('comes in time, whatever takes long', async () => {
    const hasty = await serving({ budgetMillis: 120 })
    const started = performance.now()
    expect(
      statuses(await exchange(hasty.port, head(`GET ${prefix}/ HTTP/1.1`, 'Authorization: Bearer never'))),
    ).toEqual([403])
    expect(performance.now() - started).toBeLessThan(1_000)
    expect(hasty.records[0]?.decision).toMatchObject({ reason: 'timeout' })
    await hasty.close()
  })
  it('E3 comes before Envoy stops waiting', async () => {
    const started = performance.now()
    const fields = ['Authorization: Bearer never', 'x-envoy-expected-rq-timeout-ms: 100']
    expect(await status(`GET ${prefix}/ HTTP/1.1`, ...fields)).toBe(403)
    expect(performance.now() - started).toBeLessThan(1_000)
    expect(reason()).toBe('timeout')
  })
})

describe('any request', () => {
  it.each([
    'GET',
    'HEAD',
    'POST',
    'PUT',
    'DELETE',
    'OPTIONS',
    'PATCH',
    'TRACE',
    'PURGE',
    'PROPFIND',
    'M-SEARCH',
    'QUERY',
  ])('CTR-21 %s is judged as itself', async (method) => {
    expect(await status(`${method} ${prefix}/cart HTTP/1.1`, ada, 'Content-Length: 0')).toBe(200)
    expect(keyed.records.at(-1)?.request.method).toBe(method)
  })
  it.each(['get', 'GeT', 'FOO'])('NRM-22 CTR-21 %s is refused by the parser and never hangs', async (method) => {
    expect(await status(`${method} ${prefix}/cart HTTP/1.1`, ada)).toBe(400)
  })
  it.each(['FOO', 'get', 'BREW'])('NRM-22 %s over HTTP/2 is a method like any other', async (method) => {
    const { headers } = await second(keyed.port, {
      ':method': method,
      ':path': `${prefix}/`,
      authorization: 'Bearer ada',
    })
    expect(headers[':status']).toBe(200)
    expect(keyed.records.at(-1)?.request.method).toBe(method)
  })
  it('CTR-21 CONNECT is refused, and no tunnel opens', async () => {
    const one = await wire(keyed.port)
    one.write(
      `CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example\r\n${ada}\r\n\r\nGET ${prefix}/ HTTP/1.1\r\nHost: shop.example\r\n${ada}\r\n\r\n`,
    )
    expect(await one.end()).toBe('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
    expect(reason()).toBe('bad-method')
    one.close()
  })
  it('CTR-21 CONNECT over HTTP/2 is refused', async () => {
    const { headers } = await second(keyed.port, {
      ':method': 'CONNECT',
      ':authority': 'shop.example:443',
      authorization: 'Bearer ada',
    })
    expect(headers[':status']).toBe(403)
    expect(reason()).toBe('bad-method')
  })
  it('CTR-21 PRI without the rest of the preface', async () => {
    expect(await status(`PRI ${prefix}/ HTTP/1.1`, ada)).toBe(400)
  })
  it.each([
    ['Upgrade: websocket', 'Connection: Upgrade'],
    ['Upgrade: h2c', 'Connection: Upgrade, HTTP2-Settings'],
  ])('CTR-21 %s is a request like any other', async (...fields) => {
    expect(await status(`GET ${prefix}/ HTTP/1.1`, ada, ...fields)).toBe(200)
  })
  it.each(['100-continue', 'the-unexpected'])(
    'CTR-21 Expect: %s is answered with the verdict, not with a 100',
    async (expected) => {
      const text = await ask(`POST ${prefix}/ HTTP/1.1`, ada, `Expect: ${expected}`, 'Content-Length: 5')
      expect(statuses(text)).toEqual([200])
      expect(text).toContain('Connection: close')
    },
  )
  it('CTR-21 Expect over HTTP/2', async () => {
    const { headers } = await second(keyed.port, {
      ':path': `${prefix}/`,
      authorization: 'Bearer ada',
      expect: '100-continue',
    })
    expect(headers[':status']).toBe(200)
  })
  it.each([
    ['*', '/-*', 'bad-key'],
    ['nothing', '/-', 'bad-target'],
    ['a query', '/-?a=b', 'bad-target'],
  ])('OPTIONS of %s is refused', async (_, rest, expected) => {
    expect(await status(`OPTIONS /v1/check/shop/cart/pay${rest} HTTP/1.1`, ada)).toBe(403)
    expect(reason()).toBe(expected)
  })
  it('HTTP/1.0 is answered and the connection ends', async () => {
    const one = await wire(keyed.port)
    one.write(head(`GET ${prefix}/ HTTP/1.0`, ada))
    expect(await one.end()).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*Connection: close\r\n/)
    one.close()
  })
  it('HTTP/1.0 without a host is refused', async () => {
    expect(statuses(await exchange(keyed.port, `GET ${prefix}/ HTTP/1.0\r\n${ada}\r\n\r\n`))).toEqual([403])
    expect(reason()).toBe('bad-host')
  })
  it.each(['/healthz', '/metrics', '/ready', '/', '/v1/check', '/favicon.ico'])(
    'CTR-22 %s is no way around: keyed',
    async (path) => {
      expect(await status(`GET ${path} HTTP/1.1`, ada, 'User-Agent: GoogleHC/1.0, kube-probe/1.33')).toBe(403)
      expect(reason()).toBe('bad-key')
    },
  )
  it.each(['/healthz', '/metrics', prefix + '/pay'])('CTR-22 %s is no way around: matching', async (path) => {
    expect(
      statuses(await exchange(matching.port, head(`GET ${path} HTTP/1.1`, ada, 'User-Agent: kube-probe/1.33'))),
    ).toEqual([403])
    expect(matching.records.at(-1)?.decision).toMatchObject({ reason: 'no-match' })
  })
  it('CTR-26 headers named like a key name no rule', async () => {
    expect(await status('GET / HTTP/1.1', ada, 'namespace: shop', 'route: cart', 'rule: pay')).toBe(403)
  })
  it('CTR-19 a part of a body is refused', async () => {
    expect(await status(`POST ${prefix}/ HTTP/1.1`, ada, 'x-envoy-auth-partial-body: true', 'content-length: 0')).toBe(
      403,
    )
    expect(reason()).toBe('partial-body')
    expect(await status(`POST ${prefix}/ HTTP/1.1`, ada, 'x-envoy-auth-partial-body: false', 'content-length: 0')).toBe(
      200,
    )
  })
  it('CTR-25 x-envoy headers change no answer', async () => {
    const fields = [
      'x-envoy-original-path: /open',
      'x-envoy-auth-failure-mode-allowed: true',
      'x-forwarded-uri: /open',
      'x-original-uri: /open',
    ]
    expect(await status(`GET ${prefix}/cart HTTP/1.1`, ...fields)).toBe(403)
    expect(keyed.records.at(-1)?.request.target.path).toBe('/cart')
  })
})

describe('the target', () => {
  it('CTR-23 is what stands behind the key, stripped once and raw', async () => {
    await status(`GET ${prefix}${prefix}/%40?a=%2f&b=//x HTTP/1.1`, ada)
    expect(keyed.records.at(-1)?.request.target).toMatchObject({
      raw: `${prefix}/%40?a=%2f&b=//x`,
      path: `${prefix}/%40`,
    })
    expect(keyed.records.at(-1)?.rule).toBe('shop/cart/pay')
  })
  it.each(['/../../../open/-/', '/%2e%2e/admin', '//admin', '/a%2fb', '/a%5cb', '/\\admin', '/a;b/c'])(
    'CTR-23 NRM-01 NRM-03 NRM-04 NRM-12 %s is ambiguous',
    async (path) => {
      expect(await status(`GET ${prefix}${path} HTTP/1.1`, ada)).toBe(403)
      expect(reason()).toBe('ambiguous-target')
    },
  )
  it.each(['/a%00', '/a%0a', '/a%zz', '/a#b'])('NRM-10 NRM-06 %s is no target', async (path) => {
    expect(await status(`GET ${prefix}${path} HTTP/1.1`, ada)).toBe(403)
    expect(reason()).toBe('bad-target')
  })
  it('goes as sent where the policy says so', async () => {
    expect(await status('GET /v1/check/shop/cart/as-sent/-/a/../b HTTP/1.1', ada)).toBe(200)
  })
  it.each(['/a b', '/caf\u00e9', '/a\tb', '/a\x01'])('NRM-10 NRM-11 %j is not even HTTP', async (path) => {
    expect(await status(`GET ${prefix}${path} HTTP/1.1`, ada)).toBe(400)
  })
  it('NRM-13 absolute form names no rule and no path', async () => {
    expect(await status(`GET http://shop.example${prefix}/ HTTP/1.1`, ada)).toBe(403)
    expect(reason()).toBe('bad-target')
    expect(statuses(await exchange(matching.port, head('GET http://shop.example/pay HTTP/1.1', ada)))).toEqual([403])
    expect(matching.records.at(-1)?.decision).toMatchObject({ reason: 'bad-target' })
  })
  it('NRM-26 a path of 64 kB or 10,000 segments is refused at once', async () => {
    const started = performance.now()
    expect(await status(`GET ${prefix}/${'a'.repeat(65_536)} HTTP/1.1`, ada)).toBe(403)
    expect(await status(`GET ${prefix}${'/a'.repeat(10_000)} HTTP/1.1`, ada)).toBe(403)
    expect(performance.now() - started).toBeLessThan(200)
  })
})

describe('the host', () => {
  const hosted = (...hosts: readonly string[]) =>
    exchange(keyed.port, [`GET ${prefix}/ HTTP/1.1`, ...hosts.map((host) => `Host: ${host}`), ada, '', ''].join('\r\n'))
  it.each([
    ['NRM-16 two lines', ['shop.example', 'evil.example'], [403], 'bad-host'],
    ['NRM-16 two lines that agree', ['shop.example', 'shop.example'], [403], 'bad-host'],
    ['NRM-16 two in one line', ['shop.example,evil.example'], [403], 'bad-host'],
    ['NRM-15 user info', ['user@shop.example'], [403], 'bad-host'],
    ['NRM-15 nothing', [''], [403], 'bad-host'],
    ['NRM-15 a port and a dot', ['SHOP.example.:8443'], [200], undefined],
    ['another', ['evil.example'], [403], 'identity-mismatch'],
  ] as const)('%s', async (_, hosts, expected, why) => {
    expect(statuses(await hosted(...hosts))).toEqual(expected)
    expect(reason()).toBe(why)
  })
  it('NRM-16 no line at all', async () => {
    expect(statuses(await hosted())).toEqual([400])
  })
  it('NRM-16 X-Forwarded-Host is nobody’s host', async () => {
    await status(`GET ${prefix}/ HTTP/1.1`, ada, 'X-Forwarded-Host: evil.example')
    expect(keyed.records.at(-1)?.request.host).toBe('shop.example')
  })
  it.each([
    ['the same', 'shop.example', 200],
    ['another', 'evil.example', 403],
  ])('NRM-16 Host beside :authority: %s', async (_, host, expected) => {
    const { headers } = await second(keyed.port, { ':path': `${prefix}/`, authorization: 'Bearer ada', host })
    expect(headers[':status']).toBe(expected)
  })
})

describe('header fields', () => {
  it('keep their repeats apart, in order', async () => {
    await status(`GET ${prefix}/ HTTP/1.1`, ada, 'X-A: 1', 'x-a: 2, 3', 'X-a: 4')
    expect(keyed.records.at(-1)?.request.headers.get('x-a')).toEqual(['1', '2, 3', '4'])
  })
  it('repeated credentials are refused', async () => {
    expect(await status(`GET ${prefix}/ HTTP/1.1`, ada, 'authorization: Bearer bob')).toBe(403)
    expect(reason()).toBe('repeated-credential')
  })
  it('a cookie in crumbs is one cookie', async () => {
    await second(keyed.port, { ':path': `${prefix}/`, authorization: 'Bearer ada', cookie: ['a=1', 'b=2'] })
    expect(keyed.records.at(-1)?.request.headers.get('cookie')).toEqual(['a=1; b=2'])
  })
  it('DOS-11 named like members of Object are header fields', async () => {
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
    expect(await status(`GET ${prefix}/ HTTP/1.1`, ada, ...names.map((name) => `${name}: evil`))).toBe(200)
    expect(keyed.records.at(-1)?.request.headers.get('__proto__')).toEqual(['evil'])
    expect(({} as { evil?: string }).evil).toBeUndefined()
  })
  it('DOS-11 a pseudo-header over HTTP/1.1 is not even HTTP', async () => {
    expect(await status(`GET ${prefix}/ HTTP/1.1`, ada, ':path: /open')).toBe(400)
  })
  it('the client’s address is the last hop that a trusted peer tells', async () => {
    await status(`GET ${prefix}/ HTTP/1.1`, ada)
    // A gateway that tells none leaves it unknown: its own address would stand for everybody behind it.
    expect(keyed.records.at(-1)?.request.source).toBeUndefined()
    await status(`GET ${prefix}/ HTTP/1.1`, ada, 'X-Forwarded-For: 6.6.6.6', 'X-Forwarded-For: 7.7.7.7, 192.0.2.9')
    expect(keyed.records.at(-1)?.request.source).toBe('192.0.2.9')
    await status(`GET ${prefix}/ HTTP/1.1`, ada, 'X-Forwarded-For: [2001:db8::9]:4711', 'X-Forwarded-Proto: https')
    expect(keyed.records.at(-1)?.request).toMatchObject({ source: '2001:db8::9', scheme: 'https' })
    await status(
      `GET ${prefix}/ HTTP/1.1`,
      ada,
      'X-Forwarded-For: unknown',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Proto: http',
    )
    expect(keyed.records.at(-1)?.request).toMatchObject({ source: undefined, scheme: undefined })
  })
  it('and unknown from anybody else, who is a gateway with many clients', async () => {
    const strict = await serving({ trustedProxies: ['192.0.2.0/24'] })
    await exchange(
      strict.port,
      head(`GET ${prefix}/ HTTP/1.1`, ada, 'X-Forwarded-For: 6.6.6.6', 'X-Forwarded-Proto: https'),
    )
    expect(strict.records[0]?.request).toMatchObject({ source: undefined, scheme: undefined })
    await strict.close()
  })
})

describe('many at once', () => {
  it('CTR-27 1,000 pipelined requests get each its own answer', async () => {
    const one = await wire(keyed.port)
    const names = Array.from({ length: 1_000 }, (_, at) => (at % 3 === 0 ? `slow-${at}` : `user-${at}`))
    one.write(names.map((name) => head(`GET ${prefix}/${name} HTTP/1.1`, `Authorization: Bearer ${name}`)).join(''))
    const text = await one.answers(1_000)
    expect([...text.matchAll(/x-user: (\S+)/g)].map(([, name]) => name)).toEqual(names)
    one.close()
  })
  it('1,000 streams of one HTTP/2 connection as well', async () => {
    const session = connect(`http://127.0.0.1:${keyed.port}`)
    const names = Array.from({ length: 1_000 }, (_, at) => `user-${at}`)
    const users = await Promise.all(
      names.map(
        async (name) =>
          (await stream(session, { ':path': `${prefix}/`, authorization: `Bearer ${name}` })).headers['x-user'],
      ),
    )
    expect(users).toEqual(names)
    session.close()
  })
  it('both versions share the port, however their first bytes arrive', async () => {
    const one = await wire(keyed.port)
    for (const byte of head(`PUT ${prefix}/ HTTP/1.1`, ada, 'Content-Length: 0')) {
      one.write(byte)
      await new Promise((done) => setImmediate(done))
    }
    expect(statuses(await one.answers())).toEqual([200])
    one.close()
    const { headers } = await second(keyed.port, { ':path': `${prefix}/`, authorization: 'Bearer ada' })
    expect(headers[':status']).toBe(200)
  })
  it('CTR-29 a caller that goes away ends the work, 1,000 times over HTTP/1.1 and HTTP/2', async () => {
    const patient = await serving({ budgetMillis: 60_000 })
    const session = connect(`http://127.0.0.1:${patient.port}`)
    await once(session, 'connect')
    const fields = { ':path': `${prefix}/`, ':authority': 'shop.example', authorization: 'Bearer never' }
    for (let round = 0; round < 10; round += 1) {
      const calls = Array.from({ length: 50 }, () => session.request(fields).on('error', () => undefined))
      const wires = await Promise.all(Array.from({ length: 50 }, () => wire(patient.port)))
      for (const one of wires) one.write(head(`GET ${prefix}/ HTTP/1.1`, 'Authorization: Bearer never'))
      await new Promise((done) => setTimeout(done, 60))
      for (const call of calls) call.close(8)
      for (const one of wires) one.close()
    }
    await expect.poll(() => patient.records.length, { timeout: 3_000 }).toBe(1_000)
    const reasons = patient.records.map(({ decision }) => (decision.kind === 'deny' ? decision.reason : ''))
    expect(new Set(reasons)).toEqual(new Set(['cancelled']))
    session.close()
    await patient.close()
  })
  it('a connection serves thousands of requests', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const sockets = new Set<unknown>()
    for (let at = 0; at < 300; at += 1) {
      const { text, socket } = await plain(
        keyed.port,
        'POST',
        `${prefix}/`,
        { authorization: 'Bearer ada' },
        'a body',
        agent,
      )
      expect(text).toBe('200 undefined 0 ')
      sockets.add(socket)
    }
    expect(sockets.size).toBe(1)
    agent.destroy()
  })
})

/** One request over HTTP/2. */
async function second(port: number, headers: OutgoingHttpHeaders) {
  const session = connect(`http://127.0.0.1:${port}`)
  const answer = await stream(session, headers)
  session.close()
  return answer
}

function stream(session: ClientHttp2Session, headers: OutgoingHttpHeaders) {
  return new Promise<{ headers: Readonly<Record<string, unknown>>; body: string }>((done, fail) => {
    const call = session.request({ ':authority': 'shop.example', ...headers })
    let answer = {}
    let body = ''
    call.on('response', (fields) => (answer = fields))
    call.on('data', (chunk: Buffer) => (body += chunk.toString()))
    call.on('error', fail)
    call.on('close', () => done({ headers: answer, body }))
    call.end()
  })
}

/** One request of node:http, as `status content-type content-length body`. */
function plain(port: number, method: string, path: string, headers = {}, body = '', agent = new Agent()) {
  return new Promise<{ text: string; socket: unknown }>((done, fail) => {
    const call = request(
      { port, host: '127.0.0.1', method, path, agent, headers: { host: 'shop.example', ...headers } },
      (answer) => {
        let text = ''
        answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        const { socket } = answer
        answer.on('end', () =>
          done({
            text: `${answer.statusCode} ${answer.headers['content-type']} ${answer.headers['content-length']} ${text}`,
            socket,
          }),
        )
      },
    )
    call.on('error', fail).end(body)
  })
}
