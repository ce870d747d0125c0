import { z } from 'zod'
import type { Identity } from '../model/identity.ts'
import { failed, fault, ok, under, weakness } from '../model/result.ts'
import type { Finding, Result } from '../model/result.ts'
import { credentialReader, credentialSources } from './bearer-credential.ts'
import type { CredentialReader, CredentialSource } from './bearer-credential.ts'
import { keyDigest, longestKey, parseApiKeys, parseExpiry } from './api-key-line.ts'
import { absent, authenticated, rejected } from './method.ts'
import type { Authenticator, Compiled, DataObject, Method, MethodContext, Outcome } from './method.ts'

const keysRef = z
  .strictObject({
    name: z.string().min(1).max(253).optional().describe('One Secret: each entry is an owner and its keys.'),
    selector: z
      .record(z.string().min(1).max(317), z.string().max(63))
      .refine((labels) => Object.keys(labels).length > 0, 'selects by one label at least')
      .optional()
      .describe('Every Secret of the namespace that carries all these labels.'),
  })
  .refine((ref) => (ref.name === undefined) !== (ref.selector === undefined), 'has exactly one of name, selector')

const block = z
  .strictObject({
    header: z
      .string()
      .min(1)
      .max(128)
      .optional()
      .describe('Request header that holds the key and nothing else; X-API-Key where no place is named.'),
    credential: credentialSources.optional(),
    keysRef: keysRef.describe(
      'Secrets with the keys, in the namespace of the policy. An entry is named after the owner and holds a key or a ' +
        '`gatehouse hash key` line, or several, one a line.',
    ),
  })
  .refine((one) => one.header === undefined || one.credential === undefined, 'has header or credential, not both')
  .describe('Keys that you hand out, one or more for each owner.')

type Block = z.infer<typeof block>

/** API keys: random secrets that name their owner, kept as digests. */
export const apiKey: Method<Block> = { kind: 'apiKey', schema: block, compile }

/** Annotations of a Secret that say something of all keys in it. */
const annotations = {
  expires: 'gatehouse.dev/expires',
  scopes: 'gatehouse.dev/scopes',
  groups: 'gatehouse.dev/groups',
} as const

interface Entry {
  readonly identity: Identity
  readonly expires: number
}

function compile(given: Block, context: MethodContext): Result<Compiled<Authenticator>> {
  const sources = given.credential ?? [{ header: given.header ?? 'X-API-Key' }]
  const place = sourceFault(sources)
  const found = secretsOf(given, context)
  if (!found.ok) return found
  const findings: Finding[] = place === undefined ? [] : [place]
  const table = new Map<string, Entry>()
  for (const secret of found.value) {
    findings.push(...enter(secret, table, context).map((finding) => under(['keysRef'], finding)))
  }
  if (findings.some(({ severity }) => severity === 'error')) return failed(findings)
  if (table.size === 0) {
    const say = found.value.length === 0 ? 'no Secret carries these labels: nobody can pass' : 'the Secret holds no key'
    findings.push(weakness('nothing-to-check', ['keysRef'], say))
  } else if ([...table.values()].every(({ expires }) => expires <= context.services.clock.now())) {
    const mend = 'make a new one with `gatehouse hash key`'
    findings.push(weakness('nothing-to-check', ['keysRef'], 'every key has expired: nobody can pass', mend))
  }
  return ok({ value: authenticator(credentialReader(sources), table, context), findings })
}

/** The shorthand goes through the same examination as the list does. */
function sourceFault(sources: readonly CredentialSource[]): Finding | undefined {
  const [issue] = credentialSources.safeParse(sources).error?.issues ?? []
  return issue === undefined ? undefined : fault('bad-value', ['header'], issue.message)
}

function secretsOf({ keysRef: ref }: Block, context: MethodContext): Result<readonly DataObject[]> {
  if (ref.selector !== undefined) return ok(context.select(ref.selector))
  const name = ref.name ?? ''
  const secret = context.object('Secret', name)
  if (secret !== undefined) return ok([secret])
  const missing = context.read({ name }, '') // for its suggestion of a name that exists
  const findings = missing.ok ? [fault('missing-reference', ['name'], 'there is no such Secret')] : missing.findings
  return failed(findings.map((finding) => under(['keysRef'], finding)))
}

/** Puts the keys of one Secret into the table; findings name the Secret and the entry, never a key. */
function enter(secret: DataObject, table: Map<string, Entry>, context: MethodContext): readonly Finding[] {
  const findings: Finding[] = []
  const until = secret.annotations.get(annotations.expires)
  const expires = until === undefined ? Infinity : parseExpiry(until)
  if (expires === undefined) {
    const say = `Secret ${secret.name}: ${annotations.expires} is not a time such as 2027-01-01T00:00:00Z`
    return [fault('bad-key', [], say)]
  }
  for (const [owner, bytes] of secret.data) {
    const read = parseApiKeys(bytes, [])
    const seen = read.ok ? read.value.findings : read.findings
    findings.push(...seen.map((one) => ({ ...one, say: `Secret ${secret.name}, entry "${owner}" ${one.say}` })))
    const identity = identityOf(owner, secret, context.name)
    for (const line of read.ok ? read.value.lines : []) {
      const index = indexOf(line.digest, context)
      const other = table.get(index)
      if (other !== undefined && !sameOwner(other.identity, identity)) {
        const say = `Secret ${secret.name}, entry "${owner}" holds a key that "${other.identity.subject}" has too`
        findings.push(fault('bad-key', [], say, 'give each owner a key of its own'))
      }
      table.set(index, { identity, expires: Math.min(expires, line.expires ?? Infinity, other?.expires ?? Infinity) })
    }
  }
  return findings
}

/** Digested once more under the key of this process: the table's order tells nothing of keys, and lookups take one time. */
const indexOf = (digest: string, { services, owner }: MethodContext): string =>
  services.digest('api-key', owner, digest)

const sameOwner = (one: Identity, other: Identity): boolean =>
  one.subject === other.subject && one.claims['secret'] === other.claims['secret']

function identityOf(owner: string, secret: DataObject, method: string): Identity {
  const words = (name: string): readonly string[] =>
    (secret.annotations.get(name) ?? '').split(/\s+/).filter((word) => word !== '')
  const labels = Object.assign(Object.create(null) as Record<string, string>, Object.fromEntries(secret.labels))
  const claims = Object.assign(Object.create(null) as Record<string, unknown>, { secret: secret.name, labels })
  return { subject: owner, method, claims, scopes: words(annotations.scopes), groups: words(annotations.groups) }
}

function authenticator(
  reader: CredentialReader,
  table: ReadonlyMap<string, Entry>,
  context: MethodContext,
): Authenticator {
  const judge = (key: string): Outcome => {
    if (key.length > longestKey) return rejected('malformed-credential')
    const entry = table.get(indexOf(keyDigest(key), context))
    if (entry === undefined) return rejected('bad-credential')
    return context.services.clock.now() < entry.expires ? authenticated(entry.identity) : rejected('expired-credential')
  }
  return {
    name: context.name,
    kind: 'apiKey',
    authenticate: (request) => {
      const presented = reader.read(request)
      switch (presented.kind) {
        case 'absent':
          return absent
        case 'refused':
          return rejected(presented.reason)
        case 'credential':
          return judge(presented.text)
      }
    },
    presented: reader.presented,
    challenge: () => undefined,
    reads: reader.reads,
  }
}
