import { Server, ServerCredentials } from '@grpc/grpc-js'
import { startBackend } from '../../support/backend.ts'
import { startEnvoy } from '../../support/envoy.ts'
import type { Guard } from '../../support/envoy.ts'
import { send } from '../../support/send.ts'
import type { Sent } from '../../support/send.ts'

/** The bytes of one check as a real Envoy wrote them. */
export interface RecordedCheck {
  readonly name: string
  /** Which of its two ways of telling headers Envoy was set to. */
  readonly encoding: 'headers' | 'header_map'
  readonly bytes: Buffer
}

/** An ES256 access token of the usual size; its signature is no signature. */
const token = ['header', 'payload', 'signature']
  .map((part, index) => Buffer.from(part.repeat([9, 70, 7][index] ?? 1)).toString('base64url'))
  .join('.')

const browser: readonly (readonly [string, string])[] = [
  ['user-agent', 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0'],
  ['accept', 'application/json, text/plain, */*'],
  ['accept-language', 'en-US,en;q=0.5'],
  ['accept-encoding', 'gzip, deflate, br, zstd'],
  ['authorization', `Bearer ${token}`],
  ['x-requested-with', 'XMLHttpRequest'],
  ['traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'],
  ['referer', 'https://shop.example/cart'],
  ['cache-control', 'no-cache'],
]

/** What clients send: the common, and what makes a header map look different. */
export const clientRequests: readonly (readonly [name: string, sent: Omit<Sent, 'port'>])[] = [
  ['browser', { path: '/pay/42?coupon=a%20b', host: 'shop.example', headers: browser }],
  ['bare', { path: '/', host: 'shop.example' }],
  ['post', { method: 'POST', path: '/pay/1', host: 'Shop.Example:8443', headers: browser, body: '{"sum":1}' }],
  ['underscore', { path: '/pay/1', headers: [['X_User', 'eve'] as const, ['x.user', 'eve'] as const, ...browser] }],
  [
    'repeats',
    {
      path: '/pay/1',
      headers: [
        ['Authorization', 'Bearer a'],
        ['authorization', 'Bearer b'],
        ['Cookie', 'a=1'],
        ['cookie', 'b=2'],
      ],
    },
  ],
  ['latin-1', { path: '/pay/1', headers: [['x-name', 'Jos\xe9']] }],
  ['UTF-8', { path: '/pay/1', headers: [['x-name', Buffer.from('José 💥').toString('latin1')]] }],
  ['tab', { path: '/pay/1', headers: [['x-name', 'a\tb']] }],
  ['empty value', { path: '/pay/1', headers: [['x-name', '']] }],
  ['two hosts', { path: '/pay/1', headers: [['Host', 'evil.example']] }],
  ['dots', { path: '/pay/../admin', host: 'shop.example', headers: browser }],
]

const key = { namespace: 'shop', route: 'cart', rule: 'pay' } as const
const guards: readonly Guard[] = [{ kind: 'rule', key }, { kind: 'match' }]

/** Asks a real Envoy to check every client request, in both encodings, and keeps what it sends. */
export async function record(): Promise<readonly RecordedCheck[]> {
  const recorded: RecordedCheck[] = []
  for (const encoding of ['headers', 'header_map'] as const) {
    const seen: Buffer[] = []
    const server = new Server()
    const same = (bytes: Buffer): Buffer => bytes
    const path = '/envoy.service.auth.v3.Authorization/Check'
    const codec = {
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    }
    server.addService(
      { Check: { path, requestStream: false, responseStream: false, ...codec } },
      {
        Check: (call: { readonly request: Buffer }, reply: (error: null, bytes: Buffer) => void) => {
          seen.push(call.request)
          reply(null, Buffer.alloc(0)) // an empty answer is an allow to Envoy
        },
      },
    )
    const port = await new Promise<number>((done, fail) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? done(bound) : fail(error),
      )
    })
    const backend = await startBackend()
    const raw = encoding === 'header_map'
    const envoy = await startEnvoy({
      protocol: 'grpc',
      guards,
      grpcPorts: [port],
      backendPort: backend.port,
      encodeRawHeaders: raw,
    })
    try {
      for (const [name, sent] of clientRequests) {
        for (const [index, guard] of guards.entries()) {
          const before = seen.length
          await send({ ...sent, port: envoy.ports[index] ?? 0 })
          const bytes = seen[before]
          if (bytes !== undefined) recorded.push({ name: `${name}, ${guard.kind}`, encoding, bytes })
        }
      }
    } finally {
      await envoy.stop()
      await backend.close()
      server.forceShutdown()
    }
  }
  return recorded
}
