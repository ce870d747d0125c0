import type { Credentials } from './credentials.ts'
import type { ClientRequest } from './requests.ts'
import type { GatehouseOptions, Ports } from './server.ts'
import type { Expected, Shape, Traffic } from './traffic.ts'

/** One thing that is measured: a server, and the load on it. */
export interface Subject {
  readonly name: string
  /** A reference program, or Gatehouse with what it is started with. */
  readonly server: Reference | GatehouseOptions
  readonly port: keyof Ports
  readonly traffic: Traffic
  readonly shape: Shape
  /** Requests one after the other before the load, so that what has to be computed or asked for once is known. */
  readonly introductions: number
  /** Requests that its warm-up takes at least. */
  readonly leastWarmUp?: number
}

export type Reference = 'e2' | 'a1' | 'http'

/** Connections, and requests under way at once on each. */
export const shapes = {
  '4x25': { connections: 4, streams: 25 },
  '1x100': { connections: 1, streams: 100 },
  '1x1': { connections: 1, streams: 1 },
  '32x1': { connections: 32, streams: 1 },
} as const satisfies Readonly<Record<string, Shape>>

/** Who asks for what, and what is right. */
export interface Asked {
  readonly credentials: Credentials
  readonly client: ClientRequest
  readonly expected: Expected
  readonly once?: boolean
}

/** An allow that tells the subject of the credential. */
export const forSubject: Expected = { status: 200, header: { name: 'x-user' } }

/** A request to the shop, with this credential in the header `name` behind the text `before`. */
export function asked(credentials: Credentials, name: string, before = '', expected = forSubject): Asked {
  const { length } = credentials
  const credential = length === 0 ? {} : { credential: { name, before, length } }
  return { credentials, expected, client: { host: 'shop.example', path: '/cart/items', ...credential } }
}

export const bearer = (credentials: Credentials): Asked => asked(credentials, 'authorization', 'Bearer ')

/** The traffic of an encoded request. */
export const trafficOf = (
  protocol: Traffic['protocol'],
  request: string,
  { credentials, expected, once = false }: Asked,
): Traffic => ({
  protocol,
  request,
  credentials: credentials.file,
  credentialLength: credentials.length,
  once,
  expected,
})
