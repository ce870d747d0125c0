import { build } from './build.ts'
import { jobOf } from './company.ts'
import { startLoad } from './load-process.ts'
import type { LoadProcess } from './load-process.ts'
import { median } from './results.ts'
import { startGatehouse } from './server.ts'
import type { Server } from './server.ts'
import { createStage } from './stage.ts'
import type { Subject } from './subject.ts'
import { subjects } from './subjects.ts'
import type { Shape } from './traffic.ts'

/*
 * What `--workers N` brings: `node test/bench/workers.ts [N]`. Prints how many times as many checks a second N workers answer as one
 * process, by pairs of slices next to each other. Servers and load share two cores; the load sleeps between answers, to leave them.
 */

const workers = process.argv[2] ?? '2'
const pairs = 5
const processes = 3
const warmUp = { requests: 60_000, millis: 15_000 }
const shapes: readonly Shape[] = [
  { connections: 4, streams: 25 },
  { connections: 2, streams: 50 },
  { connections: 1, streams: 100 },
]

await build()
const stage = await createStage({ many: 1, rsa: 1 })
const subject = known('grpc jwt 4x25')
const options = { directory: stage.methods(), core: 'both' } as const

function known(name: string): Subject {
  const made = subjects.get(name)?.(stage)
  if (made === undefined) throw new Error(`there is no subject ${name}`)
  return made
}

async function rate(load: LoadProcess, server: Server, shape: Shape): Promise<number> {
  const { requests, seconds } = await load.run(jobOf({ ...subject, shape }, server, { millis: 1000 }))
  return requests / seconds
}

const found = new Map(shapes.map((shape) => [shape, [] as number[]]))
try {
  for (let turn = 0; turn < processes; turn += 1) {
    const one = await startGatehouse(options)
    const more = await startGatehouse({ ...options, flags: ['--workers', workers] })
    const load = startLoad()
    for (const server of [one, more]) await load.run(jobOf(subject, server, warmUp))
    for (const [shape, ratios] of found)
      for (let pair = 0; pair < pairs; pair += 1) {
        const before = await rate(load, one, shape)
        ratios.push((await rate(load, more, shape)) / before)
      }
    await Promise.all([one, more, load].map((part) => part.stop()))
  }
} finally {
  stage.close()
}
for (const [{ connections, streams }, ratios] of found) {
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)].map((ratio) => ratio.toFixed(2))
  process.stdout.write(`${connections} x ${streams}: ${median(ratios).toFixed(2)} times (${least} - ${most})\n`)
}
