import { randomBytes } from 'node:crypto'
import { getHeapSnapshot } from 'node:v8'
import { hashSync } from '@node-rs/bcrypt'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { basic } from '../../src/authn/basic.ts'
import { createKeyedDigest } from '../../src/authn/keyed-digest.ts'
import { createLockout } from '../../src/authn/lockout.ts'
import type { Authenticator } from '../../src/authn/method.ts'
import { createPasswordPool } from '../../src/authn/password-pool.ts'
import type { PasswordPool } from '../../src/authn/password-pool.ts'
import type { PasswordTask } from '../../src/authn/password-worker.ts'
import type { Services } from '../../src/authn/services.ts'
import type { AuthRequest } from '../../src/model/request.ts'
import { request } from '../support/make.ts'
import {
  authenticatorOf,
  compiled,
  counting,
  methodContext,
  secretObject,
  testClock,
} from '../support/method-context.ts'

const hash = (password: string, cost = 4): string => hashSync(password, cost)
const file = `ada:${hash('correct')}\nbob:${hash('builder')}\nZo\u00eb:${hash('p\u00e4')}\n`
const block = { realm: 'Staff', usersRef: { name: 'staff' } }

/** The real pool of the whole file, watched: what was computed is what the tests count. */
let pool: PasswordPool
beforeAll(() => (pool = createPasswordPool({ telemetry: counting(), threads: 2 })))
afterAll(() => pool.close())

interface World {
  readonly clock: ReturnType<typeof testClock>
  readonly telemetry: ReturnType<typeof counting>
  readonly tasks: PasswordTask[]
  readonly services: Partial<Services>
  readonly method: (given?: object, content?: string, owner?: string) => Authenticator
}

function world(): World {
  const clock = testClock()
  const telemetry = counting()
  const tasks: PasswordTask[] = []
  // A memory of its own for each test; the threads are shared.
  const own = createPasswordPool({ telemetry, threads: 1 })
  const passwords: PasswordPool = {
    ...own,
    prepare: pool.prepare,
    verify: (list, task, signal) => {
      tasks.push(task)
      return pool.verify(list, task, signal)
    },
  }
  const services = {
    clock,
    telemetry,
    passwords,
    lockout: createLockout({ clock, telemetry }),
    digest: createKeyedDigest(),
  }
  const method: World['method'] = (given = {}, content = file, owner = 'shop/policy/staff') => {
    const context = methodContext({ objects: [secretObject('staff', { '.htpasswd': content })], services })
    return authenticatorOf(basic, { ...block, ...given }, { ...context, owner })
  }
  return { clock, telemetry, tasks, services, method }
}

let here: World
beforeEach(() => (here = world()))

const { signal } = new AbortController()
const attempt = (user: string, password: string, some: Parameters<typeof request>[0] = {}): AuthRequest =>
  request({
    source: '192.0.2.1',
    ...some,
    headers: { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` },
  })
/** `kind subject cache` or `kind reason`. */
async function ask(method: Authenticator, given: AuthRequest): Promise<string> {
  const outcome = await method.authenticate(given, signal)
  switch (outcome.kind) {
    case 'absent':
      return 'absent'
    case 'authenticated':
      return `authenticated ${outcome.identity.subject} ${outcome.cache}`
    case 'rejected':
    case 'unavailable':
      return `${outcome.kind} ${outcome.reason}`
  }
}

describe('Basic authentication', () => {
  const cases: readonly (readonly [name: string, given: AuthRequest, expected: string])[] = [
    ['the right password', attempt('ada', 'correct'), 'authenticated ada miss'],
    ['the wrong password', attempt('ada', 'builder'), 'rejected bad-credential'],
    ['nobody known', attempt('eve', 'correct'), 'rejected bad-credential'],
    ['BAS-20 another case of the name', attempt('Ada', 'correct'), 'rejected bad-credential'],
    ['BAS-09 NFC', attempt('Zo\u00eb', 'p\u00e4'), 'authenticated Zo\u00eb miss'],
    ['BAS-09 NFD', attempt('Zoe\u0308', 'pa\u0308'), 'authenticated Zo\u00eb miss'],
    ['a name like an object’s member', attempt('__proto__', 'correct'), 'rejected bad-credential'],
    ['BAS-07 an empty password', attempt('ada', ''), 'rejected malformed-credential'],
    ['no credential', request(), 'absent'],
    ['another scheme', request({ headers: { authorization: 'Bearer abc' } }), 'absent'],
    [
      'two headers',
      request({ headers: { authorization: ['Basic YTpi', 'Basic YTpi'] } }),
      'rejected repeated-credential',
    ],
    [
      'BAS-24 8 KiB and more',
      request({ headers: { authorization: `Basic ${'A'.repeat(9000)}` } }),
      'rejected too-large',
    ],
  ]
  it.each(cases)('%s', async (_, given, expected) => expect(await ask(here.method(), given)).toBe(expected))

  it('says who it is, and nothing more', async () => {
    const outcome = await here.method().authenticate(attempt('ada', 'correct'), signal)
    expect(outcome).toEqual({
      kind: 'authenticated',
      cache: 'miss',
      identity: { subject: 'ada', method: 'entry', claims: {}, scopes: [], groups: [] },
    })
    expect(outcome.kind === 'authenticated' && Object.getPrototypeOf(outcome.identity.claims)).toBe(null)
  })

  it('reads Authorization, whatever is in it', () => {
    const method = here.method()
    expect(method.reads).toEqual(['authorization'])
    expect(method.presented(request({ headers: { authorization: '' } }))).toBe(true)
    expect(method.presented(request())).toBe(false)
  })

  it('BAS-22 refuses everybody where the list is empty, without computing anything', async () => {
    expect(await ask(here.method({}, '# nobody\n'), attempt('ada', 'correct'))).toBe('rejected bad-credential')
    expect(here.tasks).toEqual([])
  })
})

describe('BAS-25 CHL-09 the challenge', () => {
  it('is the same for every error', () => {
    const { challenge } = here.method()
    const errors = [{ kind: 'none' }, { kind: 'invalid-token' }, { kind: 'insufficient-scope', scopes: ['x'] }] as const
    for (const error of errors) expect(challenge(error)).toBe('Basic realm="Staff", charset="UTF-8"')
  })

  it('has a realm where none is given', () => {
    expect(here.method({ realm: undefined }).challenge({ kind: 'none' })).toBe(
      'Basic realm="Restricted", charset="UTF-8"',
    )
  })

  it.each(['a"b', 'a\\b', 'a\rb', 'a\nb', 'ä', '', 'x'.repeat(129)])('refuses the realm %j at load', (realm) => {
    const context = methodContext({ objects: [secretObject('staff', { '.htpasswd': file })], services: here.services })
    const result = compiled(basic, { ...block, realm }, context)
    expect(result.ok ? [] : result.findings.map(({ code, path }) => [code, path])).toEqual([['bad-value', ['realm']]])
  })
})

describe('BAS-28 TLS', () => {
  const cases = [
    [true, 'http', 'rejected insecure-scheme'],
    [true, undefined, 'rejected insecure-scheme'],
    [true, 'https', 'authenticated ada miss'],
    [false, 'http', 'authenticated ada miss'],
  ] as const
  it.each(cases)('requireTls %s and %s: %s', async (requireTls, scheme, expected) => {
    expect(await ask(here.method({ requireTls }), attempt('ada', 'correct', { scheme }))).toBe(expected)
  })

  it('has nothing against a request without a password', async () => {
    expect(await ask(here.method({ requireTls: true }), request({ scheme: 'http' }))).toBe('absent')
  })
})

describe('compiling', () => {
  const findings = (given: object, content: Readonly<Record<string, string>>) => {
    const context = methodContext({ objects: [secretObject('staff', content)], services: here.services })
    const result = compiled(basic, given, context)
    const list = result.ok ? result.value.findings : result.findings
    return list.map(({ code, severity, path }) => `${severity} ${code} ${path.join('.')}`)
  }
  const cases: readonly (readonly [
    name: string,
    given: object,
    content: Record<string, string>,
    expected: string[],
  ])[] = [
    ['a missing Secret', { usersRef: { name: 'stuff' } }, {}, ['error missing-reference usersRef.name']],
    ['BAS-22 a missing entry', block, { users: file }, ['error missing-reference usersRef.key']],
    [
      'another entry',
      { usersRef: { name: 'staff', key: 'users' } },
      { users: '' },
      ['warning nothing-to-check usersRef'],
    ],
    ['no reference', {}, {}, ['error bad-value usersRef']],
    ['an unknown key', { ...block, relm: 'x' }, { '.htpasswd': file }, ['error unknown-key relm']],
    [
      'BAS-22 bad lines',
      block,
      { '.htpasswd': 'a\nb:\n' },
      ['error bad-password-line usersRef', 'error bad-password-line usersRef'],
    ],
    ['weak hashes', block, { '.htpasswd': file }, ['warning weak-password-hash usersRef']],
    ['BAS-22 nobody', block, { '.htpasswd': '' }, ['warning nothing-to-check usersRef']],
    [
      'BAS-23 a hash of hours',
      block,
      { '.htpasswd': `ada:${hash('x').replace('$04$', '$31$')}` },
      ['error password-too-costly usersRef'],
    ],
    [
      'BAS-05 DES crypt, asked for',
      { ...block, allowDesCrypt: true },
      { '.htpasswd': 'ada:arlEKn0OzVJn.' },
      ['warning weak-password-hash usersRef'],
    ],
    ['BAS-06 plain text, not asked for', block, { '.htpasswd': 'ada:secret' }, ['error weak-password-hash usersRef']],
  ]
  it.each(cases)('%s', (_, given, content, expected) => expect(findings(given, content)).toEqual(expected))
})

describe('BAS-15 somebody unknown', () => {
  const mixed = `cheap:${hash('c', 4)}\nmiddle:${hash('m', 5)}\ndear:${hash('d', 6)}\n`
  const costs = (): readonly string[] => here.tasks.map((task) => task.hash.slice(4, 6))

  const cases: readonly (readonly [user: string, password: string, expected: string, costs: readonly string[]])[] = [
    ['nobody', 'x', 'rejected bad-credential', ['06']],
    ['dear', 'x', 'rejected bad-credential', ['06']],
    ['cheap', 'x', 'rejected bad-credential', ['04', '06']],
    ['cheap', 'c', 'authenticated cheap miss', ['04']],
    ['dear', 'd', 'authenticated dear miss', ['06']],
  ]
  it.each(cases)('%s with %s: %s, computing costs %j', async (user, password, expected, computed) => {
    expect(await ask(here.method({}, mixed), attempt(user, password))).toBe(expected)
    expect(costs()).toEqual(computed)
  })

  it('is refused with the password of whoever is the dearest', async () => {
    expect(await ask(here.method({}, mixed), attempt('nobody', 'd'))).toBe('rejected bad-credential')
    expect(await ask(here.method({}, mixed), attempt('nobody', 'd'))).toBe('rejected bad-credential')
  })

  it('is refused with the password of whoever is the dearest, asked for cheap', async () => {
    expect(await ask(here.method({}, mixed), attempt('cheap', 'd'))).toBe('rejected bad-credential')
  })
})

describe('BAS-17 the memory of right passwords', () => {
  it('saves the second computation, for a minute', async () => {
    const method = here.method()
    expect(await ask(method, attempt('ada', 'correct'))).toBe('authenticated ada miss')
    here.clock.forward(59_999)
    expect(await ask(method, attempt('ada', 'correct'))).toBe('authenticated ada hit')
    here.clock.forward(1)
    expect(await ask(method, attempt('ada', 'correct'))).toBe('authenticated ada miss')
    expect(here.tasks).toHaveLength(2)
  })

  it('answers at once', async () => {
    const method = here.method()
    await ask(method, attempt('ada', 'correct'))
    expect(method.authenticate(attempt('ada', 'correct'), signal)).not.toBeInstanceOf(Promise)
  })

  it('is for this password and this user', async () => {
    const method = here.method()
    await ask(method, attempt('ada', 'correct'))
    expect(await ask(method, attempt('ada', 'Correct'))).toBe('rejected bad-credential')
    expect(await ask(method, attempt('bob', 'correct'))).toBe('rejected bad-credential')
  })

  it('DOS-20 what is remembered is enough for a request that is late; nothing else is checked for it', async () => {
    const method = here.method()
    const late = (password: string): AuthRequest => ({ ...attempt('ada', password), late: true })
    expect(await ask(method, late('correct'))).toBe('unavailable overloaded')
    expect(here.tasks).toEqual([])
    expect(await ask(method, attempt('ada', 'correct'))).toBe('authenticated ada miss')
    expect(await ask(method, late('correct'))).toBe('authenticated ada hit')
    expect(await ask(method, late('wrong'))).toBe('unavailable overloaded')
    expect(here.tasks).toHaveLength(1)
  })

  it('never remembers a wrong one', async () => {
    const method = here.method()
    await ask(method, attempt('ada', 'wrong'))
    await ask(method, attempt('ada', 'wrong'))
    expect(here.tasks).toHaveLength(2)
  })

  it('outlives a reload of the same file', async () => {
    await ask(here.method(), attempt('ada', 'correct'))
    expect(await ask(here.method(), attempt('ada', 'correct'))).toBe('authenticated ada hit')
  })

  const changes: readonly (readonly [name: string, content: string, expected: string])[] = [
    ['a new password', `ada:${hash('changed')}`, 'rejected bad-credential'],
    ['the same password hashed anew', `ada:${hash('correct')}`, 'authenticated ada miss'],
    ['a user who is gone', `bob:${hash('builder')}`, 'rejected bad-credential'],
    ['an empty file', '', 'rejected bad-credential'],
  ]
  it.each(changes)('ends with a reload: %s', async (_, content, expected) => {
    await ask(here.method(), attempt('ada', 'correct'))
    expect(await ask(here.method({}, content), attempt('ada', 'correct'))).toBe(expected)
  })

  it('ends for a user who is gone, though another has the very same line', async () => {
    const shared = hash('correct')
    await ask(here.method({}, `ada:${shared}\nbob:${shared}`), attempt('ada', 'correct'))
    expect(await ask(here.method({}, `bob:${shared}`), attempt('ada', 'correct'))).toBe('rejected bad-credential')
  })

  it('holds no password: a heap snapshot has what somebody holds, and not that', async () => {
    // Only the bytes are kept here, so that no string of the password outlives its use but by a mistake of ours.
    const seed = randomBytes(12)
    const held = randomBytes(12).toString('hex')
    const method = here.method({}, `ada:${hash(seed.toString('hex'))}`)
    expect(await ask(method, attempt('ada', seed.toString('hex')))).toBe('authenticated ada miss')
    expect(await ask(method, attempt('ada', seed.toString('hex')))).toBe('authenticated ada hit')
    expect(await ask(method, attempt('eve', seed.toString('hex')))).toBe('rejected bad-credential')
    here.tasks.length = 0
    const chunks: Buffer[] = []
    for await (const chunk of getHeapSnapshot()) chunks.push(Buffer.from(chunk as Uint8Array))
    const snapshot = Buffer.concat(chunks)
    expect(snapshot.includes(held)).toBe(true)
    expect(snapshot.includes(seed.toString('hex'))).toBe(false)
    expect(snapshot.includes(Buffer.from(`ada:${seed.toString('hex')}`).toString('base64'))).toBe(false)
  })

  it('E7 is of one policy: another computes for itself', async () => {
    await ask(here.method(), attempt('ada', 'correct'))
    expect(await ask(here.method({}, file, 'shop/other/staff'), attempt('ada', 'correct'))).toBe(
      'authenticated ada miss',
    )
  })
})

describe('lockout', () => {
  it('BAS-18 counts one user over rules, transports and spellings', async () => {
    const rules = [
      here.method({}, file, 'shop/one/staff'),
      here.method({}, file, 'shop/two/staff'),
      here.method({}, file, 'a/b/c'),
    ]
    const spellings = ['Zo\u00eb', 'zo\u00eb', 'Zoe\u0308', 'ZO\u00cb', 'Zo\u00eb', 'Zo\u00eb']
    const answers: string[] = []
    for (const [index, user] of spellings.entries()) {
      const rule = rules[index % 3] ?? here.method()
      answers.push(await ask(rule, attempt(user, `wrong${index}`, { via: index % 2 === 0 ? 'grpc' : 'check' })))
    }
    expect(answers).toEqual([...Array<string>(5).fill('rejected bad-credential'), 'rejected locked-out'])
    expect(here.telemetry.counted('lockout')).toBe(1)
    expect(here.tasks).toHaveLength(5)
  })

  it('BAS-19 is for the source that failed: bob still gets in from elsewhere', async () => {
    const method = here.method()
    for (let guess = 0; guess < 5; guess++)
      await ask(method, attempt('bob', `guess${guess}`, { source: '198.51.100.7' }))
    expect(await ask(method, attempt('bob', 'builder', { source: '198.51.100.7' }))).toBe('rejected locked-out')
    expect(await ask(method, attempt('bob', 'builder'))).toBe('authenticated bob miss')
  })

  it('comes before the memory of right passwords, which would tell a guesser', async () => {
    const method = here.method()
    await ask(method, attempt('ada', 'correct'))
    for (let guess = 0; guess < 5; guess++) await ask(method, attempt('ada', `guess${guess}`))
    expect(await ask(method, attempt('ada', 'correct'))).toBe('rejected locked-out')
    here.clock.forward(1000)
    expect(await ask(method, attempt('ada', 'correct'))).toBe('authenticated ada hit')
  })

  it('BAS-19 of unknown source is soft: who got in lately stays in, and a right password waits for seconds only', async () => {
    const method = here.method()
    const ada = attempt('ada', 'correct', { source: undefined })
    expect(await ask(method, ada)).toBe('authenticated ada miss')
    for (let guess = 0; guess < 50; guess++) {
      await ask(method, attempt('ada', `guess${guess}`, { source: undefined }))
      await ask(method, attempt('bob', `guess${guess}`, { source: '' }))
    }
    expect(await ask(method, ada)).toBe('authenticated ada hit')
    expect(await ask(method, attempt('bob', 'builder', { source: undefined }))).toBe('rejected locked-out')
    here.clock.forward(4000)
    expect(await ask(method, attempt('bob', 'builder', { source: undefined }))).toBe('authenticated bob miss')
  })

  it('BAS-19 of unknown source keeps a password in mind for as long as it is used while somebody guesses', async () => {
    const method = here.method()
    await ask(method, attempt('ada', 'correct', { source: undefined }))
    for (let half = 0; half < 10; half++) {
      here.clock.forward(30_000)
      for (let guess = 0; guess < 6; guess++)
        await ask(method, attempt('ada', `guess${half} ${guess}`, { source: undefined }))
      expect(await ask(method, attempt('ada', 'correct', { source: undefined }))).toBe('authenticated ada hit')
    }
  })

  it('counts users that do not exist just the same', async () => {
    const method = here.method()
    for (let guess = 0; guess < 5; guess++) await ask(method, attempt('nobody', `guess${guess}`))
    expect(await ask(method, attempt('nobody', 'x'))).toBe('rejected locked-out')
  })

  it('gives parallel guesses no more than five', async () => {
    const method = here.method()
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, guess) => ask(method, attempt('ada', `guess${guess}`))),
    )
    expect(answers.filter((one) => one === 'rejected bad-credential')).toHaveLength(5)
    expect(answers.filter((one) => one === 'rejected locked-out')).toHaveLength(45)
    expect(here.tasks).toHaveLength(5)
  })

  it('does not count what never got computed', async () => {
    const method = here.method()
    for (let time = 0; time < 10; time++) await method.authenticate(attempt('ada', 'wrong'), AbortSignal.abort())
    expect(await ask(method, attempt('ada', 'correct'))).toBe('authenticated ada miss')
  })
})

describe('many at once', () => {
  it('compute the same password once, right', async () => {
    const method = here.method()
    const answers = await Promise.all(Array.from({ length: 200 }, () => ask(method, attempt('ada', 'correct'))))
    expect(new Set(answers)).toEqual(new Set(['authenticated ada miss']))
    expect(here.tasks).toHaveLength(1)
  })

  it('compute the same password once, wrong, and fail once', async () => {
    const method = here.method()
    const answers = await Promise.all(Array.from({ length: 200 }, () => ask(method, attempt('ada', 'stale'))))
    expect(new Set(answers)).toEqual(new Set(['rejected bad-credential']))
    expect(await ask(method, attempt('ada', 'correct'))).toBe('authenticated ada miss')
  })

  it('are refused when there is no room, and that is no failure of theirs', async () => {
    const passwords = createPasswordPool({ telemetry: here.telemetry, threads: 1, room: 2 })
    const context = methodContext({
      objects: [secretObject('staff', { '.htpasswd': file })],
      services: { ...here.services, passwords },
    })
    const method = authenticatorOf(basic, block, context)
    const asked = Array.from({ length: 10 }, (_, n) =>
      ask(method, attempt(`user${n}`, 'x', { source: `192.0.2.${n}` })),
    )
    const answers = await Promise.all(asked)
    expect(answers.filter((one) => one === 'rejected bad-credential')).toHaveLength(2)
    expect(answers.filter((one) => one === 'unavailable overloaded')).toHaveLength(8)
    await passwords.close()
    expect(await ask(method, attempt('ada', 'correct'))).toBe('unavailable internal')
  })
})

describe('who goes away', () => {
  it('before the password was computed: cancelled', async () => {
    const outcome = await here.method().authenticate(attempt('ada', 'correct'), AbortSignal.abort())
    expect(outcome).toEqual({ kind: 'unavailable', reason: 'cancelled' })
  })

  it('while it is computed: the next try has the answer', async () => {
    const method = here.method()
    const stop = new AbortController()
    const asked = method.authenticate(attempt('ada', 'correct'), stop.signal)
    stop.abort()
    await asked
    expect(await ask(method, attempt('ada', 'correct'))).toBe('authenticated ada hit')
    expect(here.tasks).toHaveLength(1)
  })
})
