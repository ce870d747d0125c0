import { drive } from './drive.ts'
import type { Job } from './traffic.ts'

/* The load's own process: does one job after the other and tells what came of each. */

process.on('message', (job: Job) => {
  drive(job).then(
    (measured) => process.send?.({ measured }),
    (cause: unknown) => process.send?.({ failed: String(cause) }),
  )
})
