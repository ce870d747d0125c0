import { Agent, request } from 'node:http'

/** What a client sends: the target goes out byte for byte, headers in order and repeated as given. */
export interface Sent {
  readonly port: number
  /** Another address of this machine than 127.0.0.1. */
  readonly address?: string
  readonly method?: string
  readonly path: string
  readonly host?: string
  /** Pairs, so that a name may repeat. */
  readonly headers?: readonly (readonly [name: string, value: string])[]
  readonly body?: string
  readonly agent?: Agent
}

export interface Received {
  readonly status: number
  /** Every line of a response header. */
  readonly all: (name: string) => readonly string[]
  readonly body: string
}

/** One HTTP/1.1 request to 127.0.0.1, with nothing put in order on the way. */
export function send({
  port,
  address = '127.0.0.1',
  method = 'GET',
  path,
  host = 'localhost',
  headers = [],
  body,
  agent,
}: Sent): Promise<Received> {
  const fields = ['Host', host, ...headers.flat()]
  if (body !== undefined) fields.push('Content-Length', String(Buffer.byteLength(body)))
  return new Promise((done, fail) => {
    const ask = request(
      { port, host: address, method, path, headers: fields, ...(agent ? { agent } : { agent: false }) },
      (answer) => {
        const chunks: Buffer[] = []
        answer.on('data', (chunk: Buffer) => chunks.push(chunk))
        answer.on('error', fail)
        answer.on('end', () =>
          done({
            status: answer.statusCode ?? 0,
            all: (name) => answer.headersDistinct[name.toLowerCase()] ?? [],
            body: Buffer.concat(chunks).toString('utf8'),
          }),
        )
      },
    )
    ask.setTimeout(10_000, () => ask.destroy(new Error(`no answer to ${method} ${path}`)))
    ask.on('error', fail)
    ask.end(body)
  })
}

/** `Basic` credential of a user. */
export const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
