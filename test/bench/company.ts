import { startLoad } from './load-process.ts'
import type { LoadProcess } from './load-process.ts'
import { startGatehouse, startReference } from './server.ts'
import type { Server } from './server.ts'
import { shapes } from './subject.ts'
import type { Subject } from './subject.ts'
import type { Job, Limits, Measured, Shape } from './traffic.ts'

/** The processes of a sample: the load, and the servers that it goes to. */
export interface Company {
  /** A subject's server, started and warmed up for it. */
  readonly ready: (subject: Subject) => Promise<Ready>
  readonly close: () => Promise<void>
}

export interface Ready {
  readonly server: Server
  /** Puts the subject's load on it. */
  readonly slice: (limits: Limits, shape?: Shape) => Promise<Measured>
}

/** Starts the load. A server follows when the first subject of its kind is there, and is kept for others that ask for the same. */
export function startCompany(warmUp: Limits): Company {
  const load = startLoad()
  const servers = new Map<string, Server>()
  const warm = new Set<string>()
  return {
    async ready(subject) {
      const kind = JSON.stringify(subject.server)
      const server = servers.get(kind) ?? (await startServer(subject))
      servers.set(kind, server)
      const way = `${subject.traffic.protocol} ${kind}`
      const use = kind + JSON.stringify(subject.traffic)
      if (!warm.has(use)) await warmed(load, subject, server, warm.has(way) ? third(warmUp) : warmUp)
      for (const one of [way, use]) warm.add(one)
      return {
        server,
        slice: (limits, shape = subject.shape) => load.run(jobOf({ ...subject, shape }, server, limits)),
      }
    },
    close: async () => {
      await Promise.all([load, ...servers.values()].map((one) => one.stop()))
    },
  }
}

/** For a server that is warm but for what is new in this traffic. */
const third = ({ requests, millis }: Limits): Limits => ({
  ...(requests === undefined ? {} : { requests: Math.ceil(requests / 3) }),
  millis: Math.ceil(millis / 3),
})

/** Brings a server to where its code is compiled and its caches are full, with many requests at once whatever the subject's shape. */
async function warmed(load: LoadProcess, subject: Subject, server: Server, warmUp: Limits): Promise<void> {
  const { introductions, leastWarmUp = 0, traffic } = subject
  const single = jobOf({ ...subject, shape: shapes['1x1'] }, server, { requests: introductions, millis: 60_000 })
  if (introductions > 0) await load.run(single)
  const wide = { ...subject, shape: shapes[traffic.protocol === 'http' ? '32x1' : '4x25'] }
  const { requests: usual = leastWarmUp } = warmUp
  const enough = leastWarmUp > usual ? { requests: leastWarmUp, millis: 120_000 } : warmUp
  await load.run(jobOf(wide, server, enough))
}

/** A job of a subject on a server that serves it. */
export function jobOf(subject: Subject, server: Server, limits: Limits): Job {
  const port = server.ports[subject.port]
  if (port === undefined) throw new Error(`the server does not listen for ${subject.port}`)
  return { pid: server.pid, port, traffic: subject.traffic, shape: subject.shape, limits }
}

const startServer = ({ server, traffic }: Subject): Promise<Server> =>
  typeof server === 'string' ? startReference(server, traffic) : startGatehouse(server)
