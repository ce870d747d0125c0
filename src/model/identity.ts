/** Who sent the request, as established by one authentication method. */
export interface Identity {
  /** User name, `sub`, key owner, or the guest's name. Never empty. */
  readonly subject: string
  /** Name of the policy's authentication entry that established it; `guest` or `preflight` where none did. */
  readonly method: string
  readonly issuer?: string
  /** Claims of the token, or attributes of the key; a null-prototype object, own properties only. */
  readonly claims: Readonly<Record<string, unknown>>
  readonly scopes: readonly string[]
  readonly groups: readonly string[]
}

/** JSON objects from strangers, bounded and rebuilt without a prototype so that only own members can ever be read. */
export type Claims = Identity['claims']

/** The value at a path of own members (strings) or list positions (digits), or undefined. */
export function claimAt(claims: unknown, path: readonly string[]): unknown {
  let here: unknown = claims
  for (const step of path) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, step)) return undefined
    here = (here as Record<string, unknown>)[step]
  }
  return here
}
