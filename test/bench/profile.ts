import { readFileSync, readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startCompany } from './company.ts'
import type { Limits } from './traffic.ts'
import type { Stage } from './stage.ts'
import type { Make } from './subjects.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** A `.cpuprofile` of V8, as far as it is read. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly samples: readonly number[]
  /** Microseconds from each sample to the next. */
  readonly timeDeltas: readonly number[]
}

export interface Profile {
  /** The file, for the browser's developer tools. */
  readonly file: string
  /** Lines for people: share, function and place. */
  readonly lines: readonly string[]
}

const profiled: Limits = { millis: 8000 }

/** Runs one subject's server under its load with V8's profiler on. The warm-up is in the profile too. */
export async function profile(stage: Stage, make: Make, folder: string, warmUp: Limits): Promise<Profile> {
  const subject = make(stage)
  if (typeof subject.server === 'string') throw new Error('a reference has nothing to look at')
  const nodeFlags = ['--cpu-prof', `--cpu-prof-dir=${folder}`, '--cpu-prof-interval=250']
  const before = new Set(readdirSync(folder))
  const company = startCompany(warmUp)
  try {
    const { slice } = await company.ready({ ...subject, server: { ...subject.server, nodeFlags } })
    await slice(profiled)
  } finally {
    await company.close() // the profile is written when the server ends
  }
  const names = readdirSync(folder).filter((one) => !before.has(one))
  const name = names.find((one) => mainThread.test(one))
  if (name === undefined) throw new Error('the server wrote no profile')
  const file = join(folder, name)
  return { file, lines: selfTimes(file) }
}

/** `CPU.<date>.<time>.<process>.<thread>.<serial>.cpuprofile` */
const mainThread = /\.0\.\d+\.cpuprofile$/

const idle = new Set(['(root)', '(program)', '(idle)'])
const most = 40

/** The functions in which the time was spent, the longest first. */
function selfTimes(file: string): readonly string[] {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8')) as CpuProfile
  const byNode = new Map<number, number>()
  for (const [index, id] of samples.entries()) byNode.set(id, (byNode.get(id) ?? 0) + (timeDeltas[index] ?? 0))
  const byPlace = new Map<string, number>()
  for (const { id, callFrame } of nodes) {
    if (idle.has(callFrame.functionName)) continue
    const where = place(callFrame)
    byPlace.set(where, (byPlace.get(where) ?? 0) + (byNode.get(id) ?? 0))
  }
  const busy = [...byPlace.values()].reduce((sum, one) => sum + one, 0)
  const longest = [...byPlace].sort(([, a], [, b]) => b - a).slice(0, most)
  return longest.map(([where, time]) => `${((100 * time) / busy).toFixed(1).padStart(5)} %  ${where}`)
}

function place({ functionName, url, lineNumber }: CpuProfile['nodes'][number]['callFrame']): string {
  const path = url.startsWith('file:') ? relative(root, fileURLToPath(url)) : url
  return `${functionName === '' ? '(anonymous)' : functionName}${path === '' ? '' : `  ${path}:${lineNumber + 1}`}`
}
