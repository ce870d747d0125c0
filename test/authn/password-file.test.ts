import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parsePasswordFile } from '../../src/authn/password-file.ts'

const none = { allowDesCrypt: false, allowPlaintext: false }
const strong = '$argon2id$v=19$m=19456,t=2,p=1$ECIEYExpTcnZ21urFYIQQg$eKiwb5LH5Ug05SXk4f5K2l52rVn3N1rALVMqEVcYmTc'
const strongest = strong.replace('t=2', 't=4')
const read = (text: string | Uint8Array, optIns: Partial<typeof none> = {}) =>
  parsePasswordFile(typeof text === 'string' ? Buffer.from(text) : text, { ...none, ...optIns })

/** User names, then what is said of the lines. */
function summary(text: string | Uint8Array, optIns: Partial<typeof none> = {}): readonly string[] {
  const result = read(text, optIns)
  const findings = result.ok ? result.value.findings : result.findings
  return [
    ...(result.ok ? [...result.value.value.keys()] : ['(refused)']),
    ...findings.map(({ code, severity, say }) => `${severity} ${code}: ${say}`),
  ]
}

describe('BAS-21 the file, as Apache reads it', () => {
  const cases: readonly (readonly [name: string, file: string | Uint8Array, expected: readonly string[]])[] = [
    ['lines', `ada:${strong}\nbob:${strong}`, ['ada', 'bob']],
    ['comments and blank lines', `# staff\n\n   \nada:${strong}\n  # more\n`, ['ada']],
    ['CRLF', `ada:${strong}\r\nbob:${strong}\r\n`, ['ada', 'bob']],
    ['a byte order mark', `\uFEFFada:${strong}\n`, ['ada']],
    ['white space around lines', ` \tada:${strong} \t \n`, ['ada']],
    ['a third field', `ada:${strong}:Ada Lovelace:x\n`, ['ada']],
    [
      'names with spaces and letters of the world',
      `Ada Lovelace:${strong}\nЖеня:${strong}\n`,
      ['Ada Lovelace', 'Женя'],
    ],
    ['BAS-20 names of two cases', `Ada:${strong}\nada:${strong}\n`, ['Ada', 'ada']],
    ['a name like an object’s member', `__proto__:${strong}\nconstructor:${strong}`, ['__proto__', 'constructor']],
    ['BAS-09 names in NFD', `Zoe\u0308:${strong}\n`, ['Zo\u00eb']],
    [
      'a user twice',
      `ada:${strong}\n#\nada:${strongest}\n`,
      ['(refused)', 'error bad-password-line: line 3 names a user for the second time'],
    ],
    [
      'a user twice, in NFC and NFD',
      `Zo\u00eb:${strong}\nZoe\u0308:${strong}\n`,
      ['(refused)', 'error bad-password-line: line 2 names a user for the second time'],
    ],
    [
      'text that is not UTF-8',
      Buffer.from([0x61, 0xff, 0x3a]),
      ['(refused)', 'error bad-reference: the password file is not UTF-8'],
    ],
    [
      'too much',
      Buffer.alloc(4 * 2 ** 20 + 1, 35),
      ['(refused)', 'error too-large: the password file is larger than 4194304 bytes'],
    ],
  ]
  it.each(cases)('%s', (_, file, expected) => expect(summary(file)).toEqual(expected))
})

describe('bad lines', () => {
  const cases: readonly (readonly [name: string, line: string, said: string])[] = [
    ['no colon', 'ada', 'error bad-password-line: line 2 has no colon'],
    ['BAS-07 no hash', 'ada:', 'error bad-password-line: line 2 has no hash'],
    ['BAS-07 a hash in the wrong field', `ada::${strong}`, 'error bad-password-line: line 2 has no hash'],
    ['BAS-07 no user', `:${strong}`, 'error bad-password-line: line 2 has no user name, or control characters in it'],
    [
      'a control character',
      `a\u0007da:${strong}`,
      'error bad-password-line: line 2 has no user name, or control characters in it',
    ],
    [
      'an unknown format',
      'ada:$7$C6..../....$SodiumChloride$x',
      'error bad-password-line: line 2 has a hash of an unknown format',
    ],
    ['a long line', `ada:${'x'.repeat(1100)}`, 'error bad-password-line: line 2 is longer than 1024 characters'],
    [
      'BAS-02 $2x$',
      `ada:$2x$10$${'a'.repeat(53)}`,
      'error bad-password-line: line 2 is of a broken bcrypt ($2$ or $2x$)',
    ],
    ['BAS-05 DES crypt', 'ada:arlEKn0OzVJn.', 'error weak-password-hash: line 2 is DES crypt'],
    ['BAS-06 plain text', 'ada:secret', 'error weak-password-hash: line 2 is plain text'],
  ]
  it.each(cases)('%s', (_, line, said) => expect(summary(`bob:${strong}\n${line}\n`)).toEqual(['(refused)', said]))

  it('are told all at once, up to a hundred', () => {
    expect(summary('a\nb\nc\n')).toHaveLength(4)
    expect(summary('a\n'.repeat(1000))).toHaveLength(101)
  })

  it('are never quoted, whatever they hold', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 12, unit: 'grapheme-ascii' }), (secret) => {
        const result = read(`user:${secret}\n${secret}\nother:$6$${secret}\n`)
        expect(JSON.stringify(result)).not.toContain(JSON.stringify(secret).slice(1, -1))
      }),
    )
  })
})

describe('opt-ins', () => {
  it('BAS-05 DES crypt works when asked for, with a warning', () => {
    expect(summary('ada:arlEKn0OzVJn.', { allowDesCrypt: true })).toEqual([
      'ada',
      'warning weak-password-hash: line 1: DES crypt looks at the first eight bytes of a password only, and is quick to guess',
    ])
  })

  it('BAS-06 plain text works when asked for, with a warning; what looks like DES stays refused', () => {
    expect(summary('ada:secret', { allowPlaintext: true })).toEqual([
      'ada',
      'warning weak-password-hash: line 1: plain text is readable by whoever sees it',
    ])
    expect(summary('ada:arlEKn0OzVJn.', { allowPlaintext: true })).toEqual([
      '(refused)',
      'error weak-password-hash: line 1 is DES crypt',
    ])
  })

  it('BAS-06 a plain password with a colon would be cut there', () => {
    expect(summary('ada:a:b', { allowPlaintext: true })).toEqual([
      '(refused)',
      'error bad-password-line: line 1 has a plain password with a colon',
    ])
  })
})

describe('BAS-22 nobody', () => {
  const said = ['warning nothing-to-check: the password file names no user: every request is refused']
  it.each(['', '\n\n', '# nobody yet\n', '\uFEFF'])('%j is a warning', (file) => expect(summary(file)).toEqual(said))
})

describe('BAS-23 costs', () => {
  const salted = '$ECIEYExpTcnZ21urFYIQQg$eKiwb5LH5Ug05SXk4f5K2l52rVn3N1rALVMqEVcYmTc'
  const tooCostly = [
    `$2y$31$${'a'.repeat(53)}`,
    `$2y$15$${'a'.repeat(53)}`,
    `$6$rounds=999999999$salt$${'a'.repeat(86)}`,
    `$5$rounds=999999999$salt$${'a'.repeat(43)}`,
    `$argon2id$v=19$m=4194304,t=1,p=1${salted}`,
    `$argon2id$v=19$m=19456,t=4294967295,p=1${salted}`,
    `$argon2id$v=19$m=9999999999,t=9999999999,p=1${salted}`,
    `$scrypt$ln=30,r=8,p=1${salted}`,
    `$scrypt$ln=14,r=8,p=100000${salted}`,
    `$scrypt$ln=9999999999,r=8,p=1${salted}`,
    `$pbkdf2-sha256$i=1000000000${salted}`,
    `$pbkdf2-sha512$9999999999${salted.replaceAll('+', '.')}`,
  ]
  it.each(tooCostly)('%s is refused at load', (hash) => {
    expect(summary(`ada:${hash}`)).toEqual([
      '(refused)',
      'error password-too-costly: line 1 costs more time or memory than one request may',
    ])
  })

  const fine = [
    strong,
    `$2y$10$${'a'.repeat(53)}`,
    `$pbkdf2-sha256$i=600000${salted}`,
    `$argon2id$v=19$m=47104,t=1,p=1${salted}`,
    `$argon2id$v=19$m=7168,t=5,p=1${salted}`,
  ]
  it.each(fine)('%s is fine', (hash) => expect(summary(`ada:${hash}`)).toEqual(['ada']))

  it('warns of weak ones, lines together', () => {
    const lines = Array.from({ length: 12 }, (_, index) => `user${index}:$2y$05$${'a'.repeat(53)}`)
    expect(summary(lines.join('\n')).slice(12)).toEqual([
      'warning weak-password-hash: lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more: bcrypt has cost 5; 10 is the least',
    ])
  })

  it('warns of slow ones', () => {
    expect(summary(`ada:$scrypt$ln=17,r=8,p=1${salted}`)).toEqual([
      'ada',
      'warning password-too-costly: line 1: scrypt at this cost takes longer than an answer over gRPC may: a first try can run out of time',
    ])
  })

  const weak: readonly (readonly [string, string])[] = [
    ['{SHA}', `{SHA}${Buffer.alloc(20).toString('base64')}`],
    ['{SSHA}', `{SSHA}${Buffer.alloc(24).toString('base64')}`],
    ['apr1', `$apr1$salt$${'a'.repeat(22)}`],
    ['$5$', `$5$salt$${'a'.repeat(43)}`],
    ['$6$', `$6$salt$${'a'.repeat(86)}`],
    ['pbkdf2', `$pbkdf2-sha256$i=29000${salted}`],
    ['argon2', `$argon2id$v=19$m=8192,t=2,p=1${salted}`],
    ['scrypt', `$scrypt$ln=14,r=8,p=1${salted}`],
  ]
  it.each(weak)('%s of this cost is weak', (_, hash) => {
    const result = read(`ada:${hash}`)
    expect(result.ok && result.value.findings.map(({ code }) => code)).toEqual(['weak-password-hash'])
  })
})

describe('any bytes', () => {
  it('give users or findings, never a throw, and never a user without a hash', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
        ),
        (bytes) => {
          const result = parsePasswordFile(bytes, { allowDesCrypt: true, allowPlaintext: true })
          for (const [user, { hash }] of result.ok ? result.value.value : []) {
            expect(user).not.toBe('')
            expect(hash).not.toBe('')
          }
        },
      ),
      { numRuns: 2000 },
    )
  })
})
