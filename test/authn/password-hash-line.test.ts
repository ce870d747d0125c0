import { describe, expect, it } from 'vitest'
import { hashPassword, passwordFormats } from '../../src/authn/hash-line.ts'
import { parsePasswordFile } from '../../src/authn/password-file.ts'
import { verifyPassword } from '../../src/authn/password/index.ts'
import { Secret } from '../../src/model/secret.ts'

describe('a new password line', () => {
  const password = 'Zoe\u0308 & 😀 pass word'
  it.each(passwordFormats)('of %s is taken by the password file without a word about weakness', async (format) => {
    const hash = await hashPassword(password, format)
    const file = parsePasswordFile(Buffer.from(`ada:${hash}`), { allowDesCrypt: false, allowPlaintext: false })
    expect(file.ok && file.value.findings.filter(({ code }) => code === 'weak-password-hash')).toEqual([])
    expect(verifyPassword(password.normalize('NFC'), hash)).toBe(true)
    expect(verifyPassword(`${password} `, hash)).toBe(false)
  })

  it('is Argon2id unless told otherwise, salted anew each time', async () => {
    const [one, other] = [await hashPassword('secret'), await hashPassword(new Secret('secret'))]
    expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(other).not.toBe(one)
    expect(verifyPassword('secret', other)).toBe(true)
  })

  it.each([
    ['', 'argon2id', 'the password is empty'],
    ['a\nb', 'argon2id', 'the password holds control characters'],
    ['x'.repeat(1025), 'argon2id', 'the password is longer than 1024 bytes'],
    ['x'.repeat(73), 'bcrypt', 'bcrypt takes 72 bytes at most; use argon2id'],
  ] as const)('BAS-03 is not made of what nobody could log in with: %j', async (given, format, message) => {
    await expect(hashPassword(given, format)).rejects.toThrow(message)
  })
})
