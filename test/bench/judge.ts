import { checkMethod } from './check-service.ts'
import type { CheckReply } from './check-service.ts'
import type { Reply, Ticket } from './connection.ts'
import { field } from './http-connection.ts'
import type { Traffic } from './traffic.ts'

/** Says what is wrong with an answer, or nothing. */
export type Judge = (ticket: Ticket, reply: Reply) => string | undefined

/** What an answer says. */
interface Verdict {
  readonly status: number
  readonly header: string | undefined
}

/**
 * Every answer is judged. The bytes of one that was found right are remembered for its credential, and the same bytes are right
 * again without being decoded once more.
 */
export function createJudge({ protocol, expected }: Traffic, subjects: readonly string[]): Judge {
  const right: (Buffer | undefined)[] = []
  const name = expected.header?.name
  const read = protocol === 'grpc' ? grpcReader(name) : httpReader(name)
  return ({ index }, reply) => {
    if (protocol === 'grpc' && reply.status !== '0') return `grpc-status ${reply.status}`
    if (right[index]?.equals(reply.body) === true) return undefined
    const { status, header } = read(reply)
    if (status !== expected.status) return `status ${status} where ${expected.status} is right`
    const value = expected.header?.value ?? subjects[index]
    if (name !== undefined && header !== value) return `${name}: ${header} where ${value} is right`
    right[index] = Buffer.from(reply.body)
    return undefined
  }
}

function grpcReader(name: string | undefined): (reply: Reply) => Verdict {
  const { responseDeserialize } = checkMethod({ keepCase: true, longs: String, enums: Number })
  return ({ body }) => {
    if (body.length === 0) return { status: 0, header: undefined }
    const { status, ok_response: allowed, denied_response: denied }: CheckReply = responseDeserialize(body)
    // Envoy lets through what has code 0, and takes an empty answer for that (GATEWAYS.md §G.1): here it has to be said.
    const passed = status !== undefined && (status.code ?? 0) === 0 && allowed !== undefined
    const header = allowed?.headers?.find((one) => one.header?.key === name)?.header?.value
    return { status: passed ? 200 : Number(denied?.status?.code ?? 0), header }
  }
}

function httpReader(name: string | undefined): (reply: Reply) => Verdict {
  const pattern = name === undefined ? undefined : field(name)
  return ({ status, body }) => ({ status: Number(status), header: pattern?.exec(body.toString('latin1'))?.[1] })
}
