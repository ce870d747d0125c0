import { serialMark } from './message.ts'
import { checkRequest, httpRequest } from './requests.ts'
import type { ClientRequest } from './requests.ts'
import type { Stage } from './stage.ts'
import { asked, bearer, shapes, trafficOf } from './subject.ts'
import type { Asked, Reference, Subject } from './subject.ts'
import type { Shape } from './traffic.ts'

/** Makes a subject, with its world and its credentials. */
export type Make = (stage: Stage) => Subject

/** Requests that name the rule of their method. */
const keyed = (rule: string, ask: Asked) =>
  trafficOf('grpc', checkRequest(ask.client, { namespace: 'shop', route: 'cart', rule }), ask)

const keyedTarget = ({ path }: ClientRequest): string => `/v1/check/shop/cart/jwt/-${path}/${serialMark}`

/** What a reference is asked: the same requests as the subjects beside it. */
export function reference(server: Reference, shape: Shape, name: string = server): Make {
  return (stage) => {
    const ask = {
      ...bearer(stage.tokens(1000)),
      expected: { status: 200, header: { name: 'x-user', value: 'constant' } },
    } as const
    const traffic =
      server === 'http' ? trafficOf('http', httpRequest(ask.client, keyedTarget(ask.client)), ask) : keyed('jwt', ask)
    return { name, server, port: traffic.protocol, traffic, shape, introductions: 0 }
  }
}

/** A rule of the methods' world over gRPC. */
function method(name: string, rule: string, ask: (stage: Stage) => Asked, some: Partial<Subject> = {}): Make {
  return (stage) => ({
    name,
    server: { directory: stage.methods() },
    port: 'grpc',
    traffic: keyed(rule, ask(stage)),
    shape: shapes['4x25'],
    introductions: 0,
    ...some,
  })
}

const tokens = (count: number) => (stage: Stage) => bearer(stage.tokens(count))
const fresh =
  (tokens: 'manyTokens' | 'rsaTokens') =>
  (stage: Stage): Asked => ({
    ...bearer(stage[tokens]()),
    once: true,
  })

/** HTTP calls, each with one of a thousand tokens. */
function http(name: string, request: (client: ClientRequest) => string): Make {
  return (stage) => {
    const ask = bearer(stage.tokens(1000))
    return {
      name,
      server: { directory: stage.methods() },
      port: 'http',
      traffic: trafficOf('http', request(ask.client), ask),
      shape: shapes['32x1'],
      introductions: 0,
    }
  }
}

const nginxCall = (client: ClientRequest): string =>
  httpRequest(client, '/v1/nginx/shop/cart/jwt', {
    'x-original-method': 'GET',
    'x-original-uri': `${client.path}/${serialMark}`,
  })

/** Requests that name no rule, for the last one of a world. */
function matched(protocol: 'grpc' | 'http', rules: number, hosts: number): Make {
  return (stage) => {
    const { directory, host, path } = stage.matching(rules, hosts)
    const plain = bearer(stage.tokens(1000))
    const ask = { ...plain, client: { ...plain.client, host, path } }
    const call = protocol === 'grpc' ? checkRequest(ask.client) : httpRequest(ask.client, `${path}/${serialMark}`)
    return {
      name: matchedName(protocol, rules, hosts),
      server: { directory },
      port: protocol === 'grpc' ? 'grpc' : 'matching',
      traffic: trafficOf(protocol, call, ask),
      shape: shapes[protocol === 'grpc' ? '4x25' : '32x1'],
      introductions: 0,
    }
  }
}

const matchedName = (protocol: string, rules: number, hosts: number): string =>
  `${protocol} matching, ${rules} rules on ${hosts === 1 ? 'one host' : `${hosts} hosts`}`

const guest = { status: 200, header: { name: 'x-user', value: 'visitor' } } as const
const jwt = (name: string, some: Partial<Subject> = {}): Make => method(name, 'jwt', tokens(1000), some)
const password = (stage: Stage): Asked => asked(stage.passwords(), 'authorization', 'Basic ')
const opaque = (stage: Stage): Asked => asked(stage.opaque(), 'authorization', 'Bearer ')

/** The same as the first subject, with `--codec reference`. */
const referenceCodec: Make = (stage) =>
  jwt('grpc jwt, proto-loader', { server: { directory: stage.methods(), flags: ['--codec', 'reference'] } })(stage)

const sizes = [10, 1000, 10_000] as const

const libraries = (shape: keyof typeof shapes) => {
  const name = `reference a1 ${shape}`
  return [name, reference('a1', shapes[shape], name)] as const
}

/** Every subject, by name, in the order in which they are shown. */
export const subjects: ReadonlyMap<string, Make> = new Map([
  ['grpc jwt 4x25', jwt('grpc jwt 4x25')],
  ['grpc jwt 1x1', jwt('grpc jwt 1x1', { shape: shapes['1x1'] })],
  ['grpc jwt 1x100', jwt('grpc jwt 1x100', { shape: shapes['1x100'] })],
  ['grpc api key', method('grpc api key', 'key', (stage) => asked(stage.keys(), 'x-api-key'))],
  ['grpc basic', method('grpc basic', 'basic', password, { introductions: 8 })],
  ['grpc guest', method('grpc guest', 'guest', (stage) => asked(stage.nobody(), '', '', guest))],
  ['grpc deny', method('grpc deny', 'jwt', (stage) => asked(stage.nobody(), '', '', { status: 403 }))],
  ['grpc introspection', method('grpc introspection', 'opaque', opaque, { introductions: 1000 })],
  ['grpc jwt, proto-loader', referenceCodec],
  ['grpc jwt cold', method('grpc jwt cold', 'jwt', fresh('rsaTokens'))],
  ['grpc jwt cold, ES256', method('grpc jwt cold, ES256', 'jwt', fresh('manyTokens'))],
  ['grpc jwt, 100000 tokens', method('grpc jwt, 100000 tokens', 'jwt', tokens(100_000), { leastWarmUp: 100_000 })],
  ['http keyed', http('http keyed', (client) => httpRequest(client, keyedTarget(client)))],
  ['http nginx', http('http nginx', nginxCall)],
  [matchedName('http', 10, 1), matched('http', 10, 1)],
  ...sizes.map((rules) => [matchedName('grpc', rules, 1), matched('grpc', rules, 1)] as const),
  ...sizes.map(
    (rules) =>
      [matchedName('grpc', rules, Math.min(rules, 1000)), matched('grpc', rules, Math.min(rules, 1000))] as const,
  ),
  libraries('4x25'),
  libraries('1x100'),
  libraries('1x1'),
  ['reference e2', reference('e2', shapes['4x25'], 'reference e2')],
])
