import { LRUCache } from 'lru-cache'
import type { Clock } from '../model/clock.ts'
import type { CircuitBreaker } from './circuit-breaker.ts'

/** What one call brought. `lasting`: worth remembering as long as the asker likes; others for a short while only. */
export type Called<T> =
  | { readonly kind: 'answered'; readonly answer: T; readonly lasting: boolean; readonly bytes: number }
  /** `neutral`: it says nothing about the server's health. */
  | { readonly kind: 'failed'; readonly neutral: boolean; readonly retryAfter: number | undefined }

/** One question, as one of many askers has it. */
export interface SharedQuestion<T> {
  /** Keyed digest of everything that the answer depends on (SECURITY.md E7). */
  readonly key: string
  /** How old an answer this asker takes, in milliseconds; 0 keeps none. */
  readonly maxAge: number
  /** True where no call may be begun for it. */
  readonly late?: boolean | undefined
  /** Makes the call; the signal is the closing of the process or the end of a call's time, never one asker's. */
  readonly call: (signal: AbortSignal) => Promise<Called<T>>
}

export type Shared<T> =
  | { readonly kind: 'answered'; readonly answer: T; readonly cache: 'hit' | 'miss' }
  | { readonly kind: 'unavailable'; readonly why: 'trouble' | 'overloaded' }

/** Questions of one kind to one server: remembered answers, one call for many askers, a bound on calls, a circuit breaker. */
export interface SharedQuestions<T> {
  /** At once where the answer is known or no call may be made; the signal ends the wait, not the call for others. */
  readonly ask: (question: SharedQuestion<T>, signal: AbortSignal) => Shared<T> | Promise<Shared<T>>
  readonly close: () => void
}

export interface SharedQuestionLimits {
  readonly entries: number
  readonly bytes: number
  /** Longest time that an answer which is not lasting is believed. */
  readonly briefAge: number
  /** Calls under way at a time. */
  readonly concurrency: number
  /** Milliseconds for one call. */
  readonly timeout: number
}

interface Known<T> {
  readonly answer: T
  readonly at: number
  readonly bytes: number
  readonly lasting: boolean
}

const trouble: Shared<never> = { kind: 'unavailable', why: 'trouble' }
const overloaded: Shared<never> = { kind: 'unavailable', why: 'overloaded' }

export function createSharedQuestions<T>(
  clock: Clock,
  breaker: CircuitBreaker,
  { entries, bytes, briefAge, concurrency, timeout }: SharedQuestionLimits,
): SharedQuestions<T> {
  const size = { max: entries, maxSize: bytes, sizeCalculation: (known: Known<T>) => 256 + known.bytes }
  const lasting = new LRUCache<string, Known<T>>(size)
  // Apart, so that a flood of made-up questions pushes no good answer out.
  const brief = new LRUCache<string, Known<T>>(size)
  const flights = new Map<string, Promise<Known<T> | undefined>>()
  const stop = new AbortController()

  function remembered({ key, maxAge }: SharedQuestion<T>): Known<T> | undefined {
    const known = lasting.get(key) ?? brief.get(key)
    if (known === undefined) return undefined
    return clock.ticks() - known.at < (known.lasting ? maxAge : Math.min(maxAge, briefAge)) ? known : undefined
  }

  async function fly(question: SharedQuestion<T>, settle: (called: Called<T>) => void): Promise<Known<T> | undefined> {
    const at = clock.ticks() // an answer is as old as its question
    const called = await timely(question.call, AbortSignal.any([stop.signal, AbortSignal.timeout(timeout)]))
    flights.delete(question.key)
    settle(called)
    if (called.kind === 'failed') return undefined
    const known = { answer: called.answer, lasting: called.lasting, bytes: called.bytes, at }
    if (question.maxAge > 0 && !stop.signal.aborted) keep(question.key, known)
    return known
  }

  function keep(key: string, known: Known<T>): void {
    const [its, other] = known.lasting ? [lasting, brief] : [brief, lasting]
    other.delete(key)
    its.set(key, known)
  }

  /** Makes the call, or says why not. */
  function depart(question: SharedQuestion<T>): Promise<Known<T> | undefined> | Shared<T> {
    if (flights.size >= concurrency || question.late === true) return overloaded
    const leave = stop.signal.aborted ? undefined : breaker.enter()
    if (leave === undefined) return trouble
    const flight = fly(question, (called) => {
      if (called.kind === 'answered') leave.settle('succeeded')
      else leave.settle(called.neutral ? 'neutral' : 'failed', called.retryAfter)
    })
    flights.set(question.key, flight)
    return flight
  }

  return {
    ask: (question, signal) => {
      const known = remembered(question)
      if (known !== undefined) return { kind: 'answered', answer: known.answer, cache: 'hit' }
      const flight = flights.get(question.key) ?? depart(question)
      return flight instanceof Promise ? waited(flight, signal) : flight
    },
    close: () => stop.abort(),
  }
}

/** The call's outcome, or a failure once the signal has gone off: a call that does not listen to it holds nobody up. */
function timely<T>(call: SharedQuestion<T>['call'], signal: AbortSignal): Promise<Called<T>> {
  const failure: Called<T> = { kind: 'failed', neutral: false, retryAfter: undefined }
  return new Promise((done) => {
    const late = (): void => done(failure)
    signal.addEventListener('abort', late, { once: true })
    void call(signal)
      .catch(() => failure)
      .then((called) => {
        signal.removeEventListener('abort', late)
        done(called)
      })
  })
}

/** Everybody waits for the same flight, each as long as it can; whoever leaves takes nobody along. */
function waited<T>(flight: Promise<Known<T> | undefined>, signal: AbortSignal): Promise<Shared<T>> {
  return new Promise((done) => {
    const leave = (): void => done(trouble)
    if (signal.aborted) return leave()
    signal.addEventListener('abort', leave, { once: true })
    void flight.then((known) => {
      signal.removeEventListener('abort', leave)
      done(known === undefined ? trouble : { kind: 'answered', answer: known.answer, cache: 'miss' })
    })
  })
}
