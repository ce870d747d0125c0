import type { Budget, Engine } from '../../engine/engine.ts'
import { deny } from '../../model/decision.ts'
import { authRequest } from '../../model/request.ts'
import type { TrustedSources } from '../trusted-sources.ts'
import { readAsk } from './ask.ts'
import type { Incoming } from './ask.ts'
import type { Address, Ask, HttpReply } from './dialect.ts'
import { dialects } from './index.ts'
import { parseRulePath } from './rule-path.ts'

export interface AnsweringParts {
  readonly engine: Engine
  readonly kind: 'keyed' | 'matching'
  readonly trusts: TrustedSources
  /** Longest time for an answer; the caller's own deadline counts where it is sooner. */
  readonly budgetMillis: number
}

/** Answers calls; always with an explicit answer. */
export type Answering = (incoming: Incoming, signal: AbortSignal) => Promise<HttpReply>

/** The whole way of a call: read in its dialect, judged, written in its dialect. */
export function answering({ engine, kind, trusts, budgetMillis }: AnsweringParts): Answering {
  return async (incoming, signal) => {
    let { via } = unmatched
    try {
      const ask = readAsk(incoming, trusts)
      const address = kind === 'matching' ? matched : parseRulePath(ask.target)
      via = address.via
      const dialect = dialects[via]
      const budget: Budget = { millis: Math.min(budgetMillis, callerMillis(ask, via)) - marginMillis, signal }
      return dialect.write(await engine.answer(authRequest(dialect.read(ask, address)), budget))
    } catch (cause) {
      return dialects[via].write(deny('internal', { cause }))
    }
  }
}

const matched: Address = { via: 'matching', claim: { kind: 'match' }, rest: '' }
const unmatched: Address = { via: 'check', claim: { kind: 'bad' }, rest: '' }

/** Taken off, so that the answer is back in time. */
const marginMillis = 10

/** How long Envoy waits (GATEWAYS.md §G.3): late, we would be an outage, which it may be told to let through. */
function callerMillis({ headers }: Ask, via: Address['via']): number {
  if (via !== 'check' && via !== 'matching') return Number.POSITIVE_INFINITY
  const told = (headers.get('x-envoy-expected-rq-timeout-ms') ?? []).filter((one) => /^[1-9]\d{0,8}$/.test(one))
  return Math.min(...told.map(Number))
}
