import { LRUCache } from 'lru-cache'
import type { Clock } from '../model/clock.ts'
import type { Claims } from '../model/identity.ts'
import { once } from '../model/memo.ts'
import { traceparentOf } from '../model/request.ts'
import type { AuthRequest } from '../model/request.ts'
import type { Telemetry } from '../model/telemetry.ts'
import { createCircuitBreaker } from './circuit-breaker.ts'
import type { CircuitBreaker } from './circuit-breaker.ts'
import { createEndpointDiscovery } from './endpoint-discovery.ts'
import type { EndpointDiscovery } from './endpoint-discovery.ts'
import type { HttpClient } from './http-client.ts'

/** What one call to an introspection endpoint brought. */
export type Introspected =
  | { readonly kind: 'active'; readonly claims: Claims; readonly bytes: number }
  | { readonly kind: 'inactive' }
  /** `refused`: the server did not take our own credentials. `unfit`: it would not judge this token. */
  | { readonly kind: 'failed'; readonly why: 'trouble' | 'refused' | 'unfit'; readonly retryAfter?: number }

/** One endpoint as one client of it sees it. */
export interface AuthorizationServer {
  /** The same for the same endpoint and credentials: parts circuit breakers. Holds no secret. */
  readonly id: string
  /** Asks once; resolves with `failed` rather than rejecting. */
  readonly ask: (token: string, context: AskContext) => Promise<Introspected>
}

/** What goes along with a question beside the token. */
export interface AskContext {
  readonly signal: AbortSignal
  /** The request's own, sent on as it came (W3C Trace Context §3.2): the call is seen in the trace of the request that began it. */
  readonly traceparent?: string | undefined
}

export interface Question {
  readonly server: AuthorizationServer
  readonly token: string
  /** Keyed digest of everything that the answer depends on (SECURITY.md E7); never the token itself. */
  readonly key: string
  /** How old an answer this asker takes, in milliseconds; 0 keeps none. */
  readonly maxAge: number
  /** Who asks: a call that it begins is part of its trace. */
  readonly request?: AuthRequest
}

export type Reply =
  | { readonly kind: 'active'; readonly claims: Claims; readonly cache: 'hit' | 'miss' }
  | { readonly kind: 'inactive' }
  | { readonly kind: 'unavailable'; readonly why: 'trouble' | 'overloaded' }

/** Shared state of introspection: answers by endpoint, one call for many askers, a circuit breaker for each endpoint. */
export interface Introspector {
  /** At once where the answer is known or the circuit is open; the signal ends the wait, not the call for others. */
  readonly introspect: (question: Question, signal: AbortSignal) => Reply | Promise<Reply>
  /** Where the endpoints of issuers are that are known by their issuer only. */
  readonly endpoints: EndpointDiscovery
  readonly close: () => void
}

export interface IntrospectorParts {
  readonly http: HttpClient
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly limits?: Partial<IntrospectorLimits>
  readonly endpoints?: EndpointDiscovery
}

export interface IntrospectorLimits {
  readonly entries: number
  readonly bytes: number
  /** Longest time that "inactive" is believed: a token may become known to the server a moment later. */
  readonly negativeAge: number
  /** Calls to one endpoint under way at a time. */
  readonly concurrency: number
}

const usual: IntrospectorLimits = { entries: 10_000, bytes: 32 << 20, negativeAge: 10_000, concurrency: 128 }

type Known = Exclude<Introspected, { kind: 'failed' }> & { readonly at: number }

interface Line {
  readonly breaker: CircuitBreaker
  underway: number
}

const trouble: Reply = { kind: 'unavailable', why: 'trouble' }

/** Made once for the process; close it once. */
export function createIntrospector(parts: IntrospectorParts): Introspector {
  const { http, clock, telemetry, limits, endpoints = createEndpointDiscovery(http) } = parts
  const { entries, bytes, negativeAge, concurrency } = { ...usual, ...limits }
  const actives = once(
    () =>
      new LRUCache<string, Known>({
        max: entries,
        maxSize: bytes,
        // Parsed claims take some times the bytes they were written in.
        sizeCalculation: (entry) => 256 + (entry.kind === 'active' ? entry.bytes * 3 : 0),
      }),
  )
  // Apart, so that a flood of made-up tokens pushes no good one out.
  const inactives = once(() => new LRUCache<string, Known>({ max: entries }))
  const flights = new Map<string, Promise<Known | undefined>>()
  const lines = new LRUCache<string, Line>({ max: 1000 })
  const stop = new AbortController()

  function lineTo({ id }: AuthorizationServer): Line {
    const line = lines.get(id) ?? {
      breaker: createCircuitBreaker(clock, () => telemetry.count('introspection-breaker-opened')),
      underway: 0,
    }
    lines.set(id, line)
    return line
  }

  function remembered({ key, maxAge }: Question): Known | undefined {
    const entry = actives().get(key) ?? inactives().get(key)
    if (entry === undefined) return undefined
    const age = clock.ticks() - entry.at
    const fresh = age < (entry.kind === 'active' ? maxAge : Math.min(maxAge, negativeAge))
    return fresh ? entry : undefined
  }

  async function fly(
    question: Question,
    line: Line,
    settle: (result: Introspected) => void,
  ): Promise<Known | undefined> {
    line.underway += 1
    const at = clock.ticks() // an answer is as old as its question: what is revoked meanwhile must not count longer
    const result = await asked(question, stop.signal)
    line.underway -= 1
    flights.delete(question.key)
    settle(result)
    if (result.kind === 'failed') return undefined
    const entry = { ...result, at }
    if (question.maxAge > 0 && !stop.signal.aborted) keep(question.key, entry)
    return entry
  }

  function keep(key: string, entry: Known): void {
    const [its, other] = entry.kind === 'active' ? [actives(), inactives()] : [inactives(), actives()]
    other.delete(key)
    its.set(key, entry)
    telemetry.level('introspection-cache-entries', actives().size + inactives().size)
  }

  /** Starts a call, or says why not. */
  function depart(question: Question): Promise<Known | undefined> | Reply {
    const line = lineTo(question.server)
    if (line.underway >= concurrency || question.request?.late === true)
      return { kind: 'unavailable', why: 'overloaded' }
    const leave = line.breaker.enter()
    if (leave === undefined) return trouble
    return fly(question, line, (result) => {
      const failed = result.kind === 'failed' ? result : undefined
      telemetry.count(counterOf(failed?.why))
      leave.settle(
        failed === undefined ? 'succeeded' : failed.why === 'unfit' ? 'neutral' : 'failed',
        failed?.retryAfter,
      )
    })
  }

  function introspect(question: Question, signal: AbortSignal): Reply | Promise<Reply> {
    const entry = remembered(question)
    if (entry !== undefined) return reply(entry, 'hit')
    let flight = flights.get(question.key)
    if (flight === undefined) {
      const departed = depart(question)
      if (!(departed instanceof Promise)) return departed
      flight = departed
      flights.set(question.key, flight)
    }
    return waited(flight, signal)
  }

  function close(): void {
    stop.abort()
    endpoints.close()
  }
  return { introspect, endpoints, close }
}

async function asked({ server, token, request }: Question, signal: AbortSignal): Promise<Introspected> {
  try {
    return await server.ask(token, { signal, traceparent: request && traceparentOf(request) })
  } catch {
    return { kind: 'failed', why: 'trouble' }
  }
}

const counterOf = (why: 'trouble' | 'refused' | 'unfit' | undefined) =>
  why === undefined ? 'introspection-ok' : why === 'refused' ? 'introspection-refused' : 'introspection-failed'

const reply = (entry: Known, cache: 'hit' | 'miss'): Reply =>
  entry.kind === 'active' ? { kind: 'active', claims: entry.claims, cache } : { kind: 'inactive' }

/** Everybody waits for the same flight, each as long as it can; whoever leaves takes nobody along. */
function waited(flight: Promise<Known | undefined>, signal: AbortSignal): Promise<Reply> {
  return new Promise((done) => {
    const leave = (): void => done(trouble)
    if (signal.aborted) return leave()
    signal.addEventListener('abort', leave, { once: true })
    void flight.then((entry) => {
      signal.removeEventListener('abort', leave)
      done(entry === undefined ? trouble : reply(entry, 'miss'))
    })
  })
}
