import { startCompany } from './company.ts'
import type { Company } from './company.ts'
import { moveTo } from './pinned.ts'
import type { Results } from './results.ts'
import { cost, named, probed, timer } from './run.ts'
import type { Plan } from './run.ts'
import { floorOf, sampleOf } from './sample.ts'
import type { Turn } from './sample.ts'
import type { Server } from './server.ts'
import type { Stage } from './stage.ts'
import type { Subject } from './subject.ts'
import { reference } from './subjects.ts'
import type { Limits, Measured } from './traffic.ts'

/** One process of each kind, all at once, and as many rounds of short slices as there is time for. */
export interface QuickPlan extends Plan {
  /** Of each server, for the first subject that it serves. */
  readonly warmUp: Limits
  readonly slice: Limits
  /** Where no credential may be presented twice: they take long to make. */
  readonly onceSlice: Limits
  /** Rounds that are taken whatever the time. */
  readonly leastRounds: number
  /** Milliseconds of the monotonic clock, before which the last round is to end. */
  readonly until: number
}

/** A subject with its floor, and what came of its turns so far. */
interface Measuring {
  readonly name: string
  readonly subject: Subject
  readonly floor: Subject
  /** The servers of both. */
  readonly servers: Promise<readonly Server[]>
  readonly turns: Turn[]
}

/** A load of its own for each server, so that one is warmed up beside the other. */
interface Companies {
  readonly of: (subject: Subject) => Company
  readonly close: () => Promise<void>
}

/**
 * Takes one sample of everything. Rounds of all subjects follow each other until the time is over; the first one only warms up what
 * is new to a server that is warm. Rejects with the name of what went wrong.
 */
export async function runQuick(stage: Stage, plan: QuickPlan): Promise<Results> {
  const values = new Map<string, readonly number[]>()
  const probes = plan.names.filter((name) => !plan.subjects.has(name))
  for (const name of probes) values.set(name, [await probed(stage, name, plan)])
  const companies = createCompanies(plan.warmUp)
  try {
    const timed = timer()
    const all = plan.names.flatMap((name) => measuring(stage, name, plan, companies))
    await warmed(all, companies)
    plan.say(`servers for ${all.length} subjects, warmed up (${timed()})`)
    await rounds(all, companies, plan)
    const samples = all.map(({ name, turns }) => [name, sampleOf(turns.slice(1))] as const)
    for (const [name, sample] of samples) plan.say(`${name}: ${cost(sample)}`)
    return { values, samples: new Map(samples.map(([name, sample]) => [name, [sample]])) }
  } finally {
    await companies.close()
  }
}

function createCompanies(warmUp: Limits): Companies {
  const all = new Map<string, Company>()
  return {
    of({ server }) {
      const kind = JSON.stringify(server)
      const company = all.get(kind) ?? startCompany(warmUp)
      all.set(kind, company)
      return company
    },
    close: async () => {
      await Promise.all([...all.values()].map((one) => one.close()))
    },
  }
}

/** Nothing for a probe. The servers start while the credentials of the next subject are made. */
function measuring(stage: Stage, name: string, { subjects }: QuickPlan, companies: Companies): readonly Measuring[] {
  const subject = subjects.get(name)?.(stage)
  if (subject === undefined) return []
  const floor = reference(floorOf(subject), subject.shape)(stage)
  const servers = Promise.all([subject, floor].map((one) => companies.of(one).start(one)))
  return [{ name, subject, floor, servers: named(name, servers), turns: [] }]
}

/** Warms all servers up beside each other, on both cores; after that they have one together again, in turns. */
async function warmed(all: readonly Measuring[], companies: Companies): Promise<void> {
  const servers = (await Promise.all(all.map((one) => one.servers))).flat()
  const pids = new Set(servers.map(({ pid }) => pid))
  for (const pid of pids) moveTo('both', pid)
  const parts = all.flatMap(({ name, subject, floor }) => [subject, floor].map((one) => ({ name, one })))
  const byCompany = Map.groupBy(parts, ({ one }) => companies.of(one))
  await Promise.all(
    [...byCompany].map(async ([company, own]) => {
      for (const { name, one } of own) await named(name, company.ready(one))
    }),
  )
  for (const pid of pids) moveTo('server', pid)
}

/** Subjects of the same floor come after each other and share the slice of it that lies between them. */
async function rounds(all: readonly Measuring[], companies: Companies, plan: QuickPlan): Promise<void> {
  const { leastRounds, until, say, slice: usual, onceSlice } = plan
  const order = all.toSorted((a, b) => floorName(a).localeCompare(floorName(b)))
  const slice = async (one: Subject): Promise<Measured> =>
    (await companies.of(one).ready(one)).slice(one.traffic.once ? onceSlice : usual)
  let lastRound = 0
  for (let round = 1; round <= leastRounds || performance.now() + lastRound < until; round += 1) {
    const [begun, timed] = [performance.now(), timer()]
    let last: { readonly of: string; readonly floor: Measured } | undefined
    for (const one of order) {
      const { name, subject, floor, turns } = one
      const before = last?.of === floorName(one) ? last.floor : await named(name, slice(floor))
      const own = await named(name, slice(subject))
      const after = await named(name, slice(floor))
      turns.push({ before, own, after })
      last = { of: floorName(one), floor: after }
    }
    lastRound = performance.now() - begun
    say(`round ${round} (${timed()})`)
  }
}

const floorName = ({ floor }: Measuring): string => JSON.stringify([floor.server, floor.shape])
