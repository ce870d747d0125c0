import { readFileSync, readdirSync } from 'node:fs'

/** CPU microseconds that a process has used so far, all its threads together (Linux: sum of `/proc/PID/task/TID/schedstat`). */
export function cpuMicros(pid: number): number {
  let nanos = 0
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      nanos += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0])
    } catch {
      // the thread has just ended
    }
  }
  return nanos / 1000
}

/** Resident memory of a process in bytes. */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
  if (kilobytes === undefined) throw new Error(`/proc/${pid}/status tells no VmRSS`)
  return Number(kilobytes) * 1024
}
