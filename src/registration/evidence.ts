import { witnesses } from './witness.ts'
import type { Witness } from './witness.ts'

/** What a probe without credentials met at a gateway. */
export type ProbeOutcome =
  /** Refused, after a check that we saw. */
  | { readonly kind: 'refused' }
  /** Answered as if nobody had to be asked. */
  | { readonly kind: 'passed'; readonly status: number }
  /** No answer that tells anything. */
  | { readonly kind: 'unclear'; readonly say: string }

/** What is known of one rule: nothing about it is guessed. */
export interface Evidence {
  /** Counts a check for a rule (`namespace/route/rule`). Called for every request: it only writes a number. */
  readonly seen: (rule: string, now: number, by?: Witness) => void
  /** Who sent checks since the rule's present form came about: the one that proves most; undefined where none was seen. */
  readonly witness: (rule: string, now: number) => Witness | undefined
  /** Whether one of them may have come from a gateway. */
  readonly checked: (rule: string, now: number) => boolean
  readonly probed: (gateway: string, rule: string, outcome: ProbeOutcome, now: number) => void
  readonly probe: (gateway: string, rule: string, now: number) => ProbeOutcome | undefined
  /** When a check was seen last, whatever happened to the rule since. */
  readonly lastSeen: (rule: string) => number | undefined
  /** Forgets what was learnt of other forms of the rules, and of rules that are gone. `form` changes with whatever decides whether checks are made. */
  readonly settle: (forms: ReadonlyMap<string, RuleForm>, now: number) => void
  /** Rises with every first check of a rule, with one that proves more, and with every probe that says something new. */
  readonly version: () => number
  /** The form that checks count for now. */
  readonly form: (rule: string) => string | undefined
  /** Whether the rule has the form that it had when it was first met. */
  readonly unchanged: (rule: string) => boolean
  /** When this began to look. */
  readonly since: number
  /** Milliseconds for which a proof is believed. */
  readonly belief: number
}

export interface RuleForm {
  readonly form: string
  /** `filter`: it asks us by itself, so that one check proves it. `other`: something else makes the gateway ask, and may have stopped to. */
  readonly by: 'filter' | 'other'
}

/** How long a check or a probe is believed: gateways are reconfigured, and silence is not proof. */
const belief = 24 * 60 * 60 * 1000
/** Gateways go on with the configuration before a change for so long. */
const settling = 30_000

interface Known {
  readonly form: string
  /** Checks from before this moment may belong to the form before. */
  readonly from: number
}

/** An empty memory; it holds a few numbers for each rule of the snapshot in force. */
export function createEvidence(since: number): Evidence {
  const checks = new Map<string, Partial<Record<Witness, number>>>()
  const probes = new Map<string, { readonly outcome: ProbeOutcome; readonly at: number }>()
  let known: ReadonlyMap<string, Known> = new Map()
  let version = 0

  const witness = (rule: string, now: number): Witness | undefined => {
    const times = checks.get(rule)
    if (times === undefined) return undefined
    const from = Math.max(known.get(rule)?.from ?? 0, now - belief + 1)
    return witnesses.find((by) => (times[by] ?? -Infinity) >= from)
  }
  return {
    since,
    belief,
    form: (rule) => known.get(rule)?.form,
    unchanged: (rule) => known.get(rule)?.from === 0,
    seen: (rule, now, by = 'somebody') => {
      const times = checks.get(rule) ?? {}
      const before = witness(rule, now)
      times[by] = now
      checks.set(rule, times)
      if (witness(rule, now) !== before) version += 1
    },
    witness,
    checked: (rule, now) => {
      const by = witness(rule, now)
      return by !== undefined && by !== 'local'
    },
    lastSeen: (rule) => {
      const times = Object.values(checks.get(rule) ?? {})
      return times.length === 0 ? undefined : Math.max(...times)
    },
    probed: (gateway, rule, outcome, now) => {
      const at = `${gateway} ${rule}`
      if (JSON.stringify(probes.get(at)?.outcome) !== JSON.stringify(outcome)) version += 1
      probes.set(at, { outcome, at: now })
    },
    probe: (gateway, rule, now) => {
      if (probes.size === 0) return undefined
      const found = probes.get(`${gateway} ${rule}`)
      return found !== undefined && now - found.at < belief && found.at >= (known.get(rule)?.from ?? 0)
        ? found.outcome
        : undefined
    },
    settle: (forms, now) => {
      const before = known
      known = new Map(
        [...forms].map(([rule, { form, by }]) => {
          const old = before.get(rule)
          if (old?.form === form) return [rule, old]
          // What we met first we did not see change: checks that came before we looked are its own.
          const from = old === undefined ? 0 : now + (by === 'filter' ? 0 : settling)
          return [rule, { form, from }]
        }),
      )
      for (const rule of checks.keys()) if (!known.has(rule)) checks.delete(rule)
      for (const at of probes.keys()) if (!known.has(at.slice(at.lastIndexOf(' ') + 1))) probes.delete(at)
    },
    version: () => version,
  }
}
