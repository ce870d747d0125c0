import { hash } from 'node:crypto'
import { cryptBase64 } from './crypt-base64.ts'
import { unreadable, usable } from './format.ts'
import type { PasswordFormat } from './format.ts'
import { sameBytes } from './same-bytes.ts'

// Written here because the library for it is wrong for passwords of 32, 64, 96 … bytes (a test compares with OpenSSL).

interface Variant {
  readonly algorithm: 'sha256' | 'sha512'
  readonly form: RegExp
  /** Estimated milliseconds for 1000 rounds. */
  readonly millis: number
  readonly encode: (digest: Buffer) => string
}

const sha256: Variant = {
  algorithm: 'sha256',
  form: /^\$5\$(?:rounds=([1-9]\d{3,8})\$)?([./0-9A-Za-z]{1,16})\$([./0-9A-Za-z]{43})$/,
  millis: 1.2,
  encode: (digest) => {
    let [text, a, b, c] = ['', 0, 10, 20]
    for (let group = 0; group < 10; group++) {
      text += cryptBase64(digest[a] ?? 0, digest[b] ?? 0, digest[c] ?? 0, 4)
      ;[a, b, c] = [c + 1, a + 1, b + 1]
    }
    return text + cryptBase64(0, digest[31] ?? 0, digest[30] ?? 0, 3)
  },
}

const sha512: Variant = {
  algorithm: 'sha512',
  form: /^\$6\$(?:rounds=([1-9]\d{3,8})\$)?([./0-9A-Za-z]{1,16})\$([./0-9A-Za-z]{86})$/,
  millis: 1.5,
  encode: (digest) => {
    let [text, a, b, c] = ['', 0, 21, 42]
    for (let group = 0; group < 21; group++) {
      text += cryptBase64(digest[a] ?? 0, digest[b] ?? 0, digest[c] ?? 0, 4)
      ;[a, b, c] = [b + 1, c + 1, a + 1]
    }
    return text + cryptBase64(0, 0, digest[63] ?? 0, 2)
  },
}

/** SHA-256 crypt(3): what `htpasswd -2` writes. */
export const sha256Crypt = shaCryptFormat('SHA-256 crypt ($5$)', '$5$', sha256)

/** SHA-512 crypt(3): what `htpasswd -5` writes. */
export const sha512Crypt = shaCryptFormat('SHA-512 crypt ($6$)', '$6$', sha512)

function shaCryptFormat(name: string, prefix: string, variant: Variant): PasswordFormat {
  return {
    name,
    owns: (text) => text.startsWith(prefix),
    examine: (text) => {
      const match = variant.form.exec(text)
      if (match === null) return unreadable(`is not ${prefix}, rounds of 1000 or more, a salt and a hash`)
      const rounds = Number(match[1] ?? 5000)
      const weak = rounds < 50_000 ? `with ${rounds} rounds is quick to guess` : undefined
      return usable((rounds / 1000) * variant.millis, 0, weak)
    },
    verify: (password, text) => {
      const [, rounds = '5000', salt = '', digest = ''] = variant.form.exec(text) ?? []
      const found = shaCrypt(variant.algorithm, password, { salt: Buffer.from(salt), rounds: Number(rounds) })
      return sameBytes(variant.encode(found), digest)
    },
  }
}

/** Ulrich Drepper, "Unix crypt using SHA-256 and SHA-512", steps 1 to 21. */
function shaCrypt(
  algorithm: Variant['algorithm'],
  password: Uint8Array,
  { salt, rounds }: { readonly salt: Uint8Array; readonly rounds: number },
): Buffer {
  const sha = (...parts: readonly Uint8Array[]): Buffer => hash(algorithm, Buffer.concat(parts), 'buffer')
  const inner = sha(password, salt, password)
  const bits = password.length.toString(2).split('').toReversed()
  const start = sha(
    password,
    salt,
    stretched(inner, password.length),
    ...(password.length === 0 ? [] : bits.map((bit) => (bit === '1' ? inner : password))),
  )
  const p = stretched(sha(...Array<Uint8Array>(password.length).fill(password)), password.length)
  const s = stretched(sha(...Array<Uint8Array>(16 + (start[0] ?? 0)).fill(salt)), salt.length)
  let digest = start
  for (let round = 0; round < rounds; round++) {
    const odd = round % 2 === 1
    const middle = [...(round % 3 === 0 ? [] : [s]), ...(round % 7 === 0 ? [] : [p])]
    digest = sha(odd ? p : digest, ...middle, odd ? digest : p)
  }
  return digest
}

/** The bytes again and again, up to a length. */
const stretched = (bytes: Uint8Array, length: number): Buffer => Buffer.alloc(length, length === 0 ? 0 : bytes)
