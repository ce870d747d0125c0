import type { Budget, Engine } from '../../engine/engine.ts'
import { deny } from '../../model/decision.ts'
import type { Decision } from '../../model/decision.ts'
import { headerValueSafe } from '../../model/header.ts'
import { memo } from '../../model/memo.ts'
import { authRequest } from '../../model/request.ts'
import type { TrustedSources } from '../trusted-sources.ts'
import { readAsk } from './ask.ts'
import type { Head, Incoming } from './ask.ts'
import { untoldBody } from './body.ts'
import type { UntoldBody } from './body.ts'
import type { Address, Ask, Dialect, HttpReply, HttpVia } from './dialect.ts'
import { dialects } from './index.ts'
import { parseRulePath } from './rule-path.ts'

export interface AnsweringParts {
  readonly engine: Engine
  readonly kind: 'keyed' | 'matching'
  readonly trusts: TrustedSources
  /** Longest time for an answer; the caller's own deadline counts where it is sooner. */
  readonly budgetMillis: number
}

/** Answers calls, at once where nobody has to be waited for; always with an explicit answer. */
export type Answering = (incoming: Incoming, head: Head, caller: () => AbortSignal) => HttpReply | Promise<HttpReply>

/** The whole way of a call: read in its dialect, judged, written in its dialect. */
export function answering({ engine, kind, trusts, budgetMillis }: AnsweringParts): Answering {
  const judged = (ask: Ask, address: Address, budget: Budget): Decision | Promise<Decision> => {
    const parts = dialects[address.via].read(ask, address)
    return engine.answer(authRequest(parts, ask.examined && parts.headers === ask.headers), budget)
  }
  const afterBody = async (body: UntoldBody, ask: Ask, address: Address, budget: Budget): Promise<Decision> => {
    const until = performance.now() + budget.millis
    const fault = await body(budget.millis)
    return judged({ ...ask, fault }, address, { ...budget, millis: until - performance.now() })
  }
  return (incoming, head, caller) => {
    let { via } = unmatched
    const broken = (cause: unknown): HttpReply => reply(dialects[via], deny('internal', { cause }))
    try {
      const ask = readAsk(incoming, head, trusts)
      const address = kind === 'matching' ? matched : parseRulePath(ask.target)
      via = address.via
      const budget = { millis: Math.min(budgetMillis, callerMillis(ask, via)) - marginMillis, caller }
      const body = ask.fault === undefined ? untoldBody(incoming, head) : undefined
      const decision = body === undefined ? judged(ask, address, budget) : afterBody(body, ask, address, budget)
      const written = replies[via]
      return decision instanceof Promise ? decision.then(written).catch(broken) : written(decision)
    } catch (cause) {
      return broken(cause)
    }
  }
}

/** Decisions that are the same object are the same reply. */
const repliesOf = (dialect: Dialect): ((decision: Decision) => HttpReply) =>
  memo((decision: Decision) => reply(dialect, decision))

const replies: Readonly<Record<HttpVia, (decision: Decision) => HttpReply>> = {
  check: repliesOf(dialects.check),
  matching: repliesOf(dialects.matching),
  nginx: repliesOf(dialects.nginx),
  traefik: repliesOf(dialects.traefik),
  caddy: repliesOf(dialects.caddy),
  haproxy: repliesOf(dialects.haproxy),
  ngf: repliesOf(dialects.ngf),
}

/** Ready to be written as it stands; a decision that cannot be written is none. */
function reply(dialect: Dialect, decision: Decision): HttpReply {
  const made = dialect.write(decision)
  if (!Object.values(made.headers).flat().every(headerValueSafe)) return unwritable
  return { ...made, headers: { ...made.headers, 'content-length': String(Buffer.byteLength(made.body)) } }
}

const unwritable: HttpReply = { status: 403, headers: { 'content-length': '0' }, body: '' }

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
