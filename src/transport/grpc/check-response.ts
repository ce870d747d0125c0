import { status } from '@grpc/grpc-js'
import { deny } from '../../model/decision.ts'
import type { Allow, Decision, Deny } from '../../model/decision.ts'
import { authorizationService, method } from './definitions.ts'
import { toWire } from './wire-text.ts'

interface WireHeaderOption {
  readonly header: { readonly key: string; readonly value: string }
  readonly append_action: number
}

/** `envoy.service.auth.v3.CheckResponse` in the two shapes that are ever sent: a status, and the one part that fits it. */
export type WireResponse =
  | {
      readonly status: { readonly code: typeof status.OK }
      readonly ok_response: {
        readonly headers: readonly WireHeaderOption[]
        readonly headers_to_remove: readonly string[]
      }
    }
  | {
      readonly status: { readonly code: typeof status.PERMISSION_DENIED | typeof status.UNAUTHENTICATED }
      readonly denied_response: {
        readonly status: { readonly code: number }
        readonly headers: readonly WireHeaderOption[]
        readonly body: string
      }
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

function allowed({ set, remove }: Allow): WireResponse {
  const kept = new Set(set.map(([name]) => name))
  return {
    status: { code: status.OK },
    ok_response: {
      headers: set.map(([key, value]) => option(key, value, overwriteIfExistsOrAdd)),
      // A name in both lists ends removed on Envoy and set on agentgateway.
      headers_to_remove: remove.filter((name) => !kept.has(name)),
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

const { responseSerialize } = method(authorizationService, 'Check')

const lastResort = responseSerialize(checkResponse(deny('internal')))

/** The bytes of an answer; a decision that cannot be encoded is a refusal. */
export function writeCheck(decision: Decision): Buffer {
  try {
    return responseSerialize(checkResponse(decision))
  } catch {
    return lastResort
  }
}
