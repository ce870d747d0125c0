import { Agent } from 'undici'
import type { Clock } from '../model/clock.ts'
import type { Evidence, ProbeOutcome } from '../registration/evidence.ts'
import type { Probe } from '../registration/probes.ts'

/** Sends probes, one after another and each now and then; what they meet becomes evidence. */
export interface Prober {
  /** What there is to be probed from now on; nothing where this replica does not write. */
  readonly update: (probes: readonly Probe[]) => void
  readonly close: () => Promise<void>
}

export interface ProberOptions {
  readonly evidence: Evidence
  readonly clock: Clock
  readonly pace?: ProbePace
}

/** Milliseconds: between two probes, and until the same one is sent again after one that proved and one that did not. */
export interface ProbePace {
  readonly gap: number
  readonly proved: number
  readonly unproved: number
}

const usual: ProbePace = { gap: 500, proved: 10 * 60_000, unproved: 30_000 }
const patience = 3000
/** How long the check that a probe causes may take to be on record. */
const recording = 200

/** Starts to probe; nothing is sent before the first `update`. */
export function createProber({ evidence, clock, pace = usual }: ProberOptions): Prober {
  // Whose certificate it is does not matter: nothing secret is sent, and nothing that is answered is believed but a refusal
  // of which we know that it was ours.
  const agent = new Agent({ connect: { rejectUnauthorized: false }, keepAliveTimeout: 1, headersTimeout: patience })
  const stop = new AbortController()
  const due = new Map<string, number>()
  let probes: readonly Probe[] = []
  let timer: NodeJS.Timeout | undefined
  let sending: Promise<void> = Promise.resolve()

  const one = async (probe: Probe): Promise<void> => {
    const began = clock.now()
    const outcome = await send(agent, probe, stop.signal)
    if (stop.signal.aborted) return
    await new Promise((done) => setTimeout(done, recording))
    const ours = (evidence.lastSeen(probe.rule) ?? -Infinity) >= began
    const judged = judge(outcome, ours)
    evidence.probed(probe.gateway, probe.rule, judged, clock.now())
    due.set(keyOf(probe), clock.ticks() + (judged.kind === 'refused' ? pace.proved : pace.unproved))
  }
  const turn = (): void => {
    const next = probes.find((probe) => (due.get(keyOf(probe)) ?? 0) <= clock.ticks())
    sending = (next === undefined ? Promise.resolve() : one(next)).then(arm, arm)
  }
  const arm = (): void => {
    if (!stop.signal.aborted) timer = setTimeout(turn, pace.gap).unref()
  }
  arm()
  return {
    update: (next) => {
      probes = next
      const keys = new Set(next.map(keyOf))
      for (const key of due.keys()) if (!keys.has(key)) due.delete(key)
    },
    close: async () => {
      stop.abort()
      clearTimeout(timer)
      await sending
      clearTimeout(timer)
      await agent.destroy()
    },
  }
}

const keyOf = ({ gateway, rule }: Probe): string => `${gateway} ${rule}`

/** The status that a gateway answered with, or why there is none. */
type Answer = number | string

async function send(agent: Agent, probe: Probe, stop: AbortSignal): Promise<Answer> {
  const { scheme, address, port, host, method, path, headers } = probe
  const authority = address.includes(':') ? `[${address}]` : address
  try {
    const { statusCode, body } = await agent.request({
      origin: `${scheme}://${authority}:${port}`,
      path,
      method,
      headers: { ...headers, host, 'user-agent': 'gatehouse-probe' },
      signal: AbortSignal.any([stop, AbortSignal.timeout(patience)]),
    })
    body.on('error', () => undefined).destroy()
    return statusCode
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'no answer'
    return `nothing answers at ${authority}:${port} (${code})`
  }
}

/** A refusal proves only where we know that it was ours: a gateway may refuse for reasons of its own. */
function judge(answer: Answer, ours: boolean): ProbeOutcome {
  if (typeof answer === 'string') return { kind: 'unclear', say: answer }
  if (answer >= 200 && answer < 300) return { kind: 'passed', status: answer }
  const refusal = answer === 401 || answer === 403 || answer === 302
  if (refusal && ours) return { kind: 'refused' }
  return {
    kind: 'unclear',
    say: refusal ? `it was refused (${answer}), but no check was seen here` : `it was answered ${answer}`,
  }
}
