import { spawnSync } from 'node:child_process'
import { hashSync as bcryptHash } from '@node-rs/bcrypt'
import { describe, expect, it } from 'vitest'
import { formatOf, passwordFormats, verifyPassword } from '../../src/authn/password/index.ts'
import { sameBytes } from '../../src/authn/password/same-bytes.ts'
import { describeWith } from '../support/describe-with.ts'
import { needed } from '../support/tools.ts'

const password = 'Zoë:pä 😀'

/** Made by passlib, Python's hashlib, Perl's crypt(3) and slappasswd's algorithm: nothing of ours. */
const foreign: readonly (readonly [name: string, hash: string])[] = [
  ['scrypt (passlib)', '$scrypt$ln=14,r=8,p=1$r1VKCeE851xLqdU6B2CMUQ$QIVJpYUZYBiyKBS4oeFr07ps8W6D7OXhlxifnGi+wA8'],
  [
    'scrypt of two lanes (passlib)',
    '$scrypt$ln=10,r=8,p=2$QYhxzvnfe+99zxlDKIVwzg$W5MpheAf7td4InNer/wQu6RBjCcr7EbO9LPT89AMMsU',
  ],
  [
    'pbkdf2-sha256 (passlib)',
    '$pbkdf2-sha256$29000$hXBuTUnJuRei9N6b01qrdQ$.q1bJv05efHCgUtHVZGqubDvlSajwjvacUxLmfHsj2g',
  ],
  [
    'pbkdf2-sha512 (passlib)',
    '$pbkdf2-sha512$25000$VcpZy7n3HuP8v9eaM0ZoDQ$/Cf52hNbrDmM4u5fbU/3/jkyT22i81qwDA/fTx3MsYudq3xstAudcm7jIgHRqE4FAF4Z25/5kmiaNgk5tJJGnA',
  ],
  [
    'pbkdf2-sha256 (PHC)',
    '$pbkdf2-sha256$i=10000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$tPLFLr/8cMafT9bg3qTra678WoE1OMJCudpufrZPqT4',
  ],
  [
    'pbkdf2-sha512 (PHC without length)',
    '$pbkdf2-sha512$i=10000$MDEyMzQ1Njc4OWFiY2RlZg$4cV4KJUKAY2uotXNel6EBDcXmlc4wl1d4d7W+ArByOufHldPFLvySPm3WKOsbsT5fi6E/EQ7GL6W5Saal8yKyQ',
  ],
  ['{SSHA}', '{SSHA}yAP72gojBy9uw+FP7KhM2fhoDnYHwHjv'],
  [
    'argon2id (argon2-cffi)',
    '$argon2id$v=19$m=8192,t=2,p=2$ECIEYExpTcnZ21urFYIQQg$eKiwb5LH5Ug05SXk4f5K2l52rVn3N1rALVMqEVcYmTc',
  ],
  [
    'argon2i (argon2-cffi)',
    '$argon2i$v=19$m=8192,t=2,p=2$6h1jDIGwVupdaw2hdO79fw$BQDcKLd8DWy8fi9pUP2ScZqi/9jNLmNnLLgi0zItSGo',
  ],
  [
    '$6$ with rounds (Perl)',
    '$6$rounds=1000$saltsalt$VNcicYtBvDk12LYk40zq3HftKlQIMagJ1qzCjn76J6JVrZltn0hABYXA0TJWlwyW7ZBM3cZrStQBhZP5VmN44.',
  ],
]

describe('hashes that other programs made', () => {
  for (const [name, hash] of foreign) {
    it(`${name}: the password, and nothing like it`, () => {
      expect(formatOf(hash)?.examine(hash).kind).toBe('usable')
      expect(verifyPassword(password, hash)).toBe(true)
      for (const wrong of [
        '',
        ' ',
        password.slice(1),
        `${password} `,
        password.toUpperCase(),
        password.normalize('NFD'),
      ])
        expect(verifyPassword(wrong, hash), wrong).toBe(false)
    })
  }
})

await describeWith(['htpasswd'], 'htpasswd of apache2-utils', () => {
  const flags: readonly (readonly [flags: readonly string[], format: string])[] = [
    [['-m'], 'apr1 (MD5)'],
    [['-B'], 'bcrypt'],
    [['-B', '-C', '6'], 'bcrypt'],
    [['-2'], 'SHA-256 crypt ($5$)'],
    [['-2', '-r', '2000'], 'SHA-256 crypt ($5$)'],
    [['-5'], 'SHA-512 crypt ($6$)'],
    [['-5', '-r', '10000'], 'SHA-512 crypt ($6$)'],
    [['-d'], 'DES crypt'],
    [['-s'], '{SHA}'],
    [['-p'], 'plain text'],
  ]
  for (const [given, format] of flags) {
    it(`htpasswd ${given.join(' ')} writes ${format}, and we read it`, async () => {
      const { command, env } = await needed('htpasswd')
      for (const secret of ['Pä55 w', 'a']) {
        const { stdout } = spawnSync(command, ['-n', '-i', ...given, 'ada'], { env, input: secret, encoding: 'utf8' })
        const hash = stdout.trim().slice('ada:'.length)
        expect(formatOf(hash)?.name).toBe(format)
        expect(formatOf(hash)?.examine(hash).kind).toBe('usable')
        expect(verifyPassword(secret, hash)).toBe(true)
        expect(verifyPassword(`${secret.slice(0, -1)}x`, hash)).toBe(false)
      }
    })
  }
})

describe('OpenSSL', () => {
  const openssl = (kind: string, secret: string): string => {
    const run = spawnSync('openssl', ['passwd', kind, '-salt', 'aSalt.8/', '-stdin'], {
      input: secret,
      encoding: 'utf8',
    })
    return run.stdout.trim()
  }
  // Every length about the digest sizes: a library that we tried is wrong at 32, 64, 96 … bytes.
  const lengths = [1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 96, 127, 128, 129, 200]
  for (const kind of ['-apr1', '-5', '-6']) {
    it.each(lengths)(`agrees about ${kind} of %i bytes`, (length) => {
      const secret = 'password'.repeat(25).slice(0, length)
      expect(verifyPassword(secret, openssl(kind, secret))).toBe(true)
      expect(verifyPassword(`${secret}p`, openssl(kind, secret))).toBe(false)
    })
  }
})

describe('bcrypt', () => {
  const hashed = bcryptHash(password, 4)

  it.each(['2a', '2b', '2y'])('BAS-02 $%s$ is the same hash under another name', (version) => {
    expect(verifyPassword(password, hashed.replace('$2b$', `$${version}$`))).toBe(true)
  })

  it.each(['$2x$', '$2$'])('BAS-02 %s is refused, right password or not', (prefix) => {
    const hash = hashed.replace('$2b$', prefix)
    expect(formatOf(hash)?.examine(hash)).toEqual({ kind: 'unreadable', say: 'is of a broken bcrypt ($2$ or $2x$)' })
    expect(verifyPassword(password, hash)).toBe(false)
  })

  it('BAS-03 takes 72 bytes and refuses the 73rd, which bcrypt itself would not see', () => {
    const whole = 'x'.repeat(72)
    const hash = bcryptHash(whole, 4)
    expect(verifyPassword(whole, hash)).toBe(true)
    expect(verifyPassword(`${whole}y`, hash)).toBe(false)
    expect(verifyPassword('x'.repeat(71), hash)).toBe(false)
  })

  it('BAS-03 refuses a character that lies across byte 72', () => {
    const across = `${'x'.repeat(71)}ä`
    expect(verifyPassword(across, bcryptHash(across, 4))).toBe(false)
  })

  it('BAS-04 does not end a password at a zero byte', () => {
    const hash = bcryptHash('pass', 4)
    expect(verifyPassword('pass\0x', hash)).toBe(false)
    expect(verifyPassword('pass\0', hash)).toBe(false)
    expect(verifyPassword('pass', hash)).toBe(true)
  })
})

describe('DES crypt', () => {
  // Seventh Edition's own example, and one of crypt(3) of this system.
  const cases = [
    ['foob', 'arlEKn0OzVJn.', true],
    ['foo', 'arlEKn0OzVJn.', false],
    ['12345678', '/Zj4m1kZxe.Ng', true],
    ['123456789', '/Zj4m1kZxe.Ng', true],
    ['1234567', '/Zj4m1kZxe.Ng', false],
    ['pässwort', 'a.4GhN15SoYCc', true],
  ] as const
  it.each(cases)('BAS-05 %s against %s: %s (eight bytes count)', (given, hash, expected) => {
    expect(verifyPassword(given, hash)).toBe(expected)
  })

  it('BAS-05 has to be asked for', () => expect(formatOf('arlEKn0OzVJn.')?.optIn).toBe('allowDesCrypt'))
})

describe('plain text', () => {
  it('BAS-06 has to be asked for', () => expect(formatOf('secret')?.optIn).toBe('allowPlaintext'))

  it.each(['$9$unknown', '{SMD5}abc', '$', '{', '$1$abc$def', '$y$j9T$abc'])(
    'BAS-06 never takes %s for a password',
    (hash) => {
      expect(formatOf(hash)).toBe(undefined)
      expect(verifyPassword(hash, hash)).toBe(false)
    },
  )

  it.each(foreign)('BAS-06 a stored hash is no password: %s', (_, hash) =>
    expect(verifyPassword(hash, hash)).toBe(false),
  )

  it('BAS-06 what looks like DES is DES: the hash itself does not log in', () => {
    expect(verifyPassword('arlEKn0OzVJn.', 'arlEKn0OzVJn.')).toBe(false)
  })

  it('BAS-09 compares in NFC', () => expect(verifyPassword('p\u00e4', 'pa\u0308')).toBe(true))
})

describe('what cannot be read', () => {
  const [, pbkdf2Hash = ''] = foreign[4] ?? []
  const cases: readonly (readonly [string, string])[] = [
    ['bcrypt of cost 3', '$2b$03$' + 'a'.repeat(53)],
    ['bcrypt with a plus', '$2b$+4$' + 'a'.repeat(53)],
    ['bcrypt cut short', '$2b$10$' + 'a'.repeat(52)],
    ['argon2d', '$argon2d$v=19$m=8192,t=2,p=2$ECIEYExpTcnZ21urFYIQQg$eKiwb5LH5Ug05SXk4f5K2l52rVn3N1rALVMqEVcYmTc'],
    ['argon2 of version 18', '$argon2id$v=18$m=8192,t=2,p=2$ECIEYExpTcnZ21urFYIQQg$eKiwb5LH5Ug05SXk4f5K2g'],
    [
      'argon2 with a repeated parameter',
      '$argon2id$v=19$m=8192,m=8192,t=2,p=2$ECIEYExpTcnZ21urFYIQQg$eKiwb5LH5Ug05SXk4f5K2g',
    ],
    ['argon2 with too much in it', '$argon2id$v=19$m=8192,t=2,p=2,x=1$ECIEYExpTcnZ21urFYIQQg$eKiwb5LH5Ug05SXk4f5K2g'],
    ['argon2 of no passes', '$argon2id$v=19$m=8192,t=0,p=2$ECIEYExpTcnZ21urFYIQQg$eKiwb5LH5Ug05SXk4f5K2g'],
    ['argon2 with three bytes of hash', '$argon2id$v=19$m=8192,t=2,p=2$ECIEYExpTcnZ21urFYIQQg$eKiw'],
    ['scrypt of no lanes', '$scrypt$ln=14,r=8,p=0$ECIEYExpTcnZ21urFYIQQg$eKiwb5LH5Ug05SXk4f5K2g'],
    ['scrypt with padding', '$scrypt$ln=14,r=8,p=1$ECIEYExpTcnZ21urFYIQQg==$eKiwb5LH5Ug05SXk4f5K2g'],
    ['PBKDF2 of a false length', pbkdf2Hash.replace('l=32', 'l=31')],
    ['PBKDF2 of more than one block', `$pbkdf2-sha256$i=10000$ECIEYExpTcnZ21urFYIQQg$${'A'.repeat(88)}`],
    ['PBKDF2 with SHA-1', pbkdf2Hash.replace('sha256', 'sha1')],
    ['PBKDF2 of no iterations', pbkdf2Hash.replace('i=10000', 'i=0')],
    ['PBKDF2 with an empty hash', '$pbkdf2-sha256$29000$hXBuTUnJuRei9N6b01qrdQ$'],
    ['$6$ of 999 rounds', `$6$rounds=999$saltsalt$${'a'.repeat(86)}`],
    ['$6$ with an empty hash', '$6$saltsalt$'],
    ['$5$ of the length of $6$', `$5$saltsalt$${'a'.repeat(86)}`],
    ['$apr1$ with a long salt', `$apr1$123456789$${'a'.repeat(22)}`],
    ['{SHA} of 19 bytes', `{SHA}${Buffer.alloc(19).toString('base64')}`],
    ['{SHA} that no encoder writes', '{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9h='],
    ['{SSHA} without salt', `{SSHA}${Buffer.alloc(20).toString('base64')}`],
  ]
  it.each(cases)('%s', (_, hash) => {
    expect(formatOf(hash)?.examine(hash).kind).toBe('unreadable')
    expect(verifyPassword('x', hash)).toBe(false)
  })
})

describe('the table', () => {
  it('has one owner at most for every hash', () => {
    for (const [, hash] of foreign) expect(passwordFormats.filter((format) => format.owns(hash))).toHaveLength(1)
  })

  it.each([
    ['{SHA}', '{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk='],
    ['bcrypt', bcryptHash('', 4)],
    ['DES crypt', 'abmF1QH4PEr.E'],
  ])('BAS-07 never takes an empty password, even where %s is that of one', (_, hash) => {
    expect(formatOf(hash)?.examine(hash).kind).toBe('usable')
    expect(verifyPassword('', hash)).toBe(false)
  })

  it('BAS-27 compares values of any lengths without throwing', () => {
    expect(sameBytes('', 'x')).toBe(false)
    expect(sameBytes('x'.repeat(1000), 'x')).toBe(false)
    expect(sameBytes(Buffer.from('ä'), 'ä')).toBe(true)
  })
})
