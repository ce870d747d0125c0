/** Something the person at the command line has to change: one sentence, exit code 2, no stack trace. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
