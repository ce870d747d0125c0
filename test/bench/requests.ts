import { checkMethod } from './check-service.ts'
import { credentialMark, serialMark } from './message.ts'

/** A request of a client, before it is told to anybody. */
export interface ClientRequest {
  readonly host: string
  /** A serial number is put behind it. */
  readonly path: string
  /** Address of the client, where it is not everybody's. */
  readonly source?: string
  /** Header that carries the credential and what stands before it; absent where none is presented. */
  readonly credential?: { readonly name: string; readonly before: string; readonly length: number }
}

/** The fifteen headers that an Envoy sends for a browser's or an app's request, some of which nobody writes twice alike. */
function headers({ host, path, credential }: ClientRequest): Readonly<Record<string, string>> {
  return {
    ':authority': host,
    ':method': 'GET',
    ':path': `${path}/${serialMark}`,
    ':scheme': 'https',
    accept: 'application/json, text/plain, */*',
    'accept-encoding': 'gzip, deflate, br, zstd',
    'accept-language': 'en-GB,en;q=0.9',
    ...(credential === undefined ? {} : { [credential.name]: credential.before + credentialMark(credential.length) }),
    'user-agent':
      'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
    'x-forwarded-for': '203.0.113.9',
    'x-forwarded-proto': 'https',
    'x-request-id': `5f2b8c1e-77aa-4d0e-9c3b-${serialMark}`,
    traceparent: `00-4bf92f3577b34da6a3ce${serialMark}-00f0${serialMark}-01`,
    'x-envoy-internal': 'false',
    'x-shop-session': 'c2Vzc2lvbi1vZi10aGUtc2hvcA',
  }
}

const { requestSerialize } = checkMethod()

/** The CheckRequest of Envoy for it, in base64; extensions name its rule, and without them it is matched. */
export function checkRequest(of: ClientRequest, extensions: Readonly<Record<string, string>> = {}): string {
  const bytes = requestSerialize({
    attributes: {
      source: { address: { socket_address: { address: of.source ?? '203.0.113.9', port_value: 51_324 } } },
      destination: { address: { socket_address: { address: '10.0.0.7', port_value: 8443 } } },
      request: {
        time: { seconds: '1764000000', nanos: 123_456_000 },
        http: {
          id: '7218409143508346012',
          method: 'GET',
          headers: headers(of),
          path: `${of.path}/${serialMark}`,
          host: of.host,
          scheme: 'https',
          protocol: 'HTTP/1.1',
        },
      },
      context_extensions: extensions,
      metadata_context: {},
      route_metadata_context: {},
    },
  })
  return bytes.toString('base64')
}

/** A call over HTTP, in base64: the client's own headers, `more` of the proxy's, and a request line with this target. */
export function httpRequest(of: ClientRequest, target: string, more: Readonly<Record<string, string>> = {}): string {
  const own = Object.entries(headers(of)).filter(([name]) => !name.startsWith(':'))
  const lines = [...own, ...Object.entries(more)].map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`GET ${target} HTTP/1.1\r\nhost: ${of.host}\r\n${lines.join('')}\r\n`, 'latin1').toString('base64')
}
