import { startLoad } from './load-process.ts'
import type { LoadProcess } from './load-process.ts'
import { startGatehouse, startReference } from './server.ts'
import type { Server } from './server.ts'
import { shapes } from './subject.ts'
import type { Subject } from './subject.ts'
import type { Job, Limits, Measured, Shape } from './traffic.ts'

/** The processes of a sample: the load, and the servers that it goes to. */
export interface Company {
  /** Starts a subject's server, if it does not run yet. */
  readonly start: (subject: Subject) => Promise<Server>
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
  const servers = new Map<string, Promise<Server>>()
  const done = new Set<string>()
  const once = async (what: string, work: () => Promise<void>): Promise<void> => {
    if (!done.has(what)) await work()
    done.add(what)
  }
  const start: Company['start'] = (subject) => {
    const kind = JSON.stringify(subject.server)
    const server = servers.get(kind) ?? startServer(subject)
    servers.set(kind, server)
    return server
  }
  return {
    start,
    async ready(subject) {
      const server = await start(subject)
      const { port, traffic } = subject
      await once(`introduced ${server.pid} ${JSON.stringify(traffic)}`, () => introduced(load, subject, server))
      await once(`warm ${server.pid} ${port}`, () => warmed(load, subject, server, warmUp))
      return {
        server,
        slice: (limits, shape = subject.shape) =>
          load.run({ ...jobOf({ ...subject, shape }, server, limits), awake: true }),
      }
    },
    close: async () => {
      const started = await Promise.allSettled(servers.values())
      const running = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
      await Promise.all([load, ...running].map((one) => one.stop()))
    },
  }
}

/** One request after the other, for what has to be computed or asked for once. */
async function introduced(load: LoadProcess, subject: Subject, server: Server): Promise<void> {
  if (subject.introductions === 0) return
  const limits = { requests: subject.introductions, millis: 60_000 }
  await load.run(jobOf({ ...subject, shape: shapes['1x1'] }, server, limits))
}

/** Brings a server to where its code is compiled and its caches are full, with many requests at once whatever the subject's shape. */
async function warmed(load: LoadProcess, subject: Subject, server: Server, warmUp: Limits): Promise<void> {
  const { leastWarmUp = 0, traffic } = subject
  const wide = { ...subject, shape: shapes[traffic.protocol === 'http' ? '32x1' : '4x25'] }
  const { requests: usual = leastWarmUp } = warmUp
  const enough = leastWarmUp > usual ? { requests: leastWarmUp, millis: 120_000 } : warmUp
  await load.run(jobOf(wide, server, enough))
}

/** A job of a subject on a server that serves it. */
export function jobOf(subject: Subject, server: Server, limits: Limits): Job {
  const port = server.ports[subject.port]
  if (port === undefined) throw new Error(`the server does not listen for ${subject.port}`)
  return { pid: server.pid, port, traffic: subject.traffic, shape: subject.shape, limits, awake: false }
}

const startServer = ({ server, traffic }: Subject): Promise<Server> =>
  typeof server === 'string' ? startReference(server, traffic) : startGatehouse(server)
