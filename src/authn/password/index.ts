import { argon2 } from './argon2.ts'
import { bcrypt } from './bcrypt.ts'
import { desCrypt } from './des-crypt.ts'
import type { PasswordFormat } from './format.ts'
import { saltedSha, sha } from './ldap-sha.ts'
import { apr1 } from './md5-crypt.ts'
import { pbkdf2 } from './pbkdf2.ts'
import { plaintext } from './plaintext.ts'
import { scrypt } from './scrypt.ts'
import { sha256Crypt, sha512Crypt } from './sha-crypt.ts'

/** Every format that a password file may hold, strongest first. */
export const passwordFormats: readonly PasswordFormat[] = [
  argon2,
  scrypt,
  bcrypt,
  pbkdf2,
  sha512Crypt,
  sha256Crypt,
  apr1,
  saltedSha,
  sha,
  desCrypt,
  plaintext,
]

/** The format of a stored hash, by its prefix or shape. */
export const formatOf = (hash: string): PasswordFormat | undefined =>
  passwordFormats.find((format) => format.owns(hash))

/** True where the password is the one behind the hash. Holds the thread: call it in a worker. */
export function verifyPassword(password: string, hash: string): boolean {
  const format = formatOf(hash)
  // A hash was examined when its file was loaded; one that is not usable is never computed with.
  if (password === '' || format?.examine(hash).kind !== 'usable') return false
  return format.verify(Buffer.from(password, 'utf8'), hash)
}
