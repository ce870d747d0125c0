import { parseArgs } from 'node:util'

/** What the command line asks for. */
export interface Options {
  readonly quick: boolean
  /** Where everything measured is written to as JSON. */
  readonly json: string | undefined
  readonly only: RegExp
  /** Samples of each subject. */
  readonly samples: number
  /** Subject to be profiled, instead of a run. */
  readonly profile: string | undefined
  readonly build: boolean
}

const usage = `npm run bench -- [--quick] [--only PATTERN] [--samples N] [--json FILE] [--no-build]
npm run bench -- --profile SUBJECT

  --quick            the ratios with a gate, in under a minute
  --only PATTERN     subjects and figures whose name matches this regular expression
  --samples N        fresh processes for each subject (default 6)
  --json FILE        write everything measured
  --no-build         measure dist/ as it is
  --profile SUBJECT  write a CPU profile of the server and print where the time goes
`

/** A command line that cannot be obeyed; the message says what is possible. */
export class BadOptions extends Error {}

/** Reads the command line. Throws BadOptions. */
export function readOptions(args: readonly string[]): Options {
  const { values } = parsed(args)
  const { quick = false, json, only = '', samples, profile, build = true } = values
  if (quick && samples !== undefined)
    throw new BadOptions(`--samples goes without --quick, which has one process of each\n\n${usage}`)
  const count = Number(samples ?? 6)
  if (!Number.isInteger(count) || count < 1 || count > 100) throw new BadOptions(`--samples takes 1 to 100\n\n${usage}`)
  return { quick, json, only: pattern(only), samples: count, profile, build }
}

function parsed(args: readonly string[]) {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  try {
    return parseArgs({
      args: [...args],
      allowNegative: true,
      options: { quick: flag, json: text, only: text, samples: text, profile: text, build: flag },
    })
  } catch (cause) {
    throw new BadOptions(`${(cause as Error).message}\n\n${usage}`)
  }
}

function pattern(text: string): RegExp {
  try {
    return new RegExp(text)
  } catch (cause) {
    throw new BadOptions(`--only: ${(cause as Error).message}\n\n${usage}`)
  }
}
