import type { RequestListener } from 'node:http'
import { exportJWK, generateKeyPair, importJWK, SignJWT } from 'jose'
import type { JWK, JWTPayload } from 'jose'
import { Provider } from 'oidc-provider'
import { httpServer } from './local-server.ts'
import type { LocalServer } from './local-server.ts'

/** A client of the IdP; `private_key_jwt` ones have `jwks` instead of a secret. */
export interface IdpClient {
  readonly id: string
  readonly secret: string
}

/** A resource server that tokens are issued for; `resource` is what a client asks with. */
export const resources = {
  /** JWT access tokens (RFC 9068), audience `cart`. */
  jwt: 'https://cart.example.com/jwt',
  /** The same, living for two seconds. */
  shortJwt: 'https://cart.example.com/short-jwt',
  /** Opaque access tokens, audience `cart`. */
  opaque: 'https://cart.example.com/opaque',
  /** The same, living for two seconds. */
  shortOpaque: 'https://cart.example.com/short-opaque',
  /** Opaque access tokens of another audience. */
  otherOpaque: 'https://other.example.com/opaque',
} as const

/** A real OpenID provider (npm oidc-provider) on 127.0.0.1, with real outages and rotations. */
export interface Idp {
  readonly issuer: string
  readonly port: number
  readonly jwksUri: string
  readonly introspectionEndpoint: string
  /** By how they authenticate at the introspection and token endpoints. */
  readonly clients: {
    readonly basic: IdpClient
    readonly post: IdpClient
    readonly privateKeyJwt: { readonly id: string; readonly key: JWK }
  }
  /** A token by client_credentials, asked for over HTTP. */
  readonly token: (resource: string, scope?: string) => Promise<string>
  /** Revokes a token (RFC 7009). */
  readonly revoke: (token: string) => Promise<void>
  /** Signs anything with the key that is in force: for tokens that a well-behaved provider would not issue like this. */
  readonly sign: (claims: JWTPayload, header?: { typ?: string; kid?: string }) => Promise<string>
  /** A new signing key; the old one stays published unless `drop`. */
  readonly rotate: (options?: { drop?: boolean }) => Promise<void>
  /** Connections are refused until `start`. */
  readonly stop: () => Promise<void>
  /** Comes back on the same port with the same keys. */
  readonly start: () => Promise<void>
  /** Answers everything with this instead (a hanging listener never ends its response); undefined: itself again. */
  readonly sabotage: (listener: RequestListener | undefined) => void
  /** Requests by path since the start. */
  readonly requests: (path: string) => number
  readonly close: () => Promise<void>
}

export interface IdpOptions {
  readonly port?: number
  /** What JWT access tokens are signed with. */
  readonly alg?: 'RS256' | 'PS256' | 'ES256' | 'EdDSA'
}

/** Starts an identity provider; close it in the end. */
export async function startIdp(options: IdpOptions = {}): Promise<Idp> {
  const alg = options.alg ?? 'RS256'
  const counts = new Map<string, number>()
  let sabotage: RequestListener | undefined
  let answer: RequestListener = (_, response) => response.writeHead(503).end()
  const listener: RequestListener = (request, response) => {
    const path = (request.url ?? '').split('?')[0] ?? ''
    counts.set(path, (counts.get(path) ?? 0) + 1)
    ;(sabotage ?? answer)(request, response)
  }
  let server: LocalServer | undefined = await httpServer(listener, options.port ?? 0)
  const { port } = server
  const issuer = `http://127.0.0.1:${port}`
  const clientKey = await privateKey('ES256', 'client-key')
  const configurationOf = configuration(alg, clientKey, memory())
  let keys: readonly JWK[] = [await privateKey(alg, 'key-1')]
  let serial = 1
  const renew = (): void => {
    answer = new Provider(issuer, configurationOf(keys)).callback()
  }
  renew()
  const form = async (path: string, fields: Record<string, string>): Promise<Response> =>
    fetch(issuer + path, {
      method: 'POST',
      body: new URLSearchParams(fields),
      headers: { authorization: `Basic ${Buffer.from(`${basic.id}:${formEncoded(basic.secret)}`).toString('base64')}` },
    })
  return {
    issuer,
    port,
    jwksUri: `${issuer}/jwks`,
    introspectionEndpoint: `${issuer}/token/introspection`,
    clients: { basic, post, privateKeyJwt: { id: 'gatehouse-key', key: clientKey } },
    token: async (resource, scope = 'read') => {
      const reply = await form('/token', { grant_type: 'client_credentials', resource, scope })
      const body = (await reply.json()) as { access_token?: string }
      if (body.access_token === undefined) throw new Error(`no token: ${JSON.stringify(body)}`)
      return body.access_token
    },
    revoke: async (token) => {
      const reply = await form('/token/revocation', { token })
      if (!reply.ok) throw new Error(`not revoked: ${reply.status}`)
    },
    sign: async (claims, header = {}) => {
      const [current] = keys
      if (current === undefined) throw new Error('no key')
      const key = await importJWK(current, alg)
      return new SignJWT(claims)
        .setProtectedHeader({ alg, ...(current.kid === undefined ? {} : { kid: current.kid }), ...header })
        .sign(key)
    },
    rotate: async ({ drop = false } = {}) => {
      serial += 1
      keys = [await privateKey(alg, `key-${serial}`), ...(drop ? [] : keys)]
      renew()
    },
    stop: async () => {
      await server?.close()
      server = undefined
    },
    start: async () => {
      server ??= await httpServer(listener, port)
    },
    sabotage: (instead) => {
      sabotage = instead
    },
    requests: (path) => counts.get(path) ?? 0,
    close: async () => server?.close(),
  }
}

// The first secret holds characters that RFC 6749 §2.3.1 wants form-encoded before Base64.
const formEncoded = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1)
const basic: IdpClient = { id: 'gatehouse-basic', secret: 'a test server:of+100%/&=basic' }
const post: IdpClient = { id: 'gatehouse-post', secret: 'post-secret-of-a-test-server-0123456789' }

async function privateKey(alg: string, kid: string): Promise<JWK> {
  const { privateKey: key } = await generateKeyPair(alg, { extractable: true })
  return { ...(await exportJWK(key)), kid, alg, use: 'sig' }
}

type Configuration = Readonly<Record<string, unknown>>

function configuration(alg: string, clientKey: JWK, adapter: unknown): (keys: readonly JWK[]) => Configuration {
  const common = {
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    scope: 'read write',
    id_token_signed_response_alg: alg,
  }
  const { d: _, ...clientPublic } = clientKey
  const clients = [
    { ...common, client_id: basic.id, client_secret: basic.secret, token_endpoint_auth_method: 'client_secret_basic' },
    { ...common, client_id: post.id, client_secret: post.secret, token_endpoint_auth_method: 'client_secret_post' },
    {
      ...common,
      client_id: 'gatehouse-key',
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      jwks: { keys: [clientPublic] },
    },
  ]
  return (keys) => ({
    adapter,
    clients,
    scopes: ['read', 'write'],
    jwks: { keys },
    ttl: {
      ClientCredentials: (_: unknown, token: { resourceServer?: { accessTokenTTL: number } }) =>
        token.resourceServer?.accessTokenTTL ?? 600,
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_: unknown, name: string) => resourceServer(name, alg),
      },
    },
  })
}

const resourceServer = (name: string, alg: string): unknown => ({
  scope: 'read write',
  audience: name === resources.otherOpaque ? 'other' : 'cart',
  accessTokenTTL: name.includes('/short-') ? 2 : 3600,
  ...(name.endsWith('jwt') ? { accessTokenFormat: 'jwt', jwt: { sign: { alg } } } : { accessTokenFormat: 'opaque' }),
})

/** Storage that outlives the provider object, so that a rotation of keys loses no opaque token. */
function memory(): (model: string) => unknown {
  const kept = new Map<string, { readonly payload: object; readonly until: number }>()
  return (model) => {
    const find = async (id: string): Promise<object | undefined> => {
      const entry = kept.get(`${model}:${id}`)
      return entry !== undefined && entry.until > Date.now() ? entry.payload : undefined
    }
    return {
      find,
      findByUid: find,
      findByUserCode: find,
      upsert: async (id: string, payload: object, expiresIn = 86_400) => {
        kept.set(`${model}:${id}`, { payload, until: Date.now() + expiresIn * 1000 })
      },
      destroy: async (id: string) => {
        kept.delete(`${model}:${id}`)
      },
      consume: async () => undefined,
      revokeByGrantId: async () => undefined,
    }
  }
}
