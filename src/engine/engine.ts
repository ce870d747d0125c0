import type { CacheUse } from '../authn/method.ts'
import { deny } from '../model/decision.ts'
import type { Decision } from '../model/decision.ts'
import type { Clock } from '../model/clock.ts'
import type { AuthRequest } from '../model/request.ts'
import { showRoute } from '../model/route.ts'
import type { Rule, Snapshot } from '../policy/snapshot.ts'
import { decide, unfinished } from './decide.ts'
import type { Verdict } from './decide.ts'
import { resolve } from './resolve.ts'

/** How long an answer may take, and whether the caller still wants it. */
export interface Budget {
  /** Milliseconds from now until the answer must be there, margin already taken off. */
  readonly millis: number
  /** Aborts when the caller goes away. */
  readonly signal?: AbortSignal
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
  /** Always resolves, within the budget, with an explicit answer. */
  readonly answer: (request: AuthRequest, budget: Budget) => Promise<Decision>
  /** True once a whole snapshot is in force. */
  readonly ready: () => boolean
}

export interface EngineParts {
  readonly snapshot: () => Snapshot | undefined
  readonly clock: Clock
  readonly record: (record: DecisionRecord) => void
}

const settled = { method: undefined, cache: 'none', subject: undefined } as const

/** The whole story of a request: which rule, what its policy says, in time, on record. */
export function createEngine({ snapshot, clock, record }: EngineParts): Engine {
  async function answer(request: AuthRequest, budget: Budget): Promise<Decision> {
    const started = clock.ticks()
    const world = snapshot()
    const resolution = resolve(world, request)
    const refusal = resolution.kind === 'refused' ? (request.fault ?? resolution.reason) : undefined
    const verdict: Verdict =
      resolution.kind === 'refused'
        ? { decision: deny(refusal ?? resolution.reason), ...settled }
        : await judged(resolution.rule, request, budget)
    const { rule } = resolution
    record({
      request,
      ...verdict,
      rule: rule === undefined ? undefined : showRoute(rule.key),
      policy: rule?.policy?.name,
      micros: Math.round((clock.ticks() - started) * 1000),
      generation: world?.generation ?? 0,
    })
    return verdict.decision
  }
  return { answer, ready: () => snapshot() !== undefined }
}

type Cut = 'timeout' | 'cancelled' | 'internal'

/** Decides under a deadline: work that is late is told to stop, and counts as one that came to no end. */
function judged(rule: Rule, request: AuthRequest, budget: Budget): Promise<Verdict> {
  const late = (reason: Cut): Verdict => unfinished(rule, request, reason)
  if (budget.signal?.aborted === true) return Promise.resolve(late('cancelled'))
  if (budget.millis <= 0) return Promise.resolve(late('timeout'))
  return new Promise((done) => {
    const stop = new AbortController()
    const end = (verdict: Verdict): void => {
      clearTimeout(timer)
      budget.signal?.removeEventListener('abort', gone)
      done(verdict)
    }
    const cut = (reason: Cut) => (): void => {
      stop.abort()
      end(late(reason))
    }
    const gone = cut('cancelled')
    const timer = setTimeout(cut('timeout'), budget.millis)
    budget.signal?.addEventListener('abort', gone, { once: true })
    decide(rule, request, stop.signal).then(end, cut('internal'))
  })
}
