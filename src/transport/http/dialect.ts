import type { Decision, DenyReason } from '../../model/decision.ts'
import type { HeaderMap } from '../../model/header.ts'
import type { Claim, RequestParts, Via } from '../../model/request.ts'

/** A call as it came over HTTP, with nothing decided about what its parts stand for. */
export interface Ask {
  readonly method: string
  /** The bytes of the request target, as latin-1 text. */
  readonly target: string
  /** `Host` or `:authority`. */
  readonly authority: string
  /** All fields but `Host`, repeats apart. */
  readonly headers: HeaderMap
  /** True where the parser took no value with a control character: of HTTP/1.1, Node's strict one. */
  readonly examined: boolean
  /** Address at the other end of the connection. */
  readonly peer: string | undefined
  /** True where the operator trusts that address to speak for others. */
  readonly trusted: boolean
  /** What is wrong with the call whatever it stands for. */
  readonly fault: DenyReason | undefined
}

/** What the path of a call says: which rule, in which dialect, and what stands behind the rule. */
export interface Address {
  readonly via: HttpVia
  readonly claim: Claim
  /** After `/-` of a `check`: the target of the client's own request. Empty in other dialects. */
  readonly rest: string
}

/** An answer, ready to be written. */
export interface HttpReply {
  readonly status: number
  /** Lower-case names; several values are several lines. */
  readonly headers: Readonly<Record<string, string | string[]>>
  readonly body: string
}

/** What is said over HTTP. */
export type HttpVia = Exclude<Via, 'grpc'>

/** Those that are named in the path. */
export type DialectName = Exclude<HttpVia, 'matching'>

/** How one kind of gateway tells of a request and wants to be answered. */
export interface Dialect {
  readonly read: (ask: Ask, address: Address) => RequestParts
  readonly write: (decision: Decision) => HttpReply
}
