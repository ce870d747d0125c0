import { startBackend } from '../support/backend.ts'
import { startEnvoy } from '../support/envoy.ts'
import type { GuardedRoute } from '../support/envoy.ts'
import { freePorts } from '../support/program.ts'
import { startReplica } from '../support/replica.ts'
import { examplePort, filledHeaders, guardOf, scenarios, startAuthorizationServer } from '../support/scenarios.ts'
import type { AuthorizationServer, ScenarioRequest } from '../support/scenarios.ts'
import { tool } from '../support/tools.ts'

/*
 * A real Envoy in front of a small backend, with policies/ in force. `npm run demo`, or `npm run demo 8080` for another port.
 * Prints curl lines to paste and each decision as it is made, until Ctrl-C.
 */

const routes = [
  { prefix: '/wiki', rule: 'intranet/wiki/pages' },
  { prefix: '/orders', method: 'GET', rule: 'shop/orders/read' },
  { prefix: '/orders', rule: 'shop/orders/write' },
  { prefix: '/reports', rule: 'reports/reports/download' },
  { prefix: '/console', rule: 'ops/console/all' },
  { prefix: '/feed', rule: 'partners/feed/pull' },
  { prefix: '/items', rule: 'museum/catalogue/items' },
  { prefix: '/status', rule: 'edge/status/page' },
  // Whatever else there is belongs to the rule that it matches, or to nobody.
  { prefix: '/', rule: 'match' },
] as const

const say = (line: string): boolean => process.stdout.write(`${line}\n`)
const closing: (() => Promise<unknown>)[] = []

/** Things that live, last made first gone. */
async function alive<T>(thing: Promise<T>, close: (made: T) => Promise<unknown>): Promise<T> {
  const made = await thing
  closing.unshift(() => close(made))
  return made
}

async function stop(): Promise<void> {
  for (const close of closing.splice(0)) await close().catch(() => undefined)
}

async function run(port: number): Promise<void> {
  const envoy = await tool('envoy')
  if (envoy.kind === 'missing') throw new Error(envoy.how)
  const issuer = await alive(startAuthorizationServer(examplePort), (one) => one.close()).catch(() => undefined)
  if (issuer === undefined) say(`Port ${examplePort} is taken: the introspection scenario goes without its server.`)
  const backend = await alive(startBackend(), (one) => one.close())
  const [grpcPort = 0, adminPort = 0] = await freePorts(2)
  const onDecision = (text: string): boolean => process.stdout.write(text)
  const replica = { directory: 'policies', grpcPort, adminPort, drainWait: 0, onDecision }
  await alive(startReplica(replica), (one) => one.stop())
  const open: GuardedRoute = { prefix: '/open', guard: { kind: 'open' } }
  const guarded = routes.map(({ rule, ...match }): GuardedRoute => ({ ...match, guard: guardOf(rule) }))
  const neighbours = { port, grpcPorts: [grpcPort], backendPort: backend.port }
  await alive(startEnvoy({ protocol: 'grpc', guards: [[open, ...guarded]], ...neighbours }), (one) => one.stop())
  say(`\nEnvoy listens on http://localhost:${port} and asks Gatehouse about every request, but for those below /open.`)
  say('The backend answers with what it saw. Paste any of these:\n')
  for (const line of await curlLines(port, issuer)) say(line)
  say('\nDecisions follow as they are made; Ctrl-C ends it.\n')
}

async function curlLines(port: number, issuer: AuthorizationServer | undefined): Promise<readonly string[]> {
  const lines = [`curl -i http://localhost:${port}/open/  # 200: nobody is asked`]
  for (const { name, requests } of await scenarios()) {
    if (name === 'introspection' && issuer === undefined) continue
    lines.push('', `# ${name}`)
    for (const one of requests) lines.push(await curlLine(port, one, issuer))
  }
  return lines
}

async function curlLine(
  port: number,
  { say: what, request, expect }: ScenarioRequest,
  issuer: AuthorizationServer | undefined,
): Promise<string> {
  const headers = issuer === undefined ? Object.entries(request.headers) : await filledHeaders(request.headers, issuer)
  const words = [
    'curl -i',
    ...(request.method === 'GET' ? [] : [`-X ${request.method}`]),
    ...(request.path.includes('..') ? ['--path-as-is'] : []),
    ...headers.map(([name, value]) => credential(value) ?? `-H ${quoted(`${name}: ${value}`)}`),
    quoted(`http://localhost:${port}${request.path}`),
  ]
  return `${words.join(' ')}  # ${expect.status}: ${what}`
}

/** A password as one would type it. */
function credential(value: string): string | undefined {
  const encoded = /^Basic ([\w+/]+=*)$/.exec(value)?.[1]
  return encoded === undefined ? undefined : `-u ${quoted(Buffer.from(encoded, 'base64').toString())}`
}

const quoted = (text: string): string =>
  /^[\w./:=-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`

process.once('SIGINT', () => void stop()).once('SIGTERM', () => void stop())
try {
  await run(Number(process.argv[2] ?? 10_000))
} catch (cause) {
  process.stderr.write(`demo: ${cause instanceof Error ? cause.message : String(cause)}\n`)
  process.exitCode = 1
  await stop()
}
