import { pbkdf2, randomBytes, scrypt } from 'node:crypto'
import { promisify } from 'node:util'
import { Secret } from '../model/secret.ts'
import { passwordFault } from './basic-credential.ts'
import { bcryptMaxBytes } from './password/bcrypt.ts'
import { showUnpadded } from './password/phc.ts'

type Hasher = (password: string) => Promise<string>

const salt = (): Buffer => randomBytes(16)

// Costs are OWASP's: argon2id 19 MiB in two passes, bcrypt 10, PBKDF2 600 000. Each fits into an answer's time; scrypt,
// at its recommended 2^17, does not fit into Envoy's default of 200 ms.
const hashers = {
  argon2id: async (password) =>
    (await import('@node-rs/argon2')).hash(password, { memoryCost: 19_456, timeCost: 2, parallelism: 1, salt: salt() }),
  bcrypt: async (password) => {
    if (Buffer.byteLength(password) > bcryptMaxBytes)
      throw new RangeError(`bcrypt takes ${bcryptMaxBytes} bytes at most; use argon2id`)
    // The name that Apache gives the same algorithm: its htpasswd reads the line as well.
    const { hash } = await import('@node-rs/bcrypt')
    return (await hash(password, 10)).replace(/^\$2b\$/, '$2y$')
  },
  scrypt: async (password) => {
    const bytes = salt()
    const N = 2 ** 17
    const digest = await scryptAsync(password, bytes, 32, { N, r: 8, p: 1, maxmem: 256 * N * 8 })
    return `$scrypt$ln=17,r=8,p=1$${showUnpadded(bytes)}$${showUnpadded(digest)}`
  },
  'pbkdf2-sha256': async (password) => {
    const bytes = salt()
    const digest = await promisify(pbkdf2)(password, bytes, 600_000, 32, 'sha256')
    return `$pbkdf2-sha256$i=600000,l=32$${showUnpadded(bytes)}$${showUnpadded(digest)}`
  },
} as const satisfies Record<string, Hasher>

const scryptAsync = promisify<string, Buffer, number, object, Buffer>(scrypt)

/** A format that new lines are made in: the strong ones. */
export type PasswordFormat = keyof typeof hashers

/** The formats by name, the recommended one first. */
export const passwordFormats = Object.keys(hashers) as readonly PasswordFormat[]

/** The hash part of a password-file line. Rejects, with one sentence, for a password that no client could present. */
export async function hashPassword(password: string | Secret, format: PasswordFormat = 'argon2id'): Promise<string> {
  const text = (password instanceof Secret ? password.reveal() : password).normalize('NFC')
  const fault = passwordFault(text)
  if (fault !== undefined) throw new RangeError(fault)
  return hashers[format](text)
}
