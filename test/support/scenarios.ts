import { readFile, readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { exportJWK, generateKeyPair } from 'jose'
import { Provider } from 'oidc-provider'
import { routeKey } from '../../src/model/route.ts'
import type { Guard } from './envoy.ts'
import { httpServer } from './local-server.ts'

/** One line of a scenario's requests.jsonl, as policies/README.md describes it. */
export interface ScenarioRequest {
  readonly say: string
  /** `namespace/route/rule`, or `match`. */
  readonly rule: string
  readonly request: {
    readonly method: string
    readonly host: string
    readonly path: string
    readonly headers: Readonly<Record<string, string>>
  }
  readonly expect: {
    readonly status: number
    readonly set?: Readonly<Record<string, string>>
    readonly removed?: readonly string[]
    readonly challenge?: string
  }
}

export interface Scenario {
  readonly name: string
  readonly requests: readonly ScenarioRequest[]
}

const folder = resolve(import.meta.dirname, '../../policies')

/** Where the introspection scenario expects its authorization server; tests move it to a port of their own. */
export const examplePort = 9400

/** Every folder of `policies/` with its requests. */
export async function scenarios(): Promise<readonly Scenario[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  return Promise.all(names.sort().map(async (name) => ({ name, requests: await requestsOf(name) })))
}

async function requestsOf(name: string): Promise<readonly ScenarioRequest[]> {
  const text = await readFile(join(folder, name, 'requests.jsonl'), 'utf8')
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as ScenarioRequest)
}

/** The manifests of all scenarios by file name, with the authorization server at another port. */
export async function scenarioFiles(authorizationPort = examplePort): Promise<Record<string, string>> {
  const files: Record<string, string> = {}
  for (const { name } of await scenarios()) {
    for (const file of (await readdir(join(folder, name))).filter((one) => /\.ya?ml$/.test(one))) {
      const text = await readFile(join(folder, name, file), 'utf8')
      files[`${name}/${file}`] = text.replaceAll(`127.0.0.1:${examplePort}/`, `127.0.0.1:${authorizationPort}/`)
    }
  }
  return files
}

/** What a proxy has to be told about a request's rule. */
export function guardOf(rule: string): Guard {
  if (rule === 'match') return { kind: 'match' }
  const [namespace = '', route = '', name = ''] = rule.split('/')
  const key = routeKey(namespace, route, name)
  if (key === undefined) throw new Error(`${rule} is not namespace/route/rule`)
  return { kind: 'rule', key }
}

/** The authorization server of the introspection scenario. */
export interface AuthorizationServer {
  readonly port: number
  /** An opaque access token for the client `report-reader`. */
  readonly token: (scope: string) => Promise<string>
  readonly close: () => Promise<void>
}

const reports = 'https://reports.example.com'
const gatehouse = { client_id: 'gatehouse', client_secret: 'example-introspection-secret' }
const reader = { client_id: 'report-reader', client_secret: 'example-report-reader-secret' }

/** A real one (npm oidc-provider) that knows the scenario's two clients. */
export async function startAuthorizationServer(port = 0): Promise<AuthorizationServer> {
  let answer = (_: unknown, response: { readonly end: () => unknown }): unknown => response.end()
  const server = await httpServer((request, response) => void answer(request, response), port)
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  const client = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
  const provider = new Provider(server.url, {
    clients: [gatehouse, reader].map((one) => ({ ...client, ...one, scope: 'reports.read' })),
    adapter: memory(),
    jwks: { keys: [{ ...(await exportJWK(privateKey)), use: 'sig', alg: 'RS256' }] },
    scopes: ['reports.read'],
    ttl: { ClientCredentials: 86_400 },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({ scope: 'reports.read', audience: reports, accessTokenFormat: 'opaque' }),
      },
    },
  })
  answer = provider.callback() as typeof answer
  return {
    port: server.port,
    token: async (scope) => {
      const reply = await fetch(`${server.url}/token`, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'client_credentials',
          resource: reports,
          ...(scope === '' ? {} : { scope }),
        }),
        headers: { authorization: `Basic ${btoa(`${reader.client_id}:${reader.client_secret}`)}` },
      })
      const { access_token: token } = (await reply.json()) as { access_token?: string }
      if (token === undefined) throw new Error(`the authorization server issued no token: ${reply.status}`)
      return token
    },
    close: server.close,
  }
}

/** What the provider would use by itself, but not without a warning on every start. */
function memory(): (model: string) => unknown {
  const kept = new Map<string, unknown>()
  return (model) => ({
    find: async (id: string) => kept.get(`${model}:${id}`),
    upsert: async (id: string, payload: unknown) => void kept.set(`${model}:${id}`, payload),
    destroy: async (id: string) => void kept.delete(`${model}:${id}`),
  })
}

/** The request's headers with `{{opaque:SCOPE}}` replaced by a token. */
export async function filledHeaders(
  headers: Readonly<Record<string, string>>,
  server: Pick<AuthorizationServer, 'token'>,
): Promise<[string, string][]> {
  return Promise.all(
    Object.entries(headers).map(async ([name, value]): Promise<[string, string]> => {
      const scope = /\{\{opaque:([^}]*)\}\}/.exec(value)
      return [name, scope === null ? value : value.replace(scope[0], await server.token(scope[1] ?? ''))]
    }),
  )
}
