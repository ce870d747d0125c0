import { constants, openSync } from 'node:fs'
import { pino } from 'pino'
import type { KeyedDigest } from './authn/keyed-digest.ts'
import type { DecisionRecord } from './engine/engine.ts'
import type { Identity } from './model/identity.ts'
import { requestIdOf, traceparentOf } from './model/request.ts'
import type { Telemetry } from './model/telemetry.ts'

/** Where decision lines go: one JSON object a line, never a secret byte, never in the way of a decision. */
export interface DecisionLog {
  readonly record: (record: DecisionRecord) => void
  /** Writes what waits, but does not wait long for a reader that stands still. */
  readonly close: () => Promise<void>
}

export interface DecisionLogOptions {
  readonly which: 'all' | 'denied' | 'off'
  readonly digest: KeyedDigest
  readonly telemetry: Telemetry
  /** File descriptor or path; standard output by default. */
  readonly destination?: number | string
  /** True where other processes write to the same place: what is written at a time is then never torn. */
  readonly shared?: boolean | undefined
}

/** Bytes that may wait for a reader; what comes after is dropped and counted. */
const maxBacklog = 8 * 1024 * 1024

/** What a pipe takes whole or not at all (POSIX PIPE_BUF, on Linux); no line of ours is longer. */
const atomicBytes = 4096

/** Milliseconds for the last lines. */
const patience = 1000

export function createDecisionLog(options: DecisionLogOptions): DecisionLog {
  const { which, digest, telemetry, destination = standardOutput(), shared = false } = options
  let over = false
  // Nobody who stopped waits for a reader that stands still.
  const retryEAGAIN = (): boolean => !over
  const bounds = { maxLength: maxBacklog, ...(shared ? { maxWrite: atomicBytes } : {}) }
  const stream = pino.destination({ dest: destination, sync: false, retryEAGAIN, ...bounds })
  stream.on('drop', () => telemetry.count('log-dropped'))
  stream.on('error', () => telemetry.count('log-dropped'))
  const logger = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime, messageKey: 'msg' }, stream)
  return {
    record: (record) => {
      if (over || which === 'off' || (which === 'denied' && record.decision.kind === 'allow')) return
      logger.info(line(record, digest))
    },
    close: () =>
      new Promise((done) => {
        if (over) return done()
        const end = (): void => {
          over = true
          clearTimeout(timer)
          stream.destroy()
          done()
        }
        const timer = setTimeout(end, patience)
        stream.once('error', end).once('close', end)
        stream.end()
      }),
  }
}

/**
 * Standard output, opened once more so that it never blocks: a write that waits for a reader holds a thread that the process
 * cannot end without. Where it cannot be opened (a socket, another user's pipe) it is taken as it is.
 */
function standardOutput(): number {
  try {
    return openSync('/proc/self/fd/1', constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK)
  } catch {
    return 1
  }
}

/** The fields of one decision line. Strangers' strings are short and JSON-escaped; the subject is a keyed hash. */
export function line(record: DecisionRecord, digest: KeyedDigest): Readonly<Record<string, unknown>> {
  const { request, decision } = record
  const denied = decision.kind === 'deny'
  return {
    decision: decision.kind,
    reason: denied ? decision.reason : undefined,
    shadowed: denied ? undefined : decision.shadowed,
    status: denied ? decision.status : 200,
    policy: record.policy,
    rule: record.rule,
    via: request.via,
    authentication: record.method,
    issuer: denied ? undefined : decision.identity.issuer,
    subject: record.subject === undefined ? undefined : digest('subject', record.subject).slice(0, 16),
    credential: denied ? undefined : reference(decision.identity, digest),
    method: short(request.method, 32),
    host: short(request.host, 255),
    source: request.source,
    caller: request.caller,
    requestId: requestIdOf(request),
    traceId: traceparentOf(request)?.slice(3, 35),
    micros: record.micros,
    cache: record.cache,
    generation: record.generation,
    cause: denied ? causeName(decision.cause) : undefined,
  }
}

/** Which token it was, for those that have an id of their own (RFC 7519 §4.1.7). */
function reference({ claims, issuer = '' }: Identity, digest: KeyedDigest): string | undefined {
  const { jti } = claims
  return typeof jti === 'string' ? digest('jti', issuer, jti).slice(0, 16) : undefined
}

const short = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most)}…` : text)

/** The class of an error, never its message: messages of parsers quote their input. */
const causeName = (cause: unknown): string | undefined =>
  cause === undefined ? undefined : cause instanceof Error ? cause.name : typeof cause
