import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { build, helpText } from './build.ts'
import { figures, outcome } from './figures.ts'
import { BadOptions, readOptions } from './options.ts'
import type { Options } from './options.ts'
import { moveTo, pinning } from './pinned.ts'
import { profile } from './profile.ts'
import { median } from './results.ts'
import { runQuick } from './quick.ts'
import { choose, run } from './run.ts'
import type { Pace } from './sample.ts'
import { createStage } from './stage.ts'
import type { Stage } from './stage.ts'
import { subjects } from './subjects.ts'
import { tables } from './table.ts'

/*
 * `npm run bench`: what a check costs, as a ratio to what Node.js itself costs on this machine in this run. It fails when an answer
 * is wrong or a server does not live, never because something is slow.
 */

const thorough: Pace = {
  warmUp: { requests: 30_000, millis: 30_000 },
  turns: 3,
  slice: { millis: 1000 },
  openMillis: 1500,
}

const hasty = {
  warmUp: { requests: 12_000, millis: 12_000 },
  slice: { requests: 1500, millis: 400 },
  onceSlice: { requests: 500, millis: 400 },
  leastRounds: 3,
  until: 57_000,
}

const amounts = { thorough: { many: 100_000, rsa: 40_000 }, quick: { many: 4000, rsa: 4000 } }

const efforts = {
  thorough: { microMillis: 800, starts: 5, floodMillis: 3000 },
  quick: { microMillis: 300, starts: 3, floodMillis: 1500 },
}

const say = (line: string): void => void process.stderr.write(`${line}\n`)

async function profiled(stage: Stage, name: string): Promise<void> {
  const make = subjects.get(name)
  if (make === undefined)
    throw new BadOptions(`No subject is called "${name}"; there are:\n  ${[...subjects.keys()].join('\n  ')}`)
  const folder = fileURLToPath(new URL('../../.cache/bench', import.meta.url))
  mkdirSync(folder, { recursive: true })
  const { file, lines } = await profile(stage, make, folder, thorough.warmUp)
  process.stdout.write(`${lines.join('\n')}\n\n${file}\n`)
}

/** What cannot be measured with this program is left out, and said. */
async function possible(names: readonly string[]): Promise<readonly string[]> {
  const needsCodec = 'grpc jwt, proto-loader'
  if (!names.includes(needsCodec) || (await helpText()).includes('--codec')) return names
  say(`left out, for this program has no --codec: ${needsCodec}`)
  return names.filter((name) => name !== needsCodec)
}

async function measured(stage: Stage, { quick, only, samples, json }: Options): Promise<void> {
  const names = await possible(choose(only, quick))
  if (names.length === 0) throw new BadOptions('--only leaves nothing to measure')
  const effort = efforts[quick ? 'quick' : 'thorough']
  const plan = { subjects, names, effort, say }
  const results = await (quick
    ? runQuick(stage, { ...plan, ...hasty })
    : run(stage, { ...plan, samples, pace: thorough }))
  const outcomes = figures.map((figure) => outcome(figure, results))
  const drifts = [...results.samples.values()].flat().map(({ drift }) => drift)
  const machine = { node: process.version, processor: cpus()[0]?.model, cores: cpus().length, pinning, quick }
  process.stdout.write(`\n${tables(outcomes, results)}\n\n${about(quick, median(drifts))}\n`)
  if (json === undefined) return
  const all = {
    machine,
    figures: outcomes,
    samples: Object.fromEntries(results.samples),
    values: Object.fromEntries(results.values),
  }
  writeFileSync(json, `${JSON.stringify(all, undefined, 2)}\n`)
}

/** Floors that move more than this say that others were at work on these cores. */
const calm = 0.3

const about = (quick: boolean, drift: number): string =>
  [
    quick
      ? 'The quick form: short slices, servers that are hardly warm, shared by subjects, and the ratios alone: what is in MiB or ms takes a whole run.'
      : 'A fresh process for every sample, the floor before and after it; medians and ranges over samples.',
    pinning
      ? 'Servers on core 0, everything else on core 1.'
      : 'No core of its own for the server (taskset): say so beside the figures.',
    'used: share of one core. drift: by how much the floor moved within a sample. open: requests come at 0.55 of what a core can do.',
    ...(drift > calm
      ? ['THE MACHINE WAS NOT CALM: the floor itself moved too much for these figures to be quoted.']
      : []),
  ].join('\n')

async function main(options: Options): Promise<void> {
  if (process.platform !== 'linux') throw new Error('CPU time is read from /proc: this runs on Linux')
  if (options.build) await build()
  moveTo('load', process.pid)
  const stage = await createStage(amounts[options.quick ? 'quick' : 'thorough'])
  try {
    await (options.profile === undefined ? measured(stage, options) : profiled(stage, options.profile))
  } finally {
    stage.close()
  }
}

// An exit takes the servers and the temporary folder along.
process.once('SIGINT', () => process.exit(130)).once('SIGTERM', () => process.exit(143))

try {
  await main(readOptions(process.argv.slice(2)))
} catch (cause) {
  say(cause instanceof BadOptions ? cause.message : `bench: ${(cause as Error).message}`)
  process.exitCode = cause instanceof BadOptions ? 2 : 1
}
