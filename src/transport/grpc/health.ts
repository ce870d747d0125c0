import { status } from '@grpc/grpc-js'
import type { ServerUnaryCall, ServerWritableStream, sendUnaryData } from '@grpc/grpc-js'
import type { Answer, Answers, Ask } from './health-wire.ts'
import { authorizationService, healthService } from './service-names.ts'

/** grpc.health.v1: what load balancers are told about each service. */
export interface Health {
  /** Handlers of `grpc.health.v1.Health`. */
  readonly handlers: {
    readonly Check: (call: ServerUnaryCall<Ask, Answer>, reply: sendUnaryData<Answer>) => void
    readonly List: (call: ServerUnaryCall<object, Answers>, reply: sendUnaryData<Answers>) => void
    readonly Watch: (call: ServerWritableStream<Ask, Answer>) => void
  }
  /** False from the start of a drain on; what is served also depends on `ready`. */
  readonly setServing: (serving: boolean) => void
  /** Tells watchers where something changed by itself. */
  readonly refresh: () => void
  /** Ends every watch. */
  readonly close: () => void
}

const serving = 1
const notServing = 2
const serviceUnknown = 3

/** All services stand and fall together: none of them is of use before the first snapshot. */
const services: readonly string[] = ['', authorizationService, healthService]

/** Health of a server: serving once `ready` says so, until `setServing(false)`. */
export function createHealth(ready: () => boolean): Health {
  let willing = true
  let told = notServing
  /** Open watches, and whether what they watch can change. */
  const watches = new Map<ServerWritableStream<Ask, Answer>, boolean>()
  const now = (): number => (willing && ready() ? serving : notServing)

  function refresh(): void {
    const status = now()
    if (status === told) return
    told = status
    for (const [watch, known] of watches) if (known) watch.write({ status })
  }

  return {
    handlers: {
      Check(call, reply) {
        if (services.includes(call.request.service)) reply(null, { status: now() })
        else reply({ code: status.NOT_FOUND, details: 'no such service' })
      },
      List(_call, reply) {
        reply(null, { statuses: Object.fromEntries(services.map((name) => [name, { status: now() }])) })
      },
      Watch(call) {
        refresh()
        // The protocol keeps a watch of an unknown service open: it might become known. Ours never do.
        const known = services.includes(call.request.service)
        call.write({ status: known ? told : serviceUnknown })
        watches.set(call, known)
        call.once('cancelled', () => watches.delete(call))
      },
    },
    setServing(serving) {
      willing = serving
      refresh()
    },
    refresh,
    close() {
      for (const watch of watches.keys()) watch.end()
      watches.clear()
    },
  }
}
