import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { gatehouse } from './support/gatehouse.ts'
import type { TestGatehouse } from './support/gatehouse.ts'
import { filledHeaders, scenarioFiles, scenarios, startAuthorizationServer } from './support/scenarios.ts'
import type { AuthorizationServer, ScenarioRequest } from './support/scenarios.ts'
import { send } from './support/send.ts'
import { attributes, checker } from './transport/grpc/serving.ts'

/* Every request of `policies/` straight at Gatehouse, over both protocols: the verdicts have to be the same. */

interface Seen {
  readonly status: number
  readonly set: ReadonlyMap<string, string>
  readonly removed: readonly string[]
  readonly challenges: readonly string[]
}

let server: AuthorizationServer
let guard: TestGatehouse
let reference: TestGatehouse
let clients: Record<'lean' | 'reference', ReturnType<typeof checker>>
beforeAll(async () => {
  server = await startAuthorizationServer()
  guard = await gatehouse({ files: await scenarioFiles(server.port) })
  reference = await gatehouse({ directory: guard.directory, settings: { codec: 'reference' } })
  clients = {
    lean: checker(`127.0.0.1:${guard.grpcPort}`),
    reference: checker(`127.0.0.1:${reference.grpcPort}`),
  }
})
afterAll(async () => {
  for (const client of Object.values(clients)) client.close()
  await reference.close()
  await guard.close()
  await server.close()
})

async function overHttp({ rule, request }: ScenarioRequest): Promise<Seen> {
  const matched = rule === 'match'
  const answer = await send({
    port: matched ? guard.matchingPort : guard.httpPort,
    method: request.method,
    path: matched ? request.path : `/v1/check/${rule}/-${request.path}`,
    host: request.host,
    headers: await filledHeaders(request.headers, server),
  })
  const removed = answer.all('x-envoy-auth-headers-to-remove').flatMap((line) => line.split(/, ?/))
  const names = ['x-user', 'x-client', 'x-method', 'x-partner', 'x-monitor', 'x-edge']
  const set = names.flatMap((name) =>
    removed.includes(name) ? [] : answer.all(name).map((value) => [name, value] as const),
  )
  return { status: answer.status, set: new Map(set), removed, challenges: answer.all('www-authenticate') }
}

async function overGrpc(codec: 'lean' | 'reference', { rule, request }: ScenarioRequest): Promise<Seen> {
  const [namespace, route, name] = rule.split('/')
  const identity = rule === 'match' ? {} : { context_extensions: { namespace, route, rule: name } }
  const headers = Object.fromEntries(await filledHeaders(request.headers, server))
  const http = { method: request.method, path: request.path, host: request.host, headers }
  const answer = await clients[codec].check(attributes(http, { context_extensions: {}, ...identity }))
  const options = answer.ok_response?.headers ?? []
  const denied = answer.denied_response
  return {
    status: denied === undefined ? 200 : Number(denied.status?.code),
    set: new Map(options.map(({ header }) => [header.key, header.value ?? ''])),
    removed: answer.ok_response?.headers_to_remove ?? [],
    challenges: (denied?.headers ?? []).flatMap(({ header }) =>
      header.key === 'www-authenticate' ? (header.value ?? []) : [],
    ),
  }
}

function judge({ expect: wanted }: ScenarioRequest, seen: Seen): void {
  expect(seen.status).toBe(wanted.status)
  expect(Object.fromEntries(seen.set)).toMatchObject(wanted.set ?? {})
  expect(seen.removed).toEqual(expect.arrayContaining([...(wanted.removed ?? [])]))
  expect(seen.challenges.join(', ')).toContain(wanted.challenge ?? '')
}

for (const { name, requests } of await scenarios()) {
  describe(`policies/${name}`, () => {
    it.each(requests.map((request) => [request.say, request] as const))('over HTTP: %s', async (_, request) => {
      judge(request, await overHttp(request))
    })
    describe.each(['lean', 'reference'] as const)('over gRPC, %s codec', (codec) => {
      it.each(requests.map((request) => [request.say, request] as const))('%s', async (_, request) => {
        judge(request, await overGrpc(codec, request))
      })
    })
  })
}

it('the shipped policies have no problem', () => {
  expect(guard.problems().filter(({ severity }) => severity !== 'note')).toEqual([])
})
