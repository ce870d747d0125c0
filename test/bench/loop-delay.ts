import { writeFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'

/*
 * Put in front of a program by `--import`: a timer of a millisecond tells how much later than that the event loop came round. SIGUSR2
 * begins anew, and the end of the process writes the milliseconds of the 99th percentile to the file BENCH_LOOP_DELAY.
 */

const resolution = 1
const histogram = monitorEventLoopDelay({ resolution })
histogram.enable()
process.on('SIGUSR2', () => histogram.reset())
process.on('exit', () => {
  const file = process.env['BENCH_LOOP_DELAY']
  // What is recorded is the time between two rounds, the timer's own included.
  if (file !== undefined) writeFileSync(file, String(Math.max(0, histogram.percentile(99) / 1e6 - resolution)))
})
