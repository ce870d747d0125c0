import { createPrivateKey, generateKeyPairSync, sign as signBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { createHttpClient } from '../../src/authn/http-client.ts'
import { createJwksStore } from '../../src/authn/jwks-store.ts'
import { jwt } from '../../src/authn/jwt.ts'
import { createKeyedDigest } from '../../src/authn/keyed-digest.ts'
import type { KeyTimes } from '../../src/authn/key-upkeep.ts'
import type { Authenticator, DataObject, DataRef, Outcome } from '../../src/authn/method.ts'
import type { Services } from '../../src/authn/services.ts'
import type { HeaderMap } from '../../src/model/header.ts'
import { authRequest } from '../../src/model/request.ts'
import type { AuthRequest } from '../../src/model/request.ts'
import { fault, failed, ok } from '../../src/model/result.ts'
import type { Finding, Result } from '../../src/model/result.ts'
import type { Counter, Gauge } from '../../src/model/telemetry.ts'

/** A request with these headers, and this target if it matters. */
export const requestWith = (
  headers: Readonly<Record<string, string | readonly string[]>>,
  target = '/',
): AuthRequest => {
  const map: HeaderMap = new Map(
    Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? [value] : value]),
  )
  return authRequest({ via: 'check', claim: { kind: 'match' }, method: 'GET', authority: 'h', target, headers: map })
}

export const bearer = (token: string): AuthRequest => requestWith({ authorization: `Bearer ${token}` })

const b64 = (value: string | Uint8Array): string => Buffer.from(value).toString('base64url')

/** Signs any bytes under any header: nothing that a library would refuse to make is out of reach. */
export function rawToken(header: string | object, payload: string | Uint8Array | object, key: KeyObject): string {
  const text = (part: string | Uint8Array | object): string =>
    typeof part === 'string' || part instanceof Uint8Array ? b64(part) : b64(JSON.stringify(part))
  const input = `${text(header)}.${text(payload)}`
  const ec = key.asymmetricKeyType === 'ec'
  const hash = key.asymmetricKeyType === 'ed25519' ? null : 'sha256'
  return `${input}.${b64(signBytes(hash, Buffer.from(input), ec ? { key, dsaEncoding: 'ieee-p1363' } : key))}`
}

export interface TestKey {
  readonly kid: string
  readonly alg: string
  readonly key: KeyObject
  readonly jwk: Readonly<Record<string, unknown>>
}

export function testKey(kid: string, type: 'ES256' | 'RS256' | 'EdDSA' = 'ES256', bits = 2048): TestKey {
  const { privateKey } = pairOf(type, bits)
  const { d: _d, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, ...open } = privateKey.export({ format: 'jwk' })
  return {
    kid,
    alg: type,
    key: createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    jwk: { ...open, kid },
  }
}

function pairOf(type: string, bits: number): { readonly privateKey: KeyObject } {
  if (type === 'RS256') return generateKeyPairSync('rsa', { modulusLength: bits })
  return type === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519')
}

export interface Bench {
  readonly services: Services
  readonly counts: Map<Counter, number>
  readonly levels: Map<Gauge, number>
  /** Unix time in seconds. */
  readonly now: () => number
  readonly setNow: (seconds: number) => void
  /** Lets both clocks and the scheduled work go on. */
  readonly advance: (millis: number) => Promise<void>
  readonly compile: (
    block: object,
    data?: Readonly<Record<string, string>>,
  ) => Result<readonly [Authenticator, readonly Finding[]]>
  readonly authenticator: (block: object, data?: Readonly<Record<string, string>>) => Authenticator
  /** Calls off the upkeep of the compiled blocks, as a replaced snapshot does. */
  readonly release: () => void
  readonly close: () => Promise<void>
}

export interface BenchOptions {
  readonly times?: Partial<KeyTimes>
  readonly random?: () => number
}

/** Real parts around a `jwt` block, with a clock that the test moves. */
export function jwtBench(options: BenchOptions = {}): Bench {
  const counts = new Map<Counter, number>()
  const levels = new Map<Gauge, number>()
  let wall = Date.now()
  let ticks = 1000
  let agenda: { readonly at: number; readonly run: () => void }[] = []
  const clock = { now: () => wall, ticks: () => ticks }
  const telemetry = {
    count: (event: Counter) => counts.set(event, (counts.get(event) ?? 0) + 1),
    level: (gauge: Gauge, value: number) => levels.set(gauge, value),
  }
  const after = (millis: number, run: () => void): (() => void) => {
    const entry = { at: ticks + millis, run }
    agenda.push(entry)
    return () => {
      agenda = agenda.filter((one) => one !== entry)
    }
  }
  const http = createHttpClient({})
  const jwks = createJwksStore({ http, clock, telemetry, after, random: () => 0.5, ...options })
  // Only what the method uses: the rest of the services has tests of its own.
  const services = { clock, telemetry, digest: createKeyedDigest(), http, jwks } as unknown as Services
  const releases: (() => void)[] = []
  const compile: Bench['compile'] = (block, data = {}) => {
    const parsed = jwt.schema.safeParse(block)
    if (!parsed.success)
      return failed(parsed.error.issues.map((one) => fault('bad-value', one.path.map(String), one.message)))
    const compiled = jwt.compile(parsed.data, {
      namespace: 'shop',
      owner: 'shop/cart/corp',
      name: 'corp',
      read: (ref: DataRef, defaultKey: string) => {
        const text = data[ref.key ?? defaultKey]
        return text === undefined ? failed([fault('missing-reference', ['name'], 'is missing')]) : ok(Buffer.from(text))
      },
      select: (): readonly DataObject[] => [],
      object: () => undefined,
      services,
      onRelease: (release) => releases.push(release),
    })
    return compiled.ok ? ok([compiled.value.value, compiled.value.findings]) : compiled
  }
  return {
    services,
    counts,
    levels,
    now: () => Math.floor(wall / 1000),
    setNow: (seconds) => {
      wall = seconds * 1000
    },
    advance: async (millis) => {
      const until = ticks + millis
      for (;;) {
        const [first] = agenda.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)
        if (first === undefined) break
        agenda = agenda.filter((one) => one !== first)
        wall += Math.max(first.at - ticks, 0)
        ticks = Math.max(first.at, ticks)
        first.run()
        await settle(counts)
      }
      wall += until - ticks
      ticks = until
    },
    compile,
    authenticator: (block, data) => {
      const compiled = compile(block, data)
      if (!compiled.ok) throw new Error(JSON.stringify(compiled.findings))
      return compiled.value[0]
    },
    release: () => releases.splice(0).forEach((release) => release()),
    close: async () => {
      jwks.close()
      await http.close()
    },
  }
}

/** Waits (in real time) until one more attempt to fetch keys has ended. */
export async function settle(counts: ReadonlyMap<Counter, number>): Promise<void> {
  const attempts = (): number => (counts.get('jwks-fetch-ok') ?? 0) + (counts.get('jwks-fetch-failed') ?? 0)
  const before = attempts()
  for (let tries = 0; tries < 2000 && attempts() === before; tries += 1)
    await new Promise((done) => setTimeout(done, 2))
}

const never = new AbortController().signal

export const ask = async (authenticator: Authenticator, request: AuthRequest, signal = never): Promise<Outcome> =>
  authenticator.authenticate(request, signal)

/** The outcome in one word: `ok`, `absent` or the reason. */
export async function verdict(authenticator: Authenticator, request: AuthRequest, signal = never): Promise<string> {
  const outcome = await ask(authenticator, request, signal)
  switch (outcome.kind) {
    case 'absent':
      return 'absent'
    case 'authenticated':
      return 'ok'
    case 'rejected':
    case 'unavailable':
      return outcome.reason
  }
}
