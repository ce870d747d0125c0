import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import type { DecisionRecord } from './engine/engine.ts'
import { counters, gauges } from './model/telemetry.ts'
import type { Telemetry } from './model/telemetry.ts'

/** Prometheus metrics of one process; every label value comes from a closed set. */
export interface Metrics {
  readonly registry: Registry
  readonly telemetry: Telemetry
  readonly record: (record: DecisionRecord) => void
}

// An answer from a cache takes some ten microseconds, a password hash a tenth of a second.
const buckets = [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]

/** Levels that are a process's own: where several workers serve, theirs add up. The others tell of what all of them see. */
const perProcess = /-entries$|^password-queue$/

export function createMetrics(): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const countDecision = decisionCounter(registers)
  const seconds = new Histogram({
    name: 'gatehouse_decision_seconds',
    help: 'Time from request to decision.',
    labelNames: ['via'],
    buckets,
    registers,
  })
  const named = (name: string): string => `gatehouse_${name.replaceAll('-', '_')}`
  const counts = new Map(
    Object.entries(counters).map(([name, help]) => [
      name,
      new Counter({ name: `${named(name)}_total`, help: `Number of ${help}.`, registers }),
    ]),
  )
  const levels = new Map(
    Object.entries(gauges).map(([name, help]) => [
      name,
      new Gauge({
        name: named(name),
        help: `The ${help}.`,
        registers,
        aggregator: perProcess.test(name) ? 'sum' : 'max',
      }),
    ]),
  )
  return {
    registry,
    telemetry: {
      count: (event) => counts.get(event)?.inc(),
      level: (gauge, value) => levels.get(gauge)?.set(value),
    },
    record: (record) => {
      const { decision, request, micros } = record
      countDecision(record)
      if (decision.kind === 'deny') {
        if (decision.reason === 'identity-mismatch') counts.get('identity-mismatch')?.inc()
        if (decision.reason === 'overloaded' && request.late === true) counts.get('work-shed')?.inc()
      }
      seconds.observe({ via: request.via }, micros / 1e6)
    },
  }
}

/** Decisions of one kind come in runs, which are counted whole: to count one by its labels takes longer than to find it. */
function decisionCounter(registers: Registry[]): (record: DecisionRecord) => void {
  let run = { decision: '', reason: '', via: '', cache: '', count: 0 }
  const settle = (): void => {
    const { count, ...labels } = run
    if (count > 0) decisions.inc(labels, count)
    run.count = 0
  }
  const decisions = new Counter({
    name: 'gatehouse_decisions_total',
    help: 'Decisions by outcome, reason and transport.',
    labelNames: ['decision', 'reason', 'via', 'cache'],
    registers,
    collect: settle,
  })
  return ({ decision: made, request: { via }, cache }) => {
    const reason = made.kind === 'deny' ? made.reason : (made.shadowed ?? 'none')
    const decision = made.kind === 'allow' && made.shadowed !== undefined ? 'shadowed' : made.kind
    if (decision !== run.decision || reason !== run.reason || via !== run.via || cache !== run.cache) {
      settle()
      run = { decision, reason, via, cache, count: 0 }
    }
    run.count += 1
  }
}
