import { readFileSync } from 'node:fs'
import type { Connection, ConnectionEvents, Ticket } from './connection.ts'
import { cpuMicros } from './cpu.ts'
import { grpcConnection } from './grpc-connection.ts'
import { httpConnection } from './http-connection.ts'
import { createJudge } from './judge.ts'
import type { Judge } from './judge.ts'
import { message } from './message.ts'
import type { Job, Measured, Traffic } from './traffic.ts'

/** Requests of one traffic; those of `once` traffic go on from job to job and never come again. */
interface Supply {
  readonly traffic: Traffic
  readonly credentials: readonly string[]
  readonly judge: Judge
  taken: number
}

const supplies = new Map<string, Supply>()
let serial = 0

function supplyOf(traffic: Traffic, port: number): Supply {
  const key = `${port} ${JSON.stringify(traffic)}`
  let supply = supplies.get(key)
  if (supply === undefined) {
    const lines = readFileSync(traffic.credentials, 'latin1').trimEnd().split('\n')
    const pairs = lines.map((line) => line.split(' '))
    const subjects = pairs.map(([, subject = '']) => subject)
    supply = { traffic, credentials: pairs.map(([one = '']) => one), judge: createJudge(traffic, subjects), taken: 0 }
    supplies.set(key, supply)
  }
  return supply
}

/** What is counted from the moment at which every connection is at work: opening them is no part of a check. */
interface Count {
  latencies: number[]
  started: number
  cpuBefore: number
}

const counting = ({ pid }: Job): Count => ({ latencies: [], started: performance.now(), cpuBefore: cpuMicros(pid) })

/** Puts a load on a server and measures it. Rejects when a connection breaks; wrong answers are counted. */
export async function drive(job: Job): Promise<Measured> {
  const supply = supplyOf(job.traffic, job.port)
  let count = counting(job)
  let answers = 0
  let wrong = 0
  let complaint: string | undefined
  const opening = Math.min(2 * job.shape.connections * job.shape.streams, (job.limits.requests ?? Infinity) / 2)
  const onReply: ConnectionEvents['onReply'] = (ticket, reply) => {
    answers += 1
    if (answers === Math.floor(opening)) count = counting(job)
    else count.latencies.push(performance.now() - ticket.due)
    const fault = supply.judge(ticket, reply)
    if (fault === undefined) return
    wrong += 1
    complaint ??= fault
  }
  await pump(job, supply, onReply)
  const seconds = (performance.now() - count.started) / 1000
  const used = cpuMicros(job.pid) - count.cpuBefore
  const requests = count.latencies.length
  return {
    answers,
    wrong,
    ...(complaint === undefined ? {} : { complaint }),
    requests,
    seconds,
    cpu: used / Math.max(1, requests),
    utilisation: used / 1e6 / seconds,
    latency: quantiles(count.latencies),
  }
}

/** On a connection at once; Gatehouse takes 128. */
const mostStreams = 120

/** Keeps requests coming until the job is over and every one of them answered. */
function pump(job: Job, supply: Supply, onReply: ConnectionEvents['onReply']): Promise<void> {
  const { shape, limits } = job
  const { requests = Number.POSITIVE_INFINITY } = limits
  // Half of what is left, so that a fast machine leaves some for the jobs that follow.
  const left = supply.traffic.once ? Math.ceil((supply.credentials.length - supply.taken) / 2) : requests
  const most = Math.min(requests, left)
  return new Promise((resolve, reject) => {
    const until = performance.now() + limits.millis
    const begun = performance.now()
    let sent = 0
    let done = 0
    let timer: NodeJS.Timeout | undefined
    let ended = false
    const over = (): boolean => sent >= most || performance.now() >= until
    const end = (settle: () => void): void => {
      clearTimeout(timer)
      ended = true
      for (const one of connections) one.close()
      settle()
    }
    const underWay = new Map<Connection, number>()
    const send = (to: Connection, due: number): void => {
      to.send(nextTicket(supply, due))
      sent += 1
      underWay.set(to, (underWay.get(to) ?? 0) + 1)
    }
    const connections: readonly Connection[] = Array.from({ length: shape.connections }, () => {
      const own: Connection = open(job, {
        onReply: (ticket, reply) => {
          done += 1
          underWay.set(own, (underWay.get(own) ?? 0) - 1)
          onReply(ticket, reply)
          if (shape.rate === undefined && !over()) send(own, performance.now())
          else if (done === sent && over()) end(resolve)
        },
        onFailure: (cause) => end(() => reject(new Error(`port ${job.port}: ${cause.message} after ${done} answers`))),
      })
      return own
    })
    const closedLoop = (): void => {
      for (const one of connections) {
        for (let stream = 0; stream < shape.streams && !over(); stream += 1) send(one, performance.now())
        one.flush()
      }
    }
    /** Sends what is due, on the connections in turn, and comes back in a millisecond; the last answer may be here already. */
    const openLoop = (rate: number): void => {
      const due = Math.min(most, (Math.min(performance.now(), until) - begun) * (rate / 1000))
      while (sent < due) {
        const to = connections[sent % connections.length]
        // A server that stood still gets no more streams than it takes (SETTINGS_MAX_CONCURRENT_STREAMS); the rest are late, and count so.
        if (to === undefined || (underWay.get(to) ?? 0) >= mostStreams) break
        send(to, begun + (sent * 1000) / rate)
      }
      for (const one of connections) one.flush()
      if (!over()) timer = setTimeout(openLoop, 1, rate)
      else if (done === sent) end(resolve)
    }
    // Where this process sleeps between answers, it is the server that pays for waking it, on a virtual machine as much as for a check:
    // a slow server seems slower than it is, and the floor does not.
    const stayAwake = (): void => {
      if (!ended) setImmediate(stayAwake)
    }
    if (job.awake) stayAwake()
    if (most === 0) end(() => reject(new Error('no credential is left for this load')))
    else if (shape.rate === undefined) closedLoop()
    else openLoop(shape.rate)
  })
}

function open({ port, traffic }: Job, events: ConnectionEvents): Connection {
  const made = message(Buffer.from(traffic.request, 'base64'), traffic.credentialLength)
  return traffic.protocol === 'grpc' ? grpcConnection(port, made, events) : httpConnection(port, made, events)
}

function nextTicket(supply: Supply, due: number): Ticket {
  const index = supply.taken % supply.credentials.length
  supply.taken += 1
  serial += 1
  return { index, credential: supply.credentials[index] ?? '', serial: serial.toString(16).padStart(12, '0'), due }
}

function quantiles(all: readonly number[]): Measured['latency'] {
  const sorted = Float64Array.from(all).sort()
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999) }
}
