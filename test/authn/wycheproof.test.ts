import { createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { candidates, readKeySet } from '../../src/authn/jwk-set.ts'
import { signatureAlgorithms } from '../../src/authn/jwk.ts'
import { allowedAlgorithm, verifyingKey } from '../../src/authn/jws-signature.ts'
import { readJws } from '../../src/authn/jwt-token.ts'

// C2SP Wycheproof at dac1dd4729fd1f8dd9e1e9f3dce51d783da6c166, Apache-2.0 (LICENSE beside the files).

interface Vector {
  readonly tcId: number
  readonly comment: string
  readonly result: 'valid' | 'invalid'
  readonly jws?: unknown
}
type Keys = Readonly<Record<string, unknown>>
interface SignatureGroup {
  readonly publicKeyPem: string
  readonly tests: readonly {
    readonly tcId: number
    readonly msg: string
    readonly sig: string
    readonly result: string
  }[]
}
interface Group {
  readonly comment: string
  readonly public?: Keys
  readonly private: Keys
  readonly tests: readonly Vector[]
}

const file = (name: string): { readonly testGroups: unknown } =>
  JSON.parse(readFileSync(new URL(`../vectors/wycheproof/${name}.json`, import.meta.url), 'utf8')) as {
    testGroups: unknown
  }

/** Our way of verifying, from the text of a token and of a key set, as the `jwt` method goes it; claims aside. */
async function accepts(jws: string, keySet: string): Promise<boolean> {
  const token = readJws(jws)
  const set = readKeySet(keySet, 'local')
  if (token === undefined || set === undefined) return false
  const algorithm = allowedAlgorithm(token.header.alg, signatureAlgorithms)
  if (algorithm === undefined) return false
  const key = await verifyingKey(token, algorithm, candidates(set.keys, token.header.kid, algorithm))
  return key !== undefined
}

const setOf = (group: Group): string => {
  const keys = group.public ?? group.private
  return JSON.stringify('keys' in keys ? keys : { keys: [keys] })
}

interface Case extends Vector {
  readonly group: Group
}

const casesOf = (name: string): readonly Case[] =>
  (file(name).testGroups as readonly Group[]).flatMap((group) =>
    group.tests.filter(({ jws }) => jws !== undefined).map((test) => ({ ...test, group })),
  )

/** Ids whose answer differs from the label. */
async function disagreements(cases: readonly Case[]): Promise<readonly number[]> {
  const wrong: number[] = []
  for (const { tcId, jws, result, group } of cases) {
    const text = typeof jws === 'string' ? jws : JSON.stringify(jws)
    if ((await accepts(text, setOf(group))) !== (result === 'valid')) wrong.push(tcId)
  }
  return wrong
}

/** Labels that are not followed, with the reason. */
const notFollowed: ReadonlyMap<number, string> = new Map([
  [346, 'valid, though the key says PS256 and the header PS384'],
  [350, 'valid, though the key says PS256 and the header PS384'],
  [347, 'valid, though the alg of the key is misspelt ES521'],
  [351, 'valid, though the alg of the key is misspelt ES521'],
  [367, 'invalid, though byte for byte the valid case 357'],
  [370, 'invalid, though byte for byte the valid case 357'],
  [372, 'valid, though a question mark is in the header'],
  [373, 'valid, though a question mark is in the payload'],
])

describe('Wycheproof json_web_signature_test (JWT-07, JWT-09, JWT-14, JWT-36, JWT-38)', () => {
  const cases = casesOf('json_web_signature_test')
  const followed = cases.filter(({ tcId }) => !notFollowed.has(tcId))

  it('agrees with 393 of 393 labels', async () => {
    expect(cases).toHaveLength(401)
    expect(followed).toHaveLength(393)
    expect(await disagreements(followed)).toEqual([])
  })

  it('accepts what is valid: the 393 are not refused wholesale', async () => {
    expect(followed.filter(({ result }) => result === 'valid')).toHaveLength(40)
  })

  it('refuses the six labels that say valid of what two readers could read differently', async () => {
    const excluded = cases.filter(({ tcId }) => notFollowed.has(tcId))
    expect(await disagreements(excluded)).toEqual([346, 347, 350, 351, 367, 370, 372, 373])
  })
})

describe('Wycheproof ecdsa_secp256r1_sha256_p1363_test: numbers of every size and form (JWT-07)', () => {
  it('agrees with 262 of 262 labels, 89 of which are invalid', async () => {
    const groups = file('ecdsa_secp256r1_sha256_p1363_test').testGroups as readonly SignatureGroup[]
    const wrong: number[] = []
    const labels: string[] = []
    for (const { publicKeyPem, tests } of groups) {
      const key = createPublicKey(publicKeyPem)
      const keys = [{ kid: undefined, algorithms: ['ES256'], key, print: '' }] as const
      for (const { tcId, msg, sig, result } of tests) {
        const [signed, signature] = [Buffer.from(msg, 'hex'), Buffer.from(sig, 'hex')]
        const header = { alg: 'ES256', kid: undefined, typ: undefined }
        const jws = { text: '', header, payload: new Uint8Array(), signed, signature }
        const found = await verifyingKey(jws, 'ES256', keys)
        if ((found !== undefined) !== (result === 'valid')) wrong.push(tcId)
        labels.push(result)
      }
    }
    expect(wrong).toEqual([])
    expect([labels.length, labels.filter((one) => one === 'invalid').length]).toEqual([262, 89])
  })
})

describe('Wycheproof json_web_key_test (JWT-05, JWT-06, JWT-32)', () => {
  it('agrees with 26 of 26 labels', async () => {
    const cases = casesOf('json_web_key_test')
    expect(cases).toHaveLength(26)
    expect(await disagreements(cases)).toEqual([])
  })
})

describe('Wycheproof json_web_crypto_test, the signed ones (JWT-06, JWT-08)', () => {
  it('agrees with 49 of 49 labels (48 compact, one in JSON serialisation)', async () => {
    const cases = casesOf('json_web_crypto_test')
    expect(cases).toHaveLength(49)
    expect(await disagreements(cases)).toEqual([])
  })
})
