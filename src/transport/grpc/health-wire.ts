import { healthService } from './service-names.ts'
import { part, text } from './wire-parts.ts'
import { lengthDelimited, message, numeric, string } from './wire-writer.ts'

/** `HealthCheckRequest`. */
export interface Ask {
  readonly service: string
}

/** `HealthCheckResponse`. */
export interface Answer {
  readonly status: number
}

/** `HealthListResponse`. */
export interface Answers {
  readonly statuses: Readonly<Record<string, Answer>>
}

const read = (bytes: Buffer): Ask => ({ service: text(part(bytes, 1) ?? Buffer.alloc(0)) })
const status = (answer: Answer): string => numeric(1, answer.status)
const write = (answer: Answer): Buffer => message(status(answer))
const list = ({ statuses }: Answers): Buffer =>
  message(
    Object.entries(statuses)
      .map(([name, answer]) => lengthDelimited(1, string(1, name) + lengthDelimited(2, status(answer))))
      .join(''),
  )

/** Methods of `grpc.health.v1.Health` as grpc-js wants them. The ends that clients have are not ours. */
export const healthMethods = {
  Check: served('Check', read, write),
  List: served('List', () => ({}), list),
  Watch: { ...served('Watch', read, write), responseStream: true },
} as const

function served<Request, Response>(
  name: string,
  requestDeserialize: (bytes: Buffer) => Request,
  responseSerialize: (answer: Response) => Buffer,
) {
  const unused = (): never => {
    throw new Error('no client of health')
  }
  return {
    path: `/${healthService}/${name}`,
    requestStream: false,
    responseStream: false,
    requestSerialize: unused,
    requestDeserialize,
    responseSerialize,
    responseDeserialize: unused,
  }
}
