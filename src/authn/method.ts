import type { ZodType } from 'zod'
import type { DenyReason } from '../model/decision.ts'
import type { Identity } from '../model/identity.ts'
import type { AuthRequest } from '../model/request.ts'
import type { Result } from '../model/result.ts'
import type { Services } from './services.ts'

/**
 * What one method says of one request. `absent`: no credential of my kind. `rejected`: mine, and wrong. `unavailable`:
 * mine, and I could not find out. A token of an issuer that the method does not serve is `absent`.
 */
export type Outcome =
  | { readonly kind: 'absent' }
  | { readonly kind: 'rejected'; readonly reason: DenyReason }
  | { readonly kind: 'unavailable'; readonly reason: DenyReason }
  | { readonly kind: 'authenticated'; readonly identity: Identity; readonly cache: CacheUse }

/** Whether the identity came from a cache; `none` where the method has none. */
export type CacheUse = 'hit' | 'miss' | 'stale' | 'none'

export const absent: Outcome = { kind: 'absent' }
export const rejected = (reason: DenyReason): Outcome => ({ kind: 'rejected', reason })
export const unavailable = (reason: DenyReason): Outcome => ({ kind: 'unavailable', reason })
export const authenticated = (identity: Identity, cache: CacheUse = 'none'): Outcome => ({
  kind: 'authenticated',
  identity,
  cache,
})

/** Why a challenge is sent: RFC 6750 §3.1 error codes; `none` where no credential was presented. */
export type ChallengeError =
  | { readonly kind: 'none' }
  | { readonly kind: 'invalid-request' }
  | { readonly kind: 'invalid-token' }
  | { readonly kind: 'insufficient-scope'; readonly scopes: readonly string[] }

/** One compiled entry of `spec.authentication`: cannot be misconfigured any more. */
export interface Authenticator {
  /** The entry's name in the policy; `Identity.method` of those it authenticates. */
  readonly name: string
  /** Kind of method: `basic`, `jwt` … */
  readonly kind: string
  /** Answers at once where it can; a promise only where it must wait. Never throws for what a client sends. */
  readonly authenticate: (request: AuthRequest, signal: AbortSignal) => Outcome | Promise<Outcome>
  /** True where the request carries something in a place that this method reads, right or wrong. */
  readonly presented: (request: AuthRequest) => boolean
  /** The `WWW-Authenticate` value (one challenge), or undefined for methods that have none (API keys). */
  readonly challenge: (error: ChallengeError) => string | undefined
  /** Lower-case request headers that the method reads: what a gateway has to send. */
  readonly reads: readonly string[]
  /** True where it asks for the client's scheme, which over HTTP comes in `X-Forwarded-Proto`. */
  readonly readsScheme?: boolean
}

/** A Secret or ConfigMap as the policy language sees it. Values are never logged. */
export interface DataObject {
  readonly kind: 'Secret' | 'ConfigMap'
  readonly namespace: string
  readonly name: string
  readonly labels: ReadonlyMap<string, string>
  readonly annotations: ReadonlyMap<string, string>
  readonly data: ReadonlyMap<string, Uint8Array>
}

/** Reference to one entry of a Secret or ConfigMap in the policy's own namespace. */
export interface DataRef {
  readonly kind?: 'Secret' | 'ConfigMap' | undefined
  readonly name: string
  readonly key?: string | undefined
}

/** What a method gets to compile a block with. */
export interface MethodContext {
  /** Namespace of the policy: references never leave it. */
  readonly namespace: string
  /** `namespace/policy/entry`: parts every cache key (SECURITY.md E7). */
  readonly owner: string
  /** Name of the entry. */
  readonly name: string
  /** The referenced bytes (`kind` defaults to Secret); findings have paths relative to the reference, e.g. `['name']`. */
  readonly read: (ref: DataRef, defaultKey: string) => Result<Uint8Array>
  /** Every Secret of the namespace that carries all these labels. */
  readonly select: (labels: Readonly<Record<string, string>>) => readonly DataObject[]
  readonly object: (kind: 'Secret' | 'ConfigMap', name: string) => DataObject | undefined
  readonly services: Services
  /** Registers what must be let go when the snapshot that is being compiled is replaced. */
  readonly onRelease: (release: () => void) => void
}

/** A compiled block with what is weak in it. */
export interface Compiled<T> {
  readonly value: T
  readonly findings: readonly import('../model/result.ts').Finding[]
}

/** A way to authenticate: one file, one row in `index.ts`. */
export interface Method<Block = unknown> {
  readonly kind: string
  /** The one definition of the block: validation, TypeScript type and JSON schema come from it. */
  readonly schema: ZodType<Block>
  /** Findings of an `ok` result are warnings; their paths start inside the block. */
  readonly compile: (block: Block, context: MethodContext) => Result<Compiled<Authenticator>>
}
