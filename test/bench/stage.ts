import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { apiKey, basicCredential, createIssuer, noCredentials, opaqueToken, writeCredentials } from './credentials.ts'
import type { Credentials } from './credentials.ts'
import { startIntrospection } from './introspection-endpoint.ts'
import { matchingWorld, methodsWorld, policiesWorld } from './worlds.ts'
import type { MatchedPlace } from './worlds.ts'

/** What the subjects of a run share: credentials and worlds, each made when it is first asked for. */
export interface Stage {
  readonly tokens: (count: number) => Credentials
  /** So many tokens that no cache is meant to hold them all. */
  readonly manyTokens: () => Credentials
  /** Tokens with RSA signatures, each to be presented once. */
  readonly rsaTokens: () => Credentials
  readonly passwords: () => Credentials
  readonly wrongPasswords: () => Credentials
  readonly keys: () => Credentials
  readonly opaque: () => Credentials
  readonly nobody: () => Credentials
  readonly methods: () => string
  readonly matching: (rules: number, hosts: number) => MatchedPlace
  readonly policies: (count: number) => string
  /** A path of its own for a file. */
  readonly file: (name: string) => string
  readonly close: () => void
}

const users = 8
const keys = 100

/** How many of the tokens that take long to make there are; an RSA signature takes half a millisecond. */
export interface Amounts {
  readonly many: number
  readonly rsa: number
}

/** Makes an empty stage; close it in the end. */
export async function createStage({ many, rsa }: Amounts): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  process.once('exit', remove)
  const endpoint = await startIntrospection()
  const issuer = createIssuer()
  const parts = { folder, jwks: issuer.jwks, introspection: endpoint.url, users, keys }
  const made = new Map<string, unknown>()
  function once<T>(name: string, make: () => T): T {
    if (!made.has(name)) made.set(name, make())
    return made.get(name) as T // what was put there under this name
  }
  const some = (name: string, count: number, make: (index: number) => string): Credentials =>
    once(`credentials ${name}`, () => writeCredentials(folder, name, count, make))
  const tokens: Stage['tokens'] = (count) => some(`tokens-${count}`, count, issuer.token)
  return {
    tokens,
    manyTokens: () => tokens(many),
    rsaTokens: () => some('tokens-rsa', rsa, issuer.rsaToken),
    passwords: () => some('passwords', users, (index) => basicCredential(index)),
    wrongPasswords: () => some('wrong-passwords', 5000, (index) => basicCredential(index, 'wrong')),
    keys: () => some('keys', keys, apiKey),
    opaque: () => some('opaque', 1000, opaqueToken),
    nobody: () => once('nobody', () => noCredentials(folder)),
    methods: () => once('methods', () => methodsWorld(parts)),
    matching: (rules, hosts) => once(`matching ${rules} ${hosts}`, () => matchingWorld(parts, rules, hosts)),
    policies: (count) => once(`policies ${count}`, () => policiesWorld(parts, count)),
    file: (name) => join(folder, name),
    close: () => {
      endpoint.close()
      remove()
    },
  }
}
