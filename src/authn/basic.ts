import { z } from 'zod'
import type { Identity } from '../model/identity.ts'
import { ok, failed, under } from '../model/result.ts'
import type { Finding, Result } from '../model/result.ts'
import { basicCredential } from './basic-credential.ts'
import type { Claimant } from './lockout.ts'
import { absent, authenticated, rejected, unavailable } from './method.ts'
import type { Authenticator, CacheUse, Compiled, Method, MethodContext, Outcome } from './method.ts'
import { dearestOf, inEntry, passwordFile } from './password-file.ts'
import type { PasswordFile } from './password-file.ts'
import { createSingleFlight } from './single-flight.ts'

const block = z
  .strictObject({
    realm: z
      .string()
      .regex(/^[\x20-\x21\x23-\x5b\x5d-\x7e]{1,128}$/, 'holds a quote, a backslash or something that is not ASCII text')
      .default('Restricted')
      .describe('Name of the protected area, which browsers show when they ask for the password.'),
    usersRef: z
      .strictObject({
        kind: z.enum(['Secret', 'ConfigMap']).default('Secret').describe('Kind of the object.'),
        name: z.string().min(1).max(253).describe('Name of the object, in the namespace of the policy.'),
        key: z.string().min(1).max(253).default('.htpasswd').describe('Entry of the object that holds the file.'),
      })
      .describe('Password file: a line user:hash for each user, as htpasswd or `gatehouse hash password` writes it.'),
    requireTls: z
      .boolean()
      .default(false)
      .describe('Refuse passwords unless the gateway says that the client used https.'),
    allowDesCrypt: z
      .boolean()
      .default(false)
      .describe('Take DES crypt hashes, which look at the first eight bytes of a password only.'),
    allowPlaintext: z.boolean().default(false).describe('Take passwords that are stored as they are.'),
  })
  .describe('User name and password over HTTP Basic authentication (RFC 7617).')

type Block = z.infer<typeof block>

/** How long a right password is remembered, in milliseconds. */
const rememberedFor = 60_000

/** HTTP Basic authentication against a password file. */
export const basic: Method<Block> = { kind: 'basic', schema: block, compile }

function compile(spec: Block, context: MethodContext): Result<Compiled<Authenticator>> {
  const { usersRef } = spec
  const bytes = context.read(usersRef, '.htpasswd')
  if (!bytes.ok) return failed(bytes.findings.map((finding) => under(['usersRef'], finding)))
  const users = passwordFile(bytes.value, spec)
  const placed = (findings: readonly Finding[]): readonly Finding[] =>
    findings.map((one) => inEntry(under(['usersRef'], one), { ...usersRef, namespace: context.namespace }))
  if (!users.ok) return failed(placed(users.findings))
  if (users.value.value.size > 0) context.services.passwords.prepare()
  const list = `${context.namespace}/${usersRef.kind}/${usersRef.name}/${usersRef.key}`
  return ok({
    value: authenticator(spec, { list, users: users.value.value }, context),
    findings: placed(users.value.findings),
  })
}

interface Users {
  readonly list: string
  readonly users: PasswordFile
}

function authenticator(spec: Block, users: Users, context: MethodContext): Authenticator {
  const { lockout, telemetry } = context.services
  const check = checker(users, context)
  const lockedOut = (): Outcome => {
    telemetry.count('lockout')
    return rejected('locked-out')
  }
  return {
    name: context.name,
    kind: 'basic',
    reads: ['authorization'],
    readsScheme: spec.requireTls,
    presented: ({ headers }) => headers.has('authorization'),
    // The same for every error: RFC 7617 has none, and a client learns nothing of why.
    challenge: () => `Basic realm="${spec.realm}", charset="UTF-8"`,
    authenticate: (request, signal) => {
      const credential = basicCredential(request.headers)
      if (credential.kind === 'absent') return absent
      if (spec.requireTls && request.scheme !== 'https') return rejected('insecure-scheme')
      if (credential.kind === 'refused') return rejected(credential.reason)
      const source = request.source === '' ? undefined : request.source
      const who: Claimant = { realm: users.list, user: credential.user, source }
      if (lockout.closed(who)) return lockedOut()
      return check({ ...who, late: request.late === true }, credential.password, signal, lockedOut)
    },
  }
}

type Check = (
  who: Claimant & { readonly late: boolean },
  password: string,
  signal: AbortSignal,
  lockedOut: () => Outcome,
) => Outcome | Promise<Outcome>

function checker({ list, users }: Users, { owner, name, services }: MethodContext): Check {
  const { passwords, lockout, digest, clock } = services
  const dearest = dearestOf(users)
  const fly = createSingleFlight<Outcome>()
  const identities = new Map<string, Identity>() // of known users only
  const identity = (user: string): Identity => {
    const before = identities.get(user)
    if (before !== undefined) return before
    const made: Identity = { subject: user, method: name, claims: noClaims, scopes: [], groups: [] }
    identities.set(user, made)
    return made
  }
  const welcome = (user: string, cache: CacheUse): Outcome => authenticated(identity(user), cache)

  return (who, password, signal, lockedOut) => {
    if (dearest === undefined) return rejected('bad-credential')
    const known = users.get(who.user)
    // Somebody unknown costs what the dearest user does, or the time would tell who is known (SECURITY.md BAS-15).
    const line = known ?? dearest
    const memory = digest(owner, who.user, line.hash, password)
    if (known !== undefined && passwords.verified.has(memory, clock.ticks())) {
      // While somebody guesses, a password that is forgotten might wait: it is kept for as long as it is used.
      if (lockout.wait(who) > 0) passwords.verified.add(memory, clock.ticks() + rememberedFor)
      return welcome(who.user, 'hit')
    }
    if (signal.aborted) return unavailable('cancelled')
    if (who.late) return unavailable('overloaded')
    return fly(digest(memory, who.source ?? ''), signal, async (signal) => {
      const attempt = lockout.begin(who)
      if (attempt === undefined) return lockedOut()
      let settled = false
      const settle = (end: () => void): void => {
        if (!settled) end()
        settled = true
      }
      try {
        const right = await passwords.verify(list, { password, hash: line.hash }, signal)
        if (right === 'overloaded') return unavailable('overloaded')
        if (right && known !== undefined) {
          settle(attempt.succeeded)
          passwords.verified.add(memory, clock.ticks() + rememberedFor)
          return welcome(who.user, 'miss')
        }
        settle(attempt.failed)
        // Who is known but cheap to check is made about as dear as somebody unknown.
        if (line.millis * 2 <= dearest.millis) {
          await passwords.verify(list, { password, hash: dearest.hash }, signal)
        }
        return rejected('bad-credential')
      } catch {
        if (settled) return rejected('bad-credential')
        return unavailable(signal.aborted ? 'cancelled' : 'internal')
      } finally {
        settle(attempt.dropped)
      }
    })
  }
}

const noClaims: Readonly<Record<string, unknown>> = Object.freeze(Object.create(null) as Record<string, unknown>)
