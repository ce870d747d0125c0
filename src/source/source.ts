import type { Problem } from '../model/result.ts'
import type { Manifest } from '../policy/manifest.ts'

/** Everything that a source holds at one moment, and what it could not read. */
export interface SourceState {
  readonly manifests: readonly Manifest[]
  readonly problems: readonly Problem[]
}

/** Where objects come from. */
export interface Source {
  /** Tells the first whole state before it resolves, and then each state that differs from the last. */
  readonly start: (onChange: (state: SourceState) => void) => Promise<void>
  /** Stops watching; nothing is told afterwards. */
  readonly close: () => Promise<void>
}
