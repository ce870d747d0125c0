import type { Clock } from '../model/clock.ts'

/** Why a kind cannot be followed now. What was read before stays, except where the kind itself is gone. */
export interface Trouble {
  readonly code: 'missing-crd' | 'missing-permission' | 'api-unreachable'
  /** HTTP status, or 0 where there was no answer. */
  readonly status: number
}

/** Tells a hiccup from a trouble: what goes on for a while, or what comes again at once. */
export interface TroubleWatch {
  readonly current: () => Trouble | undefined
  /** Something went wrong again; the milliseconds for which it has. */
  readonly note: (trouble: Trouble) => number
  /** All is well. */
  readonly clear: () => void
}

export interface TroubleWatchOptions {
  readonly clock: Clock
  /** Milliseconds after which it is told. */
  readonly confirm: number
  readonly onChange: () => void
}

export function createTroubleWatch({ clock, confirm, onChange }: TroubleWatchOptions): TroubleWatch {
  let current: Trouble | undefined
  let since: { readonly code: Trouble['code']; readonly at: number } | undefined
  const set = (next: Trouble | undefined): void => {
    if (current?.code === next?.code) return
    current = next
    onChange()
  }
  return {
    current: () => current,
    note: (trouble) => {
      if (since?.code !== trouble.code) since = { code: trouble.code, at: clock.ticks() }
      const lasted = clock.ticks() - since.at
      if (lasted >= confirm) set(trouble)
      return lasted
    },
    clear: () => {
      since = undefined
      set(undefined)
    },
  }
}
