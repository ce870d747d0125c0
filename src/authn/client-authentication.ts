import { createPrivateKey, randomUUID } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { SignJWT } from 'jose/jwt/sign'
import { z } from 'zod'
import type { Clock } from '../model/clock.ts'
import { failed, fault, ok, under } from '../model/result.ts'
import type { Result } from '../model/result.ts'
import { Secret } from '../model/secret.ts'
import type { MethodContext } from './method.ts'
import { isJsonObject, parseStrictJson } from './strict-json.ts'

const name = z.string().min(1).max(253).describe('Name of the object, in the namespace of the policy.')
const key = z.string().min(1).max(253).optional().describe('Its entry.')
const secretRef = z.strictObject({ name, key })

/** How Gatehouse names and proves itself to an authorization server. */
export const clientBlock = z
  .strictObject({
    id: z.string().min(1).max(1024).optional().describe('Client id at the authorization server.'),
    idRef: z
      .strictObject({ kind: z.enum(['Secret', 'ConfigMap']).optional().describe('Secret where absent.'), name, key })
      .optional()
      .describe('Secret or ConfigMap entry with the client id; the entry is client-id where none is named.'),
    secretRef: secretRef
      .optional()
      .describe('Secret entry with the client secret; the entry is client-secret where none is named.'),
    keyRef: secretRef
      .optional()
      .describe('Secret entry with the private key (PEM or JWK); the entry is private-key where none is named.'),
    method: z
      .enum(['client_secret_basic', 'client_secret_post', 'private_key_jwt'])
      .default('client_secret_basic')
      .describe('How the client authenticates (OpenID Connect Core §9).'),
  })
  .refine((one) => (one.id === undefined) !== (one.idRef === undefined), 'has exactly one of id, idRef')
  .refine(
    (one) => (one.keyRef !== undefined) === (one.method === 'private_key_jwt'),
    'has keyRef with method: private_key_jwt, and only then',
  )
  .refine(
    (one) => (one.secretRef === undefined) === (one.method === 'private_key_jwt'),
    'has secretRef with client_secret_basic and client_secret_post, and only then',
  )

/** What one call carries to prove who calls. */
export interface Proof {
  readonly headers: Readonly<Record<string, string>>
  readonly fields: Readonly<Record<string, string>>
}

export interface ClientAuthentication {
  readonly id: string
  /** Changes with the credential, tells nothing of it. */
  readonly print: string
  /** Made anew for each call: an assertion may be used once. `audience` is the authorization server. */
  readonly prove: (audience: string) => Promise<Proof>
}

/** Reads the client's credentials; every fault at once. */
export function compileClient(
  block: z.infer<typeof clientBlock>,
  context: MethodContext,
): Result<ClientAuthentication> {
  const id = block.idRef === undefined ? ok(block.id ?? '') : entry(block.idRef, 'idRef', 'client-id', context)
  const { method } = block
  const at = method === 'private_key_jwt' ? 'keyRef' : 'secretRef'
  const usual = method === 'private_key_jwt' ? 'private-key' : 'client-secret'
  const secret = entry(block[at] ?? { name: '' }, at, usual, context)
  if (!id.ok || !secret.ok) return failed([id, secret].flatMap((one) => (one.ok ? [] : one.findings)))
  const print = context.services.digest('introspection-client', method, id.value, secret.value)
  if (method === 'private_key_jwt') {
    const signer = signingKey(secret.value)
    if (typeof signer === 'string') return failed([fault('bad-key', ['keyRef'], signer)])
    return ok({ id: id.value, print, prove: assertion(id.value, signer, context.services.clock) })
  }
  return ok({ id: id.value, print, prove: password(method, id.value, new Secret(secret.value)) })
}

function entry(
  ref: { readonly name: string; readonly key?: string | undefined },
  at: string,
  usual: string,
  context: MethodContext,
): Result<string> {
  const read = context.read(ref, usual)
  if (!read.ok) return failed(read.findings.map((finding) => under([at], finding)))
  // Editors and `kubectl create --from-file` leave a newline at the end.
  const text = Buffer.from(read.value)
    .toString('utf8')
    .replace(/\r?\n$/, '')
  return text === '' || text.length > 16_384
    ? failed([fault('bad-reference', [at], text === '' ? 'names an empty entry' : 'names an entry over 16 KiB')])
    : ok(text)
}

const formEncoded = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1)

function password(
  method: 'client_secret_basic' | 'client_secret_post',
  id: string,
  secret: Secret,
): ClientAuthentication['prove'] {
  switch (method) {
    case 'client_secret_basic':
      // RFC 6749 §2.3.1: both are form-encoded first, or a colon or a plus in them would be read as another credential.
      return async () => {
        const pair = `${formEncoded(id)}:${formEncoded(secret.reveal())}`
        return { headers: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` }, fields: {} }
      }
    case 'client_secret_post':
      return async () => ({ headers: {}, fields: { client_id: id, client_secret: secret.reveal() } })
  }
}

interface SigningKey {
  readonly key: KeyObject
  readonly alg: string
  readonly kid: string | undefined
}

/** RFC 7523 §2.2: short-lived, single-use, for this server only. */
function assertion(id: string, { key: signer, alg, kid }: SigningKey, clock: Clock): ClientAuthentication['prove'] {
  return async (audience) => {
    const now = Math.floor(clock.now() / 1000)
    const jwt = await new SignJWT({ jti: randomUUID() })
      .setProtectedHeader({ alg, typ: 'JWT', ...(kid === undefined ? {} : { kid }) })
      .setIssuer(id)
      .setSubject(id)
      .setAudience(audience)
      .setIssuedAt(now)
      .setExpirationTime(now + 60)
      .sign(signer)
    const type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
    return { headers: {}, fields: { client_id: id, client_assertion_type: type, client_assertion: jwt } }
  }
}

const byCurve: ReadonlyMap<string, string> = new Map([
  ['prime256v1', 'ES256'],
  ['secp384r1', 'ES384'],
  ['secp521r1', 'ES512'],
])

function signingKey(text: string): SigningKey | string {
  const jwk = text.trimStart().startsWith('{') ? parseStrictJson(text, { maxBytes: 16_384 }) : undefined
  const private_ = privateKey(text, jwk)
  if (private_ === undefined) return 'names an entry that is no private key in PEM or JWK form'
  const able = algorithmsOf(private_)
  if (typeof able === 'string') return able
  const wanted = isJsonObject(jwk) ? jwk['alg'] : undefined
  const alg = wanted === undefined ? able[0] : able.find((one) => one === wanted)
  if (alg === undefined) return 'names a key whose alg its type cannot serve'
  const kid = isJsonObject(jwk) ? jwk['kid'] : undefined
  return { key: private_, alg, kid: typeof kid === 'string' ? kid : undefined }
}

function privateKey(text: string, jwk: unknown): KeyObject | undefined {
  try {
    return isJsonObject(jwk) ? createPrivateKey({ key: jwk, format: 'jwk' }) : createPrivateKey(text)
  } catch {
    return undefined
  }
}

function algorithmsOf({
  asymmetricKeyType: type,
  asymmetricKeyDetails: details,
}: KeyObject): readonly string[] | string {
  if (type === 'ed25519') return ['EdDSA']
  if (type === 'ec') {
    const alg = byCurve.get(details?.namedCurve ?? '')
    return alg === undefined ? 'names a key on a curve that is not used here (P-256, P-384, P-521)' : [alg]
  }
  if (type !== 'rsa') return 'names a key of a type that is not used for signatures here'
  const bits = details?.modulusLength ?? 0
  return bits < 2048 ? `names an RSA key of ${bits} bits; 2048 is the least` : ['RS256', 'PS256']
}
