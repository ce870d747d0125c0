import type { CacheUse } from '../authn/method.ts'
import { deny } from '../model/decision.ts'
import type { Decision, DenyReason } from '../model/decision.ts'
import type { Clock } from '../model/clock.ts'
import type { AuthRequest } from '../model/request.ts'
import type { Rule, Snapshot } from '../policy/snapshot.ts'
import { decide, unfinished } from './decide.ts'
import type { Verdict } from './decide.ts'
import type { LoopLag } from './loop-lag.ts'
import { resolve } from './resolve.ts'

/** How long an answer may take, and whether the caller still wants it. */
export interface Budget {
  /** Milliseconds from now until the answer must be there, margin already taken off. */
  readonly millis: number
  /** Aborts when the caller goes away; asked for where the answer has to wait only. */
  readonly caller?: () => AbortSignal
}

/** Everything that is told of one decision, to the log and the metrics. Holds no secret. */
export interface DecisionRecord {
  readonly request: AuthRequest
  readonly decision: Decision
  /** `namespace/route/rule`, where one was found. */
  readonly rule: string | undefined
  /** `namespace/name`, where one is in force. */
  readonly policy: string | undefined
  readonly method: string | undefined
  /** In the clear: the log writes a keyed hash of it. */
  readonly subject: string | undefined
  readonly cache: CacheUse
  readonly micros: number
  readonly generation: number
}

/** What every transport calls. */
export interface Engine {
  /** An explicit answer: at once where nobody has to be waited for, else a promise that always resolves within the budget. */
  readonly answer: (request: AuthRequest, budget: Budget) => Decision | Promise<Decision>
  /** True once a whole snapshot is in force. */
  readonly ready: () => boolean
}

export interface EngineParts {
  readonly snapshot: () => Snapshot | undefined
  readonly clock: Clock
  readonly record: (record: DecisionRecord) => void
  /** How late requests come to us; nothing is late without it. */
  readonly lag?: Pick<LoopLag, 'exceeds'>
}

/** The whole story of a request: which rule, what its policy says, in time, on record. */
export function createEngine({ snapshot, clock, record, lag }: EngineParts): Engine {
  /** Of a request that nobody had to wait for: nobody kept its signal, which costs more to make than most answers. */
  let spare: AbortController | undefined

  function judged(rule: Rule, request: AuthRequest, budget: Budget): Verdict | Promise<Verdict> {
    if (budget.millis <= 0) return unfinished(rule, request, 'timeout')
    const stop = spare ?? new AbortController()
    spare = undefined
    const verdict = decide(rule, request, stop.signal)
    if (verdict instanceof Promise) return inTime(verdict, { rule, request, budget, stop })
    spare = stop
    return verdict
  }

  function answer(asked: AuthRequest, budget: Budget): Decision | Promise<Decision> {
    const request = lag?.exceeds(budget.millis) === true ? { ...asked, late: true } : asked
    const started = clock.ticks()
    const world = snapshot()
    const resolution = resolve(world, request)
    const told = (made: Verdict): Decision => {
      const { rule } = resolution
      const millis = clock.ticks() - started
      // Work that never waits is not cut off: by now the caller may have decided without us.
      const late = millis > budget.millis && made.decision.kind === 'allow' && rule !== undefined
      const { decision, method, cache, subject } = late ? unfinished(rule, request, 'timeout') : made
      const micros = Math.round(millis * 1000)
      const generation = world?.generation ?? 0
      record({
        request,
        decision,
        rule: rule?.id,
        policy: rule?.policy?.name,
        method,
        subject,
        cache,
        micros,
        generation,
      })
      return decision
    }
    const verdict =
      resolution.kind === 'refused'
        ? unresolved(request.fault ?? resolution.reason)
        : judged(resolution.rule, request, budget)
    return verdict instanceof Promise ? verdict.then(told) : told(verdict)
  }
  return { answer, ready: () => snapshot() !== undefined }
}

const unresolved = (reason: DenyReason): Verdict => ({
  decision: deny(reason),
  method: undefined,
  cache: 'none',
  subject: undefined,
})

interface Wait {
  readonly rule: Rule
  readonly request: AuthRequest
  readonly budget: Budget
  readonly stop: AbortController
}

/** Work that is late, or that nobody wants any more, is told to stop, and counts as one that came to no end. */
function inTime(verdict: Promise<Verdict>, { rule, request, budget, stop }: Wait): Promise<Verdict> {
  return new Promise((done) => {
    const caller = budget.caller?.()
    const end = (made: Verdict): void => {
      clearTimeout(timer)
      caller?.removeEventListener('abort', gone)
      done(made)
    }
    const cut = (reason: 'timeout' | 'cancelled') => (): void => {
      stop.abort()
      end(unfinished(rule, request, reason))
    }
    const gone = cut('cancelled')
    const timer = setTimeout(cut('timeout'), budget.millis)
    if (caller?.aborted === true) return gone()
    caller?.addEventListener('abort', gone, { once: true })
    void verdict.then(end)
  })
}
