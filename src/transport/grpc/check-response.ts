import { status } from '@grpc/grpc-js'
import { deny } from '../../model/decision.ts'
import type { Allow, Decision, Deny } from '../../model/decision.ts'
import { toWire } from './wire-text.ts'
import { prefixBytes } from './unary-call.ts'
import type { Framed } from './unary-call.ts'
import { framedMessage, lengthDelimited, message, numeric, string } from './wire-writer.ts'

interface WireHeaderOption {
  readonly header: { readonly key: string; readonly value: string }
  readonly append_action: number
}

interface WireOk {
  readonly headers: readonly WireHeaderOption[]
  readonly headers_to_remove: readonly string[]
  readonly query_parameters_to_remove: readonly string[]
}

interface WireDenied {
  readonly status: { readonly code: number }
  readonly headers: readonly WireHeaderOption[]
  readonly body: string
}

/** `envoy.service.auth.v3.CheckResponse` in the two shapes that are ever sent: a status, and the one part that fits it. */
export type WireResponse =
  | { readonly status: { readonly code: typeof status.OK }; readonly ok_response: WireOk }
  | {
      readonly status: { readonly code: typeof status.PERMISSION_DENIED | typeof status.UNAUTHENTICATED }
      readonly denied_response: WireDenied
    }

// config.core.v3.HeaderValueOption.HeaderAppendAction. Never the deprecated `append`, never `raw_value`, which Envoy ignores here.
const appendIfExistsOrAdd = 0
const overwriteIfExistsOrAdd = 2

/**
 * The one place where a decision becomes an answer. Envoy reads an empty response, or one with no status, as an allow (GATEWAYS.md
 * §G.1), so both shapes carry an explicit code; `error_response` is never used, because it obeys `failure_mode_allow`.
 */
export function checkResponse(decision: Decision): WireResponse {
  switch (decision.kind) {
    case 'allow':
      return allowed(decision)
    case 'deny':
      return denied(decision)
  }
}

function allowed({ set, remove, removeQuery }: Allow): WireResponse {
  const kept = new Set(set.map(([name]) => name))
  return {
    status: { code: status.OK },
    ok_response: {
      headers: set.map(([key, value]) => option(key, value, overwriteIfExistsOrAdd)),
      // A name in both lists ends removed on Envoy and set on agentgateway.
      headers_to_remove: remove.filter((name) => !kept.has(name)),
      query_parameters_to_remove: removeQuery,
    },
  }
}

function denied({ status: http, headers, body }: Deny): WireResponse {
  // Envoy sends whatever is written here, 200 included.
  const code = Number.isInteger(http) && http >= 300 && http < 500 ? http : 403
  return {
    status: { code: code === 401 ? status.UNAUTHENTICATED : status.PERMISSION_DENIED },
    denied_response: {
      status: { code },
      headers: headers.map(([key, value]) => option(key, value, appendIfExistsOrAdd)), // several challenges survive
      body,
    },
  }
}

const option = (key: string, value: string, append_action: number): WireHeaderOption => ({
  header: { key, value: toWire(value) },
  append_action,
})

/** The bytes of an answer; a decision that cannot be encoded is a refusal. */
export const writeCheck = (decision: Decision): Buffer => message(framedCheck(decision).slice(prefixBytes))

/** The same as text, with what gRPC puts before a message: that it is not compressed, and its length. */
export function framedCheck(decision: Decision): Framed {
  const before = written.get(decision)
  if (before !== undefined) return before
  const framed = framedMessage(encoded(decision, encodeResponse))
  written.set(decision, framed)
  return framed
}

/** The engine gives the same object for the same identity and rule, and that is encoded once. */
const written = new WeakMap<Decision, Framed>()

/** An answer through one codec, or the refusal that every codec can write. */
export function encoded<Bytes>(decision: Decision, encode: (response: WireResponse) => Bytes): Bytes {
  try {
    return encode(checkResponse(decision))
  } catch {
    return encode(checkResponse(deny('internal')))
  }
}

/** `CheckResponse` as bytes in latin-1 text: `status` is 1, `denied_response` 2, `ok_response` 3. */
export function encodeResponse(response: WireResponse): string {
  const { code } = response.status
  const told = lengthDelimited(1, numeric(1, code))
  return 'ok_response' in response ? told + ok(response.ok_response) : told + refusal(response.denied_response)
}

const ok = ({ headers, headers_to_remove: removed, query_parameters_to_remove: unwanted }: WireOk): string =>
  lengthDelimited(3, options(headers) + strings(5, removed) + strings(8, unwanted))

const strings = (field: number, values: readonly string[]): string =>
  values.map((value) => string(field, value)).join('')

const refusal = ({ status: { code }, headers, body }: WireDenied): string =>
  lengthDelimited(2, lengthDelimited(1, numeric(1, code)) + options(headers) + string(3, body))

const options = (headers: readonly WireHeaderOption[]): string =>
  headers
    .map(({ header: { key, value }, append_action: action }) =>
      lengthDelimited(2, lengthDelimited(1, string(1, key) + string(2, value)) + numeric(3, action)),
    )
    .join('')
