import { afterAll, beforeAll, expect, it } from 'vitest'
import { startBackend, valuesOf } from '../support/backend.ts'
import type { Backend } from '../support/backend.ts'
import { describeWith } from '../support/describe-with.ts'
import { startEnvoy } from '../support/envoy.ts'
import type { Envoy } from '../support/envoy.ts'
import { gatehouse } from '../support/gatehouse.ts'
import type { TestGatehouse } from '../support/gatehouse.ts'
import { filledHeaders, guardOf, scenarioFiles, scenarios, startAuthorizationServer } from '../support/scenarios.ts'
import type { AuthorizationServer } from '../support/scenarios.ts'
import { send } from '../support/send.ts'

const all = await scenarios()
const rules = [...new Set(all.flatMap(({ requests }) => requests.map(({ rule }) => rule)))]
const headerNames = [
  ...new Set(all.flatMap(({ requests }) => requests.flatMap(({ expect: { set } }) => Object.keys(set ?? {})))),
]

const ways = [
  ['grpc', 'lean'],
  ['grpc', 'reference'],
  ['http', 'lean'],
] as const

for (const [protocol, codec] of ways)
  await describeWith(['envoy'], `policies/ behind Envoy, ext_authz over ${protocol}, ${codec} codec`, () => {
    let server: AuthorizationServer
    let gate: TestGatehouse
    let backend: Backend
    let envoy: Envoy

    beforeAll(async () => {
      server = await startAuthorizationServer()
      gate = await gatehouse({ files: await scenarioFiles(server.port), settings: { codec } })
      backend = await startBackend()
      envoy = await startEnvoy({
        protocol,
        guards: rules.map(guardOf),
        grpcPorts: [gate.grpcPort],
        httpPort: gate.httpPort,
        matchingPort: gate.matchingPort,
        backendPort: backend.port,
        allowedHeaders: ['cookie', 'x-api-key', 'x-monitor-key'],
        allowedResponseHeaders: headerNames,
      })
    })

    afterAll(async () => {
      await envoy?.stop()
      await backend?.close()
      await gate?.close()
      await server?.close()
    })

    for (const { name, requests } of all) {
      it.for(requests)(
        `${name}: $say`,
        async ({ rule, request: { method, host, path, headers }, expect: expected }) => {
          const before = backend.requests()
          const sent = { method, host, path, headers: await filledHeaders(headers, server) }
          const { status, all: lines } = await send({ port: envoy.ports[rules.indexOf(rule)] ?? 0, ...sent })
          const seen = backend.seen.slice(before)
          expect(status).toBe(expected.status)
          expect(seen.map(({ url }) => url)).toEqual(expected.status === 200 ? [path] : [])
          for (const [header, value] of Object.entries(expected.set ?? {}))
            expect(valuesOf(seen[0], header)).toEqual([value])
          for (const header of expected.removed ?? []) expect(valuesOf(seen[0], header)).toEqual([])
          expect(lines('www-authenticate').join('\n')).toContain(expected.challenge ?? '')
        },
      )
    }
  })
