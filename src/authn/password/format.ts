/** What it takes to check a password against one stored hash, as far as its text tells. */
export type Examination =
  | {
      readonly kind: 'usable'
      /** Estimated milliseconds of one core. */
      readonly millis: number
      readonly kibibytes: number
      /** What is weak in it, as the rest of a sentence that starts with the format's name. */
      readonly weak: string | undefined
    }
  | { readonly kind: 'unreadable'; readonly say: string }

/** One way to store a password: a row of the table in `index.ts`. */
export interface PasswordFormat {
  /** As operators know it. */
  readonly name: string
  /** Whether a hash is in this format, by its prefix or shape; one row at most says yes. */
  readonly owns: (hash: string) => boolean
  readonly examine: (hash: string) => Examination
  /** Holds the thread for as long as `examine` says: for worker threads only. Takes only what `examine` finds usable. */
  readonly verify: (password: Uint8Array, hash: string) => boolean
  /** The format is so weak that a policy has to ask for it. */
  readonly optIn?: 'allowDesCrypt' | 'allowPlaintext'
}

export const usable = (millis: number, kibibytes = 0, weak?: string): Examination => ({
  kind: 'usable',
  millis,
  kibibytes,
  weak,
})

export const unreadable = (say: string): Examination => ({ kind: 'unreadable', say })
