import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hashSync } from '@node-rs/bcrypt'

/** Credentials of one kind: what clients present, and the subject that each stands for. */
export interface Credentials {
  /** A file with a line `credential subject` each. */
  readonly file: string
  /** Characters of each of them. */
  readonly length: number
  readonly count: number
}

export const issuer = 'https://idp.example.com'
export const audience = 'bench'

/** All of a length, so that a request differs in nothing else. */
const subject = (index: number): string => `user-${String(index).padStart(8, '0')}`

/** A made-up issuer, for as long as one run. */
export interface Issuer {
  /** The JWK Set with its public keys. */
  readonly jwks: string
  /** ES256, because signing a hundred thousand tokens with RSA takes half a minute. */
  readonly token: (index: number) => string
  /** RS256, which every OpenID provider has to support (OpenID Connect Discovery §3) and most use. */
  readonly rsaToken: (index: number) => string
}

/** Makes new keys. */
export function createIssuer(): Issuer {
  const keys = {
    ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  }
  const iat = Math.floor(Date.now() / 1000) - 60
  const claims = { iss: issuer, aud: audience, client_id: 'web', scope: 'cart.read cart.write', tenant: 'north', iat }
  const token = (alg: keyof typeof keys) => (index: number) => {
    const body = { ...claims, exp: iat + 86_400, sub: subject(index), jti: randomUUID() }
    const input = `${part({ alg, kid: alg, typ: 'at+jwt' })}.${part(body)}`
    const key = { key: keys[alg].privateKey, dsaEncoding: 'ieee-p1363' } as const
    return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`
  }
  const published = Object.entries(keys).map(([alg, { publicKey }]) => ({
    ...publicKey.export({ format: 'jwk' }),
    alg,
    kid: alg,
    use: 'sig',
  }))
  return { jwks: JSON.stringify({ keys: published }), token: token('ES256'), rsaToken: token('RS256') }
}

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Writes so many credentials to a file. */
export function writeCredentials(
  folder: string,
  name: string,
  count: number,
  make: (index: number) => string,
): Credentials {
  const made = Array.from({ length: count }, (_, index) => make(index))
  const [first = ''] = made
  if (made.some((one) => one.length !== first.length)) throw new Error(`credentials of ${name} differ in length`)
  const file = join(folder, `${name}.txt`)
  writeFileSync(file, made.map((one, index) => `${one} ${subject(index)}\n`).join(''))
  return { file, length: first.length, count }
}

/** What a request without a credential presents. */
export function noCredentials(folder: string): Credentials {
  const file = join(folder, 'none.txt')
  writeFileSync(file, ' \n')
  return { file, length: 0, count: 1 }
}

const password = 'correct horse battery staple'

/** What stands behind `Basic` for the right password. */
export const basicCredential = (index: number, word = password): string =>
  Buffer.from(`${subject(index)}:${word}`).toString('base64')

/** A password file in which everybody has the same password, and the same hash of it: one is computed, in tens of milliseconds. */
export function passwordFile(users: number): string {
  const hash = hashSync(password, 10)
  return Array.from({ length: users }, (_, index) => `${subject(index)}:${hash}\n`).join('')
}

/** An API key, always the same for an index. */
export const apiKey = (index: number): string =>
  `ghk_${createHash('sha256').update(`bench ${index}`).digest('base64url')}`

/** Entries of a Secret that holds these keys as hashes, by owner. */
export function apiKeySecret(count: number): Readonly<Record<string, string>> {
  const line = (key: string): string => `$gatehouse-key$sha256$${createHash('sha256').update(key).digest('base64url')}`
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [subject(index), line(apiKey(index))]))
}

/** An opaque token, and the subject that introspection is to find for it. */
export const opaqueToken = (index: number): string =>
  `${createHash('sha256').update(`opaque ${index}`).digest('base64url')}.${subject(index)}`
