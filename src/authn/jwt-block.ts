import { z } from 'zod'
import { bearerHeader, credentialSources } from './bearer-credential.ts'
import { realmForm } from './bearer-challenge.ts'
import { signatureAlgorithms } from './jwk.ts'

const claimPath = z.array(z.string().min(1).max(256)).min(1).max(8)

const jwks = z
  .strictObject({
    discovery: z.literal(true).optional().describe("Found through the issuer's metadata (OpenID Discovery, RFC 8414)."),
    uri: z.string().max(2048).optional().describe('Address of the JWK Set; https.'),
    ref: z
      .strictObject({
        kind: z.enum(['Secret', 'ConfigMap']).optional().describe('Secret where absent.'),
        name: z.string().min(1).max(253).describe('Name of the object, in the namespace of the policy.'),
        key: z.string().min(1).max(253).default('jwks.json').describe('Its entry that holds the JWK Set.'),
      })
      .optional()
      .describe('A JWK Set that the operator keeps; the only place for shared secrets (HS256 …).'),
  })
  .refine(
    ({ discovery, uri, ref }) => [discovery, uri, ref].filter((one) => one !== undefined).length === 1,
    'has exactly one of discovery, uri, ref',
  )

/** The `jwt` block of a policy. */
export const jwtBlock = z
  .strictObject({
    issuer: z
      .string()
      .min(1)
      .max(2048)
      .describe('`iss` of its tokens, to the letter. Tokens of others are not looked at.'),
    audiences: z
      .array(z.string().min(1).max(1024))
      .min(1)
      .max(32)
      .describe('One of them has to be in `aud`, to the letter.'),
    jwks: jwks.describe("Where the issuer's public keys come from."),
    algorithms: z
      .array(z.enum(signatureAlgorithms))
      .min(1)
      .max(signatureAlgorithms.length)
      .default(['RS256', 'PS256', 'ES256', 'EdDSA'])
      .describe('Signature algorithms that are taken. HS256, HS384 and HS512 go with `jwks.ref` only.'),
    credential: credentialSources.default([...bearerHeader]),
    profile: z
      .enum(['Any', 'AccessToken', 'IdToken'])
      .default('Any')
      .describe(
        'AccessToken: RFC 9068 (typ at+jwt; iat, jti and client_id required). Any: also untyped tokens, unless they show ' +
          'that they are for another purpose. IdToken: OpenID Connect ID tokens instead.',
      ),
    clockSkewSeconds: z.int().min(0).max(60).default(30).describe('How far the clocks may be apart.'),
    maxAgeSeconds: z.int().min(1).max(31_536_000).optional().describe('Oldest token by `iat` that is taken.'),
    scopesClaim: claimPath
      .optional()
      .describe('Path of the scopes among the claims; `scope`, else `scp`, where absent.'),
    groupsClaim: claimPath.default(['groups']).describe('Path of the groups among the claims.'),
    realm: z
      .string()
      .regex(realmForm, 'has a character that a challenge cannot carry')
      .default('gatehouse')
      .describe('`realm` of the Bearer challenge.'),
  })
  .describe('Signed tokens (JWT, RFC 7519) of one issuer.')

/** The block after validation, defaults filled in. */
export type JwtBlock = z.output<typeof jwtBlock>
